package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/internal/workers"
	"github.com/sdr-engine/sdr/porep"
)

// samplesUnproven is of how many labels a layer must be right that no manifest proves: one
// wrong label in a hundred is found all but once in 10^17 times; a single one is hardly ever.
const samplesUnproven = 4096

// A resuming is what a lane goes on from.
type resuming struct {
	*lane
	c       *Config
	sector  Sector
	block   int
	last    int
	unit    uint64 // nodes: a batch begins at a multiple of it
	load    loader // to where the hasher needs them
	highest int    // layer that is whole, by what the manifest says
	cached  bool   // a layer in the cache dir is gone on from, though layers are made elsewhere
	buffers [][]byte
}

// A proved layer has been read whole, and is what it was when it was made.
type proved struct {
	layer int
	hash  manifest.Hash
	layers.Source
}

// resume looks at what is in the sector's directories, which are locked, and finds the layer and the
// node that the lane goes on from. What it does not believe it leaves to Create, which removes it.
func (l *lane) resume(ctx context.Context, s Sector, r *Resolved, unit uint64, load loader) error {
	c := &r.c
	l.record = newRecord(l.files, c.Proof, s.ReplicaID)
	l.record.off = c.Bare
	if c.Unnoted != nil {
		l.record.tell = func(err error) { c.Unnoted(l.sector, err) }
	}
	m, err := leftIn(c, &s, l.files.Dir(), l.files.Cache())
	if err != nil {
		return err
	}
	given := s.First > 1 || c.Digests // the caller goes on by himself
	rs := &resuming{lane: l, c: c, sector: s, block: r.shape.block(), last: r.last, unit: unit, load: load}
	switch {
	case m != nil && given:
		for _, known := range m.Layers {
			if known.Number < s.First {
				l.record.setLayer(known)
			}
		}
	case m != nil:
		err = rs.prove(ctx, m)
	case c.Resume == ResumeSampled && !given:
		err = rs.sample(ctx)
	}
	if err != nil {
		return err
	}
	if m == nil || l.first == 1 && l.begin == 0 { // none, or one that proves nothing any more
		err = l.files.Dir().Remove(manifest.Name)
	}
	if cache := l.files.Cache(); cache != nil && err == nil && !rs.cached {
		err = cache.Remove(manifest.Name)
	}
	return err
}

// prove finds what is as the manifest says: all layers from the first on, or, where only the last ones
// are kept, the last that is whole. Of those that are kept at the end none may be missing.
func (r *resuming) prove(ctx context.Context, m *manifest.Manifest) error {
	size := int64(r.c.Proof.SectorSize())
	for _, known := range m.Layers {
		r.highest = max(r.highest, known.Number)
	}
	for _, part := range m.Parts {
		if part.Bytes == size {
			r.highest = max(r.highest, part.Number)
		}
	}
	start := 1
	if r.c.Keep == KeepLast {
		start, _ = r.c.Keep.Kept(r.last)
		start = max(1, min(start, r.highest))
	}
	if r.highest >= r.last {
		r.highest = 0 // nothing is made of it
	}
	for ; start >= 1 && r.first == 1 && r.begin == 0; start-- {
		if err := r.proveFrom(ctx, m, start); err != nil {
			return err
		}
	}
	return nil
}

// proveFrom goes through layers from one on as long as they are what the manifest says.
func (r *resuming) proveFrom(ctx context.Context, m *manifest.Manifest, start int) error {
	size := int64(r.c.Proof.SectorSize())
	for layer := start; layer <= r.last; layer++ {
		known, finished := m.Layer(layer)
		part, begun := m.Part(layer)
		if !finished && !begun {
			return nil
		}
		if begun {
			known = manifest.Layer{Number: layer, Hash: part.Hash, Kernel: part.Kernel, Checked: manifest.CheckedReadBack}
		}
		if finished || part.Bytes == size { // which may have got its name
			there, err := r.finished(ctx, known)
			if err != nil {
				return err
			}
			if there {
				continue
			}
		}
		if !begun || part.Bytes < size && r.first != layer {
			return nil
		}
		if there, err := r.part(ctx, part, known); err != nil || !there {
			return err
		}
	}
	return nil
}

