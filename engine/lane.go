package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/porep"
)

// A lane is one sector in a batch.
type lane struct {
	sector  int // index into Config.Sectors
	id      porep.ReplicaID
	first   int    // the layer that it begins with
	begin   uint64 // how many of its nodes are there
	files   *layers.Set
	record  *record
	proved  []proved                    // layers of an earlier job
	loaded  struct{ before, part bool } // what of layer first−1, and of layer first, is in memory already
	before  *durable.Reader             // layer first−1, if any
	stands  int64                       // if not 0: what the file of layer first begins with, in bytes, stands for all of it
	digests []LayerDigest               // of layers from first on, if they are wanted

	lastIs atomic.Bool // on the disk
	dead   atomic.Bool
	mu     sync.Mutex
	err    error
}

// open starts the lane's files, and finds where an earlier job has left off: a batch can go on
// from multiples of unit nodes. It makes sure that the layer before is what it was when it
// was made, and remembers its blocks: each is looked at again when it is read.
func (l *lane) open(ctx context.Context, s Sector, r *Resolved, unit uint64, load loader) (err error) {
	c, block := &r.c, r.shape.block()
	l.id, l.first = s.ReplicaID, s.First
	if c.Digests {
		l.digests = make([]LayerDigest, r.last-l.first+1)
	}
	if l.files, err = layers.Open(ctx, s.CacheDir, s.WorkDir); err != nil {
		return err
	}
	if err := l.resume(ctx, s, r, unit, load); err != nil {
		return err
	}
	if l.first > 1 && l.before == nil {
		if err := l.goOnAsTold(ctx, s, c, block); err != nil {
			return err
		}
	}
	create := l.files.Create
	if c.Keep == KeepLast {
		create = l.files.CreateFew
	}
	return create(l.first, r.last, c.Proof.SectorSize(), block)
}

// goOnAsTold goes on from the layer that the caller says. One of those before it is missing only where
// not all are kept.
func (l *lane) goOnAsTold(ctx context.Context, s Sector, c *Config, block int) (err error) {
	if l.before, err = durable.Open(ctx, layers.Path(s.CacheDir, l.first-1)); err != nil {
		return fmt.Errorf("opening layer %d: %w", l.first-1, err)
	}
	if err := l.trustBefore(ctx, s, c, block); err != nil {
		return err
	}
	err = verifySample(ctx, c.Proof, s, s.First-1, samplesBefore, rand.Uint64()) // #nosec G404 -- no secret: which labels are looked at
	if c.Keep == KeepLast && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// has reports whether a layer of a batch that begins with layer first was loaded when it was proved.
func (l *lane) has(layer, first int) bool {
	return l.first == first && (layer == first-1 && l.loaded.before || layer == first && l.loaded.part)
}

// samplesBefore is of how many labels the layer that a sector goes on from must be right,
// besides its digest: a digest does not say whose layer it is.
const samplesBefore = 64

// trustBefore compares the layer before with its digest.
func (l *lane) trustBefore(ctx context.Context, s Sector, c *Config, block int) error {
	size := int64(c.Proof.SectorSize())
	hash, sums := sha256.New(), durable.NewSums(size, block)
	buffer := linux.AlignedBuffer(int(min(size, chunkBytes)))
	for off := int64(0); off < size; off += int64(len(buffer)) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := l.before.Read(c.way(), buffer, off); err != nil {
			return err
		}
		hash.Write(buffer)
		sums.Add(buffer, off)
	}
	if found := LayerDigest(hash.Sum(nil)); found != s.Before {
		return &DigestError{Path: layers.Path(s.CacheDir, l.first-1), Layer: l.first - 1, Found: found, Want: s.Before}
	}
	l.before.Trust(sums)
	return nil
}

func (l *lane) close() {
	if l.files != nil {
		l.files.Close()
	}
	if l.before != nil {
		l.before.Close()
	}
}

// dropOld removes layers that are not kept, now that one more is on the disk, and noted.
func (l *lane) dropOld(safe, last int) error {
	if l.before != nil && safe >= l.first { // nothing is read there any more, but to check labels now and then
		l.before.Close() // or its blocks stay
	}
	if safe == last {
		l.lastIs.Store(true) // the first two layers may come in any order
	}
	later := 1
	if l.lastIs.Load() {
		later += keptBefore
	} else {
		l.record.drop(safe - 1)
	}
	return l.files.Safe(safe, later)
}

// writer is the file of a layer; nil if the lane does not make that layer, or not
// any more.
func (l *lane) writer(layer int) *layers.Writer {
	if layer < l.first || l.dead.Load() {
		return nil
	}
	return l.files.Layer(layer)
}

// whole is the file of a layer that was written to its end; nil as writer's. One stays when the
// lane has ended for want of room, or of a disk, for what comes after it.
func (l *lane) whole(layer int) *layers.Writer {
	if w := l.writer(layer); w != nil || layer < l.first || l.files == nil {
		return w
	}
	if why := l.failure(); !errors.Is(why, ErrNoSpace) && !errors.Is(why, syscall.EIO) || !l.files.Layer(layer).Whole() {
		return nil
	}
	return l.files.Layer(layer)
}

// read reads labels of a layer, whole blocks, by the way that they were written, from a
// node on. What is not what was written is an error. False means that the lane has no such layer.
func (l *lane) read(way durable.Way, layer int, labels []byte, node uint64) (bool, error) {
	off := int64(node) * porep.NodeSize
	if l.dead.Load() || layer < l.first-1 || layer < 1 {
		return false, nil
	}
	if layer == l.first-1 && l.stands > 0 {
		layer, off = l.first, off%l.stands
	}
	if layer == l.first-1 {
		return true, l.before.ReadBack(way, labels, off)
	}
	return true, l.files.Layer(layer).Read(way, labels, off)
}

// fail ends the lane: the others go on, and its labels go nowhere. What it had
// finished before stays.
func (l *lane) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
		l.dead.Store(true)
	}
}

func (l *lane) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// replicaIDs are a batch's, one for each of the kernel's lanes; empty lanes have
// zeros.
func replicaIDs(lanes []*lane, n int) [][32]byte {
	ids := make([][32]byte, n)
	for i, l := range lanes {
		ids[i] = l.id
	}
	return ids
}

// labelsOf is how many nodes of a layer count as labels: those of lanes that make
// the layer.
func labelsOf(lanes []*lane, layer int) (n uint64) {
	for _, l := range lanes {
		if l.writer(layer) != nil {
			n++
		}
	}
	return n
}
