package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/plain"
	"github.com/sdr-engine/sdr/internal/roundup"
	"github.com/sdr-engine/sdr/porep"
)

// A Measurement is what Measure saw.
type Measurement struct {
	// Hashers has an entry for each hasher that had a batch.
	Hashers []HasherMeasurement
	Memory  []MemoryStats
	// MemoryWay is the way that Budget mode went.
	MemoryWay MemoryWay
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
	// Read and Written are bytes a node, of all lanes, that went from and to files, if not
	// whole layers are in memory.
	Read, Written float64
	// Slices are equal parts of the time after the first: nodes a second in each.
	Slices []float64
	// Pause, in OneLayer mode, is how long the hasher would wait between two layers of
	// that sector size for what was labelled to be read as the layer before of the next.
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
// In Budget mode what stands for the layer before is the same for each segment of nodes, so that files take
// MeasureRoom, and not what Run takes.
//
// Each hasher does the first of its batches.
func Measure(ctx context.Context, c Config, window time.Duration) (Measurement, error) {
	r, err := c.Resolve()
	if err != nil {
		return Measurement{}, err
	}
	return r.Measure(ctx, window)
}

// Measure is Measure of what was resolved.
func (r *Resolved) Measure(ctx context.Context, window time.Duration) (m Measurement, err error) {
	caller := ctx
	defer func() { err = failure.Returned(caller, err) }()
	if size := r.c.Proof.SectorSize(); size.Nodes() < MinMeasured {
		return m, &ConfigError{"proof", fmt.Sprintf("a sector of %v is too small to measure a part of", size)}
	}
	if window <= 0 {
		return m, &ConfigError{"window", fmt.Sprintf("%v, want more than nothing", window)}
	}
	r.tellSlowDisk()
	j, err := newJob(r)
	if err != nil {
		return m, err
	}
	half := r.shape.nodes / 2
	j.from = half
	for h, counters := range j.counters {
		counters.setStints(2*half, []stint{{sectors: j.split[h][0].sectors, first: 2, last: 2, from: half}})
	}
	r.c.Progress.hashers.Store(&j.counters)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	regions, err := j.takeMemory(ctx)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, free(regions)) }()
	if err := j.startIndex(ctx); err != nil {
		return m, err
	}
	defer j.closeIndex()
	m.Hashers = make([]HasherMeasurement, r.c.Hashers)
	var ready, wg sync.WaitGroup
	ready.Add(r.c.Hashers)
	for h := range r.c.Hashers {
		wg.Go(func() {
			if err := j.measure(ctx, h, regions[h], window, &ready, &m.Hashers[h]); err != nil {
				cancel(failure.Inner(err))
			}
		})
	}
	wg.Wait()
	m.Memory, m.MemoryWay = statsOf(regions), r.c.MemoryWay
	return m, context.Cause(ctx)
}

// measure is one hasher's part. All hashers begin together, when each is ready.
func (j *job) measure(ctx context.Context, h int, r *regions, window time.Duration, ready *sync.WaitGroup, m *HasherMeasurement) error {
	p, err := j.measuredBatch(ctx, h, r)
	ready.Done()
	if err != nil {
		return err
	}
	defer p.close()
	ready.Wait()
	before := trafficOf(p)

	*m = HasherMeasurement{Kernel: p.kernel.Name, Batches: len(j.split[h]), Lanes: len(p.lanes)}
	var sampling sync.WaitGroup
	sampling.Go(func() {
		m.sample(p.hashed, p.counters.nodes.Load, window)
		p.stop()
	})
	p.run(ctx)
	sampling.Wait()
	m.Waited = p.counters.ended()
	for _, l := range p.lanes {
		if err := l.failure(); err != nil {
			return err
		}
	}
	if p.err != nil {
		return p.err
	}
	m.Read, m.Written = trafficOf(p).perNode(before, m.Nodes)
	if err := (measured{pipeline: p}).verify(p.begin, p.flow.Labelled.Load()); err != nil || p.store.one == nil {
		return err
	}
	m.Pause, err = measured{pipeline: p}.pause(ctx, m)
	return err
}

// sample looks how far the hasher is at the end of each slice, until the window is over
// and something is labelled, or the hasher has ended. A slice in which it had no time for a
// single span is as long as it takes.
func (m *HasherMeasurement) sample(hashed <-chan struct{}, labelled func() uint64, window time.Duration) {
	slice := window / (measureSlices + 1)
	began := time.Now()
	last, lastNodes, first := began, uint64(0), true
	timer := time.NewTimer(slice)
	defer timer.Stop()
	for ended := false; !ended && (m.Took < window || m.Nodes == 0); {
		select {
		case <-timer.C:
		case <-hashed:
			ended = true
		}
		now, nodes := time.Now(), labelled()
		if took := now.Sub(last); took >= slice && nodes > lastNodes {
			if !first {
				m.Slices = append(m.Slices, float64(nodes-lastNodes)/took.Seconds())
			}
			first = false
			last, lastNodes = now, nodes
		}
		m.Nodes, m.Took = nodes, now.Sub(began)
		next := min(slice-now.Sub(last), window-m.Took)
		if next <= 0 {
			next = max(slice/8, 100*time.Microsecond)
		}
		timer.Reset(next)
	}
}

// A measured is a batch of which a part was labelled, to measure it.
type measured struct {
	*pipeline
	read [2][]byte // where verify reads parts of all lanes, and of one: see written
}