// finished reports whether a layer is there, as it was when it was made. A temporary name that
// it has, too, goes: a kill leaves both.
func (r *resuming) finished(ctx context.Context, known manifest.Layer) (bool, error) {
	file, cached, err := r.files.Find(known.Number)
	if err != nil {
		return false, nil
	}
	var hash manifest.Hash
	var sums *durable.Sums
	var mark durable.Mark
	for try := 0; try < 2 && err == nil && hash != known.Hash; try++ { // a disk may err once
		hash, sums, mark, err = r.read(ctx, file, known.Number)
	}
	if err == nil && hash == known.Hash {
		err = r.files.Dir().Remove(durable.TempName(layers.Name(known.Number)))
	}
	if err != nil || hash != known.Hash {
		file.Close()
		return false, r.unless(ctx, err, known.Number)
	}
	file.Trust(sums)
	r.goOn(known, file, mark, sums, cached)
	return true, nil
}

// unless is nil if a layer was read, or cannot be: it is made again. A disk that does not
// yield it, now, is an error: nothing is lost yet.
func (r *resuming) unless(ctx context.Context, err error, layer int) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil, errors.Is(err, fs.ErrInvalid), errors.Is(err, io.ErrUnexpectedEOF):
		return nil
	}
	return fmt.Errorf("going on from layer %d, which nothing has touched: %w", layer, err)
}

// goOn notes that a layer is there, and is the layer before.
func (r *resuming) goOn(known manifest.Layer, before *durable.Reader, mark durable.Mark, sums *durable.Sums, cached bool) {
	if r.before != nil {
		r.before.Close()
	}
	if r.load.before != nil && known.Number == r.highest {
		r.loaded.before = true
	}
	if cached {
		r.cached = true
		r.files.Stays(known.Number)
	}
	r.before, r.first = before, known.Number+1
	r.record.setLayer(known)
	r.record.unsaved = true // it may not have been in there
	r.proved = append(r.proved, proved{known.Number, known.Hash, layers.Source{Mark: mark, Sums: sums}})
}

// read reads a layer whole. One that can be no layer is fs.ErrInvalid.
func (r *resuming) read(ctx context.Context, file *durable.Reader, layer int) (hash manifest.Hash, sums *durable.Sums, mark durable.Mark, err error) {
	size := r.c.Proof.SectorSize()
	info, err := file.File().Stat()
	if err != nil {
		return hash, nil, mark, err
	}
	if !info.Mode().IsRegular() || info.Size() != int64(size) {
		return hash, nil, mark, fs.ErrInvalid
	}
	if mark, err = durable.MarkOf(file.Path(), file.File()); err != nil {
		return hash, nil, mark, err
	}
	tree := manifest.NewTree(size)
	sums = durable.NewSums(info.Size(), r.block)
	err = tree.AddFrom(ctx, info.Size(), r.room(), func(b []byte, off int64) error { return file.Read(r.c.way(), b, off) }, func(b []byte, off int64) error {
		sums.Add(b, off)
		return r.loadBefore(layer, b, off)
	})
	if err == nil {
		hash, err = tree.Root()
	}
	return hash, sums, mark, err
}

// loadBefore puts labels where the hasher will need them, if they are of the last layer that a manifest
// has as finished, or whole: then they need not be read once more.
func (r *resuming) loadBefore(layer int, b []byte, off int64) error {
	if r.load.before == nil || layer != r.highest {
		return nil
	}
	return r.load.before(b, uint64(off)/porep.NodeSize)
}

// room are buffers for reading.
func (r *resuming) room() [][]byte {
	for len(r.buffers) < min(readers, workers.Most()) {
		r.buffers = append(r.buffers, linux.AlignedBuffer(int(min(uint64(r.c.Proof.SectorSize()), chunkBytes))))
	}
	return r.buffers
}

