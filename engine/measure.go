package engine

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/porep"
)

// A Measurement is what Measure saw.
type Measurement struct {
	// Hashers has an entry for each hasher that had a batch.
	Hashers []HasherMeasurement
	Memory  []MemoryStats
}

// A HasherMeasurement is one hasher's part.
type HasherMeasurement struct {
	Kernel string
	// Batches is how many batches the hasher would do one after another. The first
	// of them was measured.
	Batches int
	Lanes   int    // sectors that went together
	Nodes   uint64 // labelled, each with all lanes
	Took    time.Duration
	Waited  Waits
	// Slices are equal parts of the time after the first: nodes a second in each.
	Slices []float64
	// Pause, in OneLayer mode, is how long the hasher would wait between two layers of
	// that sector size for what was labelled to be read as the next one's key.
	Pause time.Duration
}

// MinMeasured is how many nodes a layer must have for Measure to label a part of it.
const MinMeasured = 1 << 16

// measureSlices is how many parts of a window the spread comes from.
const measureSlices = 20

// Measure labels a part of layer 2 of c's sectors for about so long, and does not
// finish it: with the memory, the graph, the parents and the writing to files that
// Run would have there. The part begins in the middle of the layer. What stands for
// the labels before it is random, so that no time goes into making them. A sample of
// the labels made is recomputed by way of the standard library; a *LabelError says
// that one is wrong. The files never get their names, and are gone afterwards, as is what
// was there of layers from 2 on and of phase 2.
//
// Each hasher does the first of its batches.
func Measure(ctx context.Context, c Config, window time.Duration) (m Measurement, err error) {
	if c, err = c.prepared(); err != nil {
		return m, err
	}
	if c.Proof.SectorSize().Nodes() < MinMeasured {
		return m, &ConfigError{"proof", fmt.Sprintf("a sector of %v is too small to measure a part of", c.Proof.SectorSize())}
	}
	if window <= 0 {
		return m, &ConfigError{"window", fmt.Sprintf("%v, want more than nothing", window)}
	}
	j := newJob(&c)
	half := c.Proof.SectorSize().Nodes() / 2
	for h, counters := range j.counters {
		counters.setSpans(2*half, []span{{sectors: j.split[h][0].sectors, first: 2, last: 2, from: half}})
	}
	c.Progress.hashers.Store(&j.counters)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	regions, err := j.takeMemory(ctx)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, free(regions)) }()
	defer j.startIndex(ctx)()
	m.Hashers = make([]HasherMeasurement, c.Hashers)
	var ready, wg sync.WaitGroup
	ready.Add(c.Hashers)
	for h := range c.Hashers {
		wg.Go(func() {
			if err := j.measure(ctx, h, regions[h], window, &ready, &m.Hashers[h]); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	m.Memory = statsOf(regions)
	return m, context.Cause(ctx)
}

// measure is one hasher's part. All hashers begin together, when each is ready.
func (j *job) measure(ctx context.Context, h int, r *regions, window time.Duration, ready *sync.WaitGroup, m *HasherMeasurement) error {
	b, err := j.measuredBatch(ctx, h, r)
	ready.Done()
	if err != nil {
		return err
	}
	defer b.close()
	ready.Wait()

	*m = HasherMeasurement{Kernel: b.kernel.Name, Batches: len(j.split[h]), Lanes: len(b.lanes)}
	slice := window / (measureSlices + 1)
	began := time.Now()
	sliceBegan, sliceNodes := began, uint64(0)
	first := true
	b.ends = func(nodes uint64) bool {
		now := time.Now()
		if took := now.Sub(sliceBegan); took >= slice {
			if !first {
				m.Slices = append(m.Slices, float64(nodes-sliceNodes)/took.Seconds())
			}
			first = false
			sliceBegan, sliceNodes = now, nodes
		}
		m.Nodes, m.Took = nodes, now.Sub(began)
		return m.Took >= window
	}
	b.run(ctx)
	m.Waited = b.counters.ended()
	for _, l := range b.lanes {
		if err := l.failure(); err != nil {
			return err
		}
	}
	if b.err != nil {
		return b.err
	}
	if err := b.verifyMemory(b.from, b.store.done.Load()); err != nil || b.store.window == 0 {
		return err
	}
	m.Pause, err = b.measurePause(m)
	return err
}

// measurePause reads what was labelled back, or as much of it as tells how fast the disk
// is.
func (b *batchRun) measurePause(m *HasherMeasurement) (time.Duration, error) {
	const most = 2 << 30 // bytes
	s := b.store
	part := s.keyPart()
	from, end := roundUp(b.from, part)/part, b.written.Load()/part
	if end <= from {
		return 0, nil
	}
	parts := min(end-from, max(1, most/(part*porep.NodeSize*uint64(len(b.lanes)))))
	b.stopped.Store(false) // for those who have ended
	began := time.Now()
	err := b.readParts(int(parts), func(i int, buffer []byte) error {
		if b.ctx.Err() != nil {
			return context.Cause(b.ctx)
		}
		return b.loadLanes(s.key, s.first, (from+uint64(i))*part, buffer[:part*porep.NodeSize], func(*lane) bool { return true })
	})
	took := time.Since(began).Seconds()
	for _, l := range b.lanes {
		err = errors.Join(err, l.failure())
	}
	// What is in memory need not be read, and what is read early is hidden behind what is
	// labelled meanwhile, unless that takes less time.
	all := took * float64(s.nodes-s.inMemory) / float64(parts*part)
	early := all * float64(s.earlyParts()*part) / float64(s.nodes-s.inMemory)
	closing := m.Took.Seconds() * float64(s.lastNodes()) / float64(m.Nodes)
	return time.Duration((all - min(early, closing)) * float64(time.Second)), err
}

// measuredBatch is a hasher's first batch, with random labels in memory and, where
// it reads them, in the file for far parents.
func (j *job) measuredBatch(ctx context.Context, h int, r *regions) (b *batchRun, err error) {
	b = j.newBatchRun(h, j.split[h][0], r)
	b.ctx = ctx
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	for _, l := range b.lanes {
		s := j.Sectors[l.sector]
		l.id, l.first = s.ReplicaID, 2
		g := shapeOf(j.Proof, &j.Config)
		l.files, err = layers.Create(ctx, s.CacheDir, 2, 2, j.Proof.SectorSize(), g.block())
		if err != nil {
			return b, &SectorError{l.sector, s.CacheDir, err}
		}
	}
	b.layers = 1
	b.store = newStore(shapeOf(j.Proof, &j.Config), b.kernel, 2, r.layers.Bytes())
	b.from = b.store.nodes / 2
	b.from -= b.from % uint64(b.store.run) // producers count in runs from the layer's first node
	b.store.done.Store(b.from)
	b.written.Store(b.from)
	for _, region := range r.all() {
		if err := region.Populate(ctx); err != nil {
			return b, fmt.Errorf("engine: taking memory for hasher %d: %w", h, err)
		}
	}
	if _, err := r.layers.Verify(ctx); err != nil {
		return b, fmt.Errorf("engine: taking memory for hasher %d: %w", h, err)
	}
	r.there.Store(true)
	fillRandom(ctx, r.layers.Bytes(), uint64(h))
	if b.store.window == 0 {
		return b, nil
	}
	return b, b.fillSpill(ctx)
}

// fillSpill readies the file for far parents, with random labels for those of windows
// before the part that is measured. A job that cannot have the file is slower: that is
// not what is to be measured, and an error.
func (b *batchRun) fillSpill(ctx context.Context) error {
	x, p := b.job.index, &b.spilling
	defer context.AfterFunc(ctx, x.gate.Wake)()
	x.gate.Wait(1, func() bool { return x.ready.Load() || ctx.Err() != nil })
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if b.openSpill(); p.err != nil {
		return fmt.Errorf("engine: readying far parents: %w", p.err)
	}
	begin := b.from / b.store.window
	p.done.Store(begin)
	buffer := b.buffers().spill
	fillRandom(ctx, buffer, uint64(b.hasher)+1)
	stride := b.kernel.Stride()
	for child := int(begin); child < windows; child++ {
		place := &p.places[child]
		for from := range int(begin) {
			at := place.offset + int64(place.starts[from])*int64(stride)
			left := roundUp(place.n[from], spillAlign(stride)) * stride
			for chunk := range p.sums[child][from] {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				n := min(left, farChunk*stride)
				if err := b.spillChunk(child, from, chunk, buffer[:n], at); err != nil {
					return err
				}
				at, left = at+int64(n), left-n
			}
		}
	}
	return nil
}

// fillRandom fills memory with numbers that no processor can foresee, quickly. When
// ctx is done it leaves off.
func fillRandom(ctx context.Context, mem []byte, seed uint64) {
	const part = 64 << 20
	var wg sync.WaitGroup
	limit := make(chan struct{}, 4)
	for at := 0; at < len(mem) && ctx.Err() == nil; at += part {
		b := mem[at:min(len(mem), at+part)]
		x := seed<<32 + uint64(at) + 1
		limit <- struct{}{}
		wg.Go(func() {
			for len(b) >= 8 {
				x += 0x9e3779b97f4a7c15 // SplitMix64
				z := (x ^ x>>30) * 0xbf58476d1ce4e5b9
				z = (z ^ z>>27) * 0x94d049bb133111eb
				binary.LittleEndian.PutUint64(b, z^z>>31)
				b = b[8:]
			}
			<-limit
		})
	}
	wg.Wait()
}

// verifyMemory recomputes, by way of the standard library, a sample of the labels
// of nodes from to to−1 of layer index 0 from the labels that are in memory.
func (b *batchRun) verifyMemory(from, to uint64) error {
	const samples = 64
	s := b.store
	parents := make([]uint32, porep.Degree)
	r := rand.New(rand.NewPCG(from, to))
	if s.window > 0 {
		from = max(from, to-min(to, s.inMemory/2))
	}
	kept := uint64(0) // base parents before this node are no longer in memory
	if s.window > 0 && to > s.inMemory {
		kept = to - s.inMemory
	}
	checked := 0
	for tries := 0; checked < samples && tries < 100*samples && from < to; tries++ {
		node := from + r.Uint64N(to-from)
		if err := b.parents.Parents(parents, node); err != nil {
			return err
		}
		inMemory := true
		for _, p := range parents[:porep.BaseDegree] {
			inMemory = inMemory && uint64(p) >= kept
		}
		if !inMemory {
			continue
		}
		checked++
		for lane, l := range b.lanes {
			want, err := b.labelFromMemory(lane, l.id, node, parents)
			if err != nil {
				return err
			}
			var got [porep.NodeSize]byte
			if err := b.kernel.Unpack(got[:], s.out(0, node, 1), lane); err != nil {
				return err
			}
			if got != want {
				return &LabelError{"memory", s.first, node, got, want}
			}
		}
	}
	if checked == 0 {
		return fmt.Errorf("engine: verifying what was measured: no node of %d to %d has all its parents in memory", from, to)
	}
	return nil
}

func (b *batchRun) labelFromMemory(lane int, id porep.ReplicaID, node uint64, parents []uint32) (label [porep.NodeSize]byte, err error) {
	s := b.store
	var all [porep.Degree][porep.NodeSize]byte
	for slot, p := range parents {
		labels := s.out(0, uint64(p), 1)
		if slot >= porep.BaseDegree {
			labels = s.before(0)[uint64(p)*uint64(b.kernel.Stride()):][:b.kernel.Stride()]
		}
		if err := b.kernel.Unpack(all[slot][:], labels, lane); err != nil {
			return label, err
		}
	}
	label = sha256.Sum256(message(id, s.first, node, func(slot int) []byte { return all[slot][:] }))
	label[porep.NodeSize-1] &= 0x3f
	return label, nil
}