// pause reads what was labelled back, or as much of it as tells how fast the disk
// is.
func (p measured) pause(ctx context.Context, m *HasherMeasurement) (time.Duration, error) {
	const most = 2 << 30 // bytes
	s, part := p.store, p.store.oneLayer.Part
	from, end := roundup.To(p.begin, part)/part, p.flow.Written.Load()/part
	if end <= from {
		return 0, nil
	}
	parts := min(end-from, max(1, most/(part*porep.NodeSize*uint64(len(p.lanes)))))
	p.flow.Restart() // for those who have ended
	began := time.Now()
	err := p.files.Each(int(parts), func(i int, buffer []byte) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		first, pitch := (from+uint64(i))*part, uint64(p.kernel.Pitch())
		return p.files.Load(s.before(0)[first*pitch:][:part*pitch], s.first, first, buffer[:part*porep.NodeSize], false)
	})
	read := time.Since(began).Seconds() / float64(parts*part)
	for _, l := range p.lanes {
		err = errors.Join(err, l.failure())
	}
	pause := s.oneLayer.Pause(read, m.Took.Seconds()/float64(m.Nodes))
	return time.Duration(pause * float64(time.Second)), err
}

// measuredBatch is a hasher's first batch, with random labels in memory and, where
// it reads them, in the file for far parents.
func (j *job) measuredBatch(ctx context.Context, h int, r *regions) (p *pipeline, err error) {
	p = j.newPipeline(h, j.split[h][0], r)
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	for _, l := range p.lanes {
		s := j.c.Sectors[l.sector]
		l.id, l.first = s.ReplicaID, 2
		l.files, err = layers.Create(ctx, s.CacheDir, 2, 2, j.c.Proof.SectorSize(), j.shape.block())
		if err != nil {
			return p, &SectorError{l.sector, s.CacheDir, err}
		}
		l.record = newRecord(l.files, j.c.Proof, l.id)
	}
	p.unnoted = true
	half := j.shape.nodes / 2
	p.layOut(2, 1, half-half%uint64(j.shape.stride)) // producers count in spans from the layer's first node
	for _, region := range r.all() {
		if err := region.Populate(ctx); err != nil {
			return p, fmt.Errorf("engine: taking memory for hasher %d: %w", h, err)
		}
	}
	if _, err := r.layers.Verify(ctx); err != nil {
		return p, fmt.Errorf("engine: taking memory for hasher %d: %w", h, err)
	}
	r.there.Store(true)
	if p.store.fwd != nil {
		return p, measured{pipeline: p}.fill(ctx)
	}
	fillRandom(ctx, r.layers.Bytes(), seedOf(h, false))
	if p.store.one == nil {
		return p, nil
	}
	spill := cutBuffers(p.kernel, &j.shape, r.buffers).spill
	fillRandom(ctx, spill, seedOf(h, true))
	return p, p.store.one.Fill(ctx)
}

// fillRandom fills memory with numbers that no processor can foresee, quickly. When
// ctx is done it leaves off.
func fillRandom(ctx context.Context, mem []byte, seed uint64) {
	const part = 64 << 20
	var wg sync.WaitGroup
	limit := make(chan struct{}, 4)
	for at := 0; at < len(mem) && ctx.Err() == nil; at += part {
		limit <- struct{}{}
		wg.Go(func() {
			randomBytes(mem[at:min(len(mem), at+part)], seed, uint64(at))
			<-limit
		})
	}
	wg.Wait()
}

// randomBytes are those that a seed has from a multiple of 8 on.
func randomBytes(b []byte, seed, at uint64) {
	x := seed<<48 + at/8*splitMix
	for len(b) >= 8 {
		x += splitMix // SplitMix64
		z := (x ^ x>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		binary.LittleEndian.PutUint64(b, z^z>>31)
		b = b[8:]
	}
}

const splitMix = 0x9e3779b97f4a7c15

// seedOf is that of what stands for the newest labels of a hasher, or for the others.
func seedOf(h int, others bool) uint64 {
	seed := 2 * uint64(h)
	if others {
		seed++
	}
	return seed
}

// verify recomputes, by way of the standard library, a sample of the labels
// of nodes from to to−1 of layer index 0 from the labels that are in memory, or, in Budget mode, from what stood
// for their parents, or is in the file.
func (p measured) verify(from, to uint64) error {
	const samples = 64
	s := p.store
	p.readWritten()
	parents := make([]uint32, porep.Degree)
	r := rand.New(rand.NewPCG(from, to)) // #nosec G404 -- no secret: which labels are looked at
	from = max(from, to-min(to, s.inMemory/2))
	kept := to - min(to, s.inMemory) // base parents before this node are no longer in memory
	checked := 0
	for tries := 0; checked < samples && tries < 100*samples && from < to; tries++ {
		node := from + r.Uint64N(to-from)
		if err := p.job.source.Parents(parents, node); err != nil {
			return err
		}
		inMemory := true
		for _, parent := range parents[:porep.BaseDegree] {
			inMemory = inMemory && (s.fwd != nil || uint64(parent) >= kept)
		}
		if !inMemory {
			continue
		}
		checked++
		for lane, l := range p.lanes {
			want, err := p.label(lane, l.id, node, kept)
			if err != nil {
				return err
			}
			var got [porep.NodeSize]byte
			if err := p.kernel.Unpack(got[:], s.out(0, node, 1), lane); err != nil {
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

// label is a label made of what memory says that its parents are; those before node kept are no longer there.
func (p measured) label(lane int, id porep.ReplicaID, node, kept uint64) ([porep.NodeSize]byte, error) {
	s := p.store
	if s.fwd != nil {
		return p.labelOfSent(lane, id, node, kept)
	}
	return plain.Label(p.job.c.Proof, id, s.first, node, func(layer int, parent uint64) (label [porep.NodeSize]byte, err error) {
		labels := s.out(0, parent, 1)
		if layer != s.first {
			labels = s.before(0)[parent*uint64(p.kernel.Pitch()):][:p.kernel.Pitch()]
		}
		err = p.kernel.Unpack(label[:], labels, lane)
		return label, err
	})
}
