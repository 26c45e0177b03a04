package engine

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/layers"
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
	if layer < 1 || layer > p.Layers() {
		return fail(failure.Mark(ErrBadInput, fmt.Errorf("not between 1 and %d", p.Layers())))
	}
	g, err := graph.New(p)
	if err != nil {
		return fail(err)
	}
	var files [2]*os.File // the layer, the one before
	for i := range min(2, layer) {
		f, err := os.Open(layers.Path(s.CacheDir, layer-i))
		if err != nil {
			return fail(err)
		}
		defer f.Close()
		files[i] = f
	}
	nodes := p.SectorSize().Nodes()
	r := rand.New(rand.NewPCG(seed, uint64(layer)))
	parents := make([]uint32, porep.Degree)
	for i := range samples {
		node := r.Uint64N(nodes)
		switch i {
		case 0:
			node = 0
		case 1:
			node = nodes - 1
		}
		if err := g.Parents(parents, node); err != nil {
			return fail(err)
		}
		want, err := labelOf(ctx, s.ReplicaID, layer, node, parents, files)
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

// labelOf is a label made of what the files say that its parents are. Each read may
// take a disk's seek: between two of them ctx is looked at.
func labelOf(ctx context.Context, id porep.ReplicaID, layer int, node uint64, parents []uint32, files [2]*os.File) (label [porep.NodeSize]byte, err error) {
	var all [porep.Degree][porep.NodeSize]byte
	for slot, p := range parents {
		if ctx.Err() != nil {
			return label, context.Cause(ctx)
		}
		f := files[0]
		if slot >= porep.BaseDegree {
			f = files[1]
		}
		if f == nil || node == 0 {
			continue
		}
		if err := durable.ReadFull(nil, f, all[slot][:], int64(p)*porep.NodeSize); err != nil {
			return label, err
		}
	}
	label = sha256.Sum256(message(id, layer, node, func(slot int) []byte { return all[slot][:] }))
	label[porep.NodeSize-1] &= 0x3f
	return label, nil
}

// message is what a label is the digest of.
func message(id porep.ReplicaID, layer int, node uint64, label func(slot int) []byte) []byte {
	const labelsHashed = 37
	m := append([]byte(nil), id[:]...)
	m = binary.BigEndian.AppendUint32(m, uint32(layer))
	m = binary.BigEndian.AppendUint64(m, node)
	m = append(m, make([]byte, 20)...)
	used := porep.Degree
	if layer == 1 {
		used = porep.BaseDegree
	}
	for i := 0; i < labelsHashed && node > 0; i++ {
		m = append(m, label(i%used)...)
	}
	return m
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
