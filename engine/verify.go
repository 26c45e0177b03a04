package engine

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/plain"
	"github.com/sdr-engine/sdr/porep"
)

// A LabelError says that a label in a layer file is not what its parents make it.
type LabelError struct {
	Path  string
	Layer int
	Node  uint64
	Got   [porep.NodeSize]byte
	Want  [porep.NodeSize]byte
}

// Is reports whether target is the kind ErrCorrupt.
func (e *LabelError) Is(target error) bool { return target == failure.ErrCorrupt }

func (e *LabelError) Error() string {
	return fmt.Sprintf("engine: verifying %s: node %d is %x, its parents' labels make it %x", e.Path, e.Node, e.Got, e.Want)
}

// VerifySample recomputes labels of a sector's layer from what its files hold, by
// way of the standard library's SHA-256: those of so many nodes, among them the
// first and the last. Seed chooses the others. The error is a *LabelError for the
// first that is wrong.
func VerifySample(p porep.SealProof, s Sector, layer, samples int, seed uint64) error {
	if p.Check() == nil && (layer < 1 || layer > p.Layers()) {
		return failure.Mark(ErrBadInput, fmt.Errorf("engine: verifying layer %d in %s: not between 1 and %d", layer, s.CacheDir, p.Layers()))
	}
	return verifySample(context.Background(), p, s, layer, samples, seed)
}

// verifySample is VerifySample until ctx is done: then the error is its cause.
func verifySample(ctx context.Context, p porep.SealProof, s Sector, layer, samples int, seed uint64) error {
	fail := func(err error) error {
		err = failure.Returned(ctx, err)
		return fmt.Errorf("engine: verifying layer %d in %s: %w", layer, s.CacheDir, err)
	}
	if err := p.Check(); err != nil {
		return fail(err)
	}
	var files [2]*os.File // the layer, the one before
	for i := range min(2, layer) {
		f, err := os.Open(layers.Path(s.CacheDir, layer-i))
		if err != nil {
			return fail(err)
		}
		defer f.Close()
		defer linux.DropCache(f, 0, int64(p.SectorSize())) // of layers nothing stays there
		files[i] = f
	}
	nodes := p.SectorSize().Nodes()
	r := rand.New(rand.NewPCG(seed, uint64(layer))) // #nosec G404 -- no secret: which labels are looked at
	for i := range samples {
		if ctx.Err() != nil {
			return fail(context.Cause(ctx))
		}
		node := r.Uint64N(nodes)
		switch i {
		case 0:
			node = 0
		case 1:
			node = nodes - 1
		}
		want, err := plain.Label(p, s.ReplicaID, layer, node, func(of int, parent uint64) (label [porep.NodeSize]byte, err error) {
			// Each read may take a disk's seek: between two of them ctx is looked at.
			if ctx.Err() != nil {
				return label, context.Cause(ctx)
			}
			err = durable.ReadFull(nil, files[layer-of], label[:], int64(parent)*porep.NodeSize)
			return label, err
		})
		if err != nil {
			return fail(err)
		}
		var got [porep.NodeSize]byte
		if err := durable.ReadFull(nil, files[0], got[:], int64(node)*porep.NodeSize); err != nil {
			return fail(err)
		}
		if got != want {
			return &LabelError{files[0].Name(), layer, node, got, want}
		}
	}
	return nil
}

// A LayerDigest is the SHA-256 of a layer's file.
type LayerDigest [sha256.Size]byte

// A DigestError says that a layer to go on from is not the one that was made.
type DigestError struct {
	Path        string
	Layer       int
	Found, Want LayerDigest
}

// Is reports whether target is the kind ErrCorrupt.
func (e *DigestError) Is(target error) bool { return target == failure.ErrCorrupt }

func (e *DigestError) Error() string {
	return fmt.Sprintf("engine: going on from layer %d: the SHA-256 of %s is %x, was %x when the layer was made: begin with layer %d",
		e.Layer, e.Path, e.Found, e.Want, e.Layer)
}