// part goes on with a layer that is not finished, if what was noted of it is there. It reports
// whether all of it was, and has its name now.
func (r *resuming) part(ctx context.Context, part manifest.Part, known manifest.Layer) (whole bool, err error) {
	w, err := r.files.Adopt(part.Number, r.c.Proof.SectorSize(), r.block)
	if err != nil {
		return false, nil
	}
	begin := uint64(part.Bytes) / porep.NodeSize
	if part.Bytes < int64(r.c.Proof.SectorSize()) {
		begin -= begin % r.unit
	}
	trusted := int64(begin) * porep.NodeSize // what is behind is written again
	whole = part.Bytes == int64(r.c.Proof.SectorSize())
	tree := r.record.tree(part.Number)
	var hash manifest.Hash
	for try := 0; try < 2 && err == nil && hash != part.Hash; try++ { // a disk may err once
		err = tree.AddFrom(ctx, part.Bytes, r.room(), func(b []byte, off int64) error { return w.Raw(r.c.way(), b, off) },
			func(b []byte, off int64) error {
				if off >= trusted {
					return nil
				}
				b = b[:min(int64(len(b)), trusted-off)]
				w.Trust(b, off)
				if whole {
					return r.loadBefore(part.Number, b, off)
				}
				if r.load.part != nil {
					return r.load.part(b, uint64(off)/porep.NodeSize)
				}
				return nil
			})
		if err == nil {
			hash, err = tree.Sum(part.Bytes)
		}
	}
	if err := r.unless(ctx, err, part.Number); err != nil {
		return false, err
	}
	if hash != part.Hash || begin == 0 {
		r.files.Drop(part.Number)
		r.record.forget(part.Number)
		return false, nil
	}
	if !whole {
		r.record.setPart(part)
		r.begin, r.loaded.part = begin, r.load.part != nil
		return false, nil
	}
	if err := r.files.Dir().Remove(layers.Name(part.Number)); err != nil { // what has the name is not it
		return false, err
	}
	w.Resume(part.Bytes)
	if err := w.CommitTrusted(ctx); err != nil {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		return false, fmt.Errorf("layer %d: %w", part.Number, err)
	}
	r.record.forget(part.Number)
	file, _, err := r.files.Find(part.Number)
	if err != nil {
		return false, fmt.Errorf("layer %d: %w", part.Number, err)
	}
	made := w.Made()
	file.Trust(made.Sums)
	r.goOn(known, file, made.Mark, made.Sums, false)
	return true, nil
}

// sample goes on from layers that no manifest proves, as long as a sample of their labels is
// right.
func (r *resuming) sample(ctx context.Context) error {
	s := r.sector
	for layer := 1; layer <= r.last; layer++ {
		file, cached, err := r.files.Find(layer)
		if err != nil {
			return nil
		}
		if layer > 1 && cached != r.cached { // they are not of one job
			file.Close()
			return nil
		}
		if !cached {
			s.CacheDir = s.dir()
		}
		hash, sums, mark, err := r.read(ctx, file, layer)
		wrong := false
		if err == nil {
			err = verifySample(ctx, r.c.Proof, s, layer, samplesUnproven, rand.Uint64()) // #nosec G404 -- no secret: which labels are looked at
			wrong = errors.As(err, new(*LabelError))
		}
		if err != nil {
			file.Close()
			if wrong {
				return nil
			}
			return r.unless(ctx, err, layer)
		}
		file.Trust(sums)
		r.goOn(manifest.Layer{Number: layer, Hash: hash, Kernel: "unknown", Checked: manifest.CheckedSample}, file, mark, sums, cached)
	}
	return nil
}

// recheck makes sure that layers that the lane went on from are still there, as they were.
func (l *lane) recheck(ctx context.Context, s Sector, r *Resolved) error {
	first, _ := r.c.Keep.Kept(r.last)
	for _, p := range l.proved {
		if p.layer < first { // it may have gone
			continue
		}
		same, err := p.Mark.Same()
		if err != nil {
			return err
		}
		if same {
			continue
		}
		again := &resuming{lane: &lane{files: l.files, record: newRecord(l.files, r.c.Proof, l.id), first: p.layer, id: l.id}, c: &r.c, sector: s, block: r.shape.block(), last: r.last}
		there, err := again.finished(ctx, manifest.Layer{Number: p.layer, Hash: p.hash})
		if again.before != nil {
			again.before.Close()
		}
		if err == nil && !there {
			err = fmt.Errorf("layer %d, from which this job went on: %w", p.layer, ErrChanged)
		}
		if err != nil {
			return err
		}
	}
	return l.files.Recheck(ctx)
}
