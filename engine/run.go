package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/layers"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
)

const (
	// kernelNodes are labelled in one kernel call. Assembly cannot be
	// preempted: at 64 nodes the collector waits 50 µs at most.
	kernelNodes = 64
	// runNodes is what the parents goroutine computes at a time, 1 ms worth of
	// hashing, and runs is how many such runs it may be ahead: 1 MiB in all.
	runNodes = 2048
	runs     = 8
	// writeNodes are labelled between two messages to the layer's writer.
	writeNodes = 128 << 10
)

// Run labels c.Sectors, one after another, all layers of each. Each layer file
// appears when the layer is complete and on the disk. Layers that are there are
// removed first: their length says nothing about whose they are. Memory is two
// layers, whatever the number of sectors.
//
// Run ends early on the first error and when ctx is done, as soon as the disk has
// taken what it was given last. Then the layer files that are there are complete
// and of this job.
func Run(ctx context.Context, c Config) (Result, error) {
	if err := c.Validate(); err != nil {
		return Result{}, err
	}
	kernel := sha256.Best(1)
	if c.Kernel != "" {
		kernel, _ = sha256.ByName(c.Kernel) // checked by Validate
	}
	if c.Parents == nil {
		g, err := graph.New(c.Proof)
		if err != nil {
			return Result{}, fmt.Errorf("engine: computing parents: %w", err)
		}
		c.Parents = g
	}
	if c.Progress == nil {
		c.Progress = new(Progress)
	}
	size := c.Proof.SectorSize()
	c.Progress.labels.Store(0)
	c.Progress.total.Store(size.Nodes() * uint64(c.Proof.Layers()*len(c.Sectors)))

	var regions [2]*hugepages.Region
	var buffers [2][]byte
	for i := range regions {
		// Were it cut off here, another job's layers would stay.
		region, err := hugepages.Alloc(context.WithoutCancel(ctx), hugepages.Options{Size: uint64(size), Purpose: hugepages.Layers, Threads: 1})
		if err != nil {
			return Result{}, fmt.Errorf("engine: taking memory for a layer: %w", err)
		}
		defer region.Free()
		regions[i], buffers[i] = region, region.Bytes()
	}
	// The kernel clears pages as they are first touched; the hasher need not
	// wait for that.
	populating, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		// An error costs speed, no label: the pages come as they are touched.
		_ = regions[1].Populate(populating) // layer 1
		_ = regions[0].Populate(populating)
	})
	defer func() {
		stop()
		wg.Wait() // before the regions go
	}()

	result := Result{Kernel: kernel.Name}
	for i, s := range c.Sectors {
		j := job{Config: c, sector: s, kernel: kernel, buffers: buffers, nodes: size.Nodes()}
		stats, err := j.run(ctx)
		for _, l := range stats {
			l.Sector = i
			result.Layers = append(result.Layers, l)
		}
		if err != nil {
			return result, fmt.Errorf("engine: labelling sector in %s: %w", s.CacheDir, err)
		}
	}
	return result, nil
}

// A job labels one sector. Three kinds of goroutine share the work: one computes
// parents, the caller's hashes, and one for each layer writes. Labels are
// written once by the hasher and read by a layer's writer only after the hasher
// has sent how far it is.
type job struct {
	Config
	sector  Sector
	kernel  *sha256.Kernel
	buffers [2][]byte // layer l is in buffers[l%2]
	nodes   uint64
}

// A parentRun is the parents of consecutive nodes, and of those that come next,
// for the kernel to prefetch.
type parentRun struct {
	first   uint64
	nodes   int
	parents []uint32
	space   []uint32 // what parents is cut from
}

func (j *job) run(ctx context.Context) (stats []LayerStats, err error) {
	writers, err := layers.Create(j.sector.CacheDir, j.Proof.Layers(), j.Proof.SectorSize())
	if err != nil {
		return nil, err
	}
	defer layers.Abort(writers)
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	stats = j.labelLayers(ctx, cancel, &wg, writers)
	wg.Wait()
	// The first failure, the hasher's or, even after the last label, a
	// writer's, or the caller's wish to stop.
	err = context.Cause(ctx)
	cancel(nil)
	return stats, err
}

// labelLayers starts the other goroutines and hashes layer after layer. It
// returns what it got done; why it was no more, if so, is ctx's cause.
func (j *job) labelLayers(ctx context.Context, cancel context.CancelCauseFunc, wg *sync.WaitGroup, writers []*layers.Writer) (stats []LayerStats) {
	full := make(chan parentRun, runs)
	free := make(chan []uint32, runs)
	for range runs {
		free <- make([]uint32, (runNodes+sha256.Ahead)*porep.Degree)
	}
	wg.Go(func() {
		if err := j.computeParents(ctx, full, free); err != nil {
			cancel(err)
		}
	})

	written := make([]chan struct{}, len(writers))
	for i, w := range writers {
		layer := i + 1
		if layer > 2 {
			// This layer's labels take the place of those two layers down.
			select {
			case <-written[i-2]:
			case <-ctx.Done():
				return stats
			}
		}
		written[i] = make(chan struct{})
		ready := make(chan int, j.nodes/writeNodes+1)
		labels := j.buffers[layer%2]
		wg.Go(func() {
			defer close(written[i])
			if err := w.WriteFrom(ctx, labels, ready); err != nil {
				cancel(fmt.Errorf("layer %d: %w", layer, err))
			}
		})
		j.Progress.layer.Store(int64(layer))
		start := time.Now()
		if err := j.hash(ctx, layer, full, free, ready); err != nil {
			cancel(err) // before the writer finds its layer incomplete
			close(ready)
			return stats
		}
		close(ready)
		stats = append(stats, LayerStats{Layer: layer, Nodes: j.nodes, Hashing: time.Since(start)})
	}
	return stats
}

// computeParents sends the parents of all nodes, in order, once for each layer.
func (j *job) computeParents(ctx context.Context, full chan<- parentRun, free <-chan []uint32) error {
	for range j.Proof.Layers() {
		for first := uint64(0); first < j.nodes; first += runNodes {
			r := parentRun{first: first, nodes: int(min(runNodes, j.nodes-first))}
			select {
			case r.space = <-free:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			r.parents = r.space[:min(runNodes+sha256.Ahead, j.nodes-first)*porep.Degree]
			if err := j.Parents.Parents(r.parents, first); err != nil {
				return err
			}
			full <- r // has room for all that free ever held
		}
	}
	return nil
}

// hash labels one layer and tells its writer how far it is.
func (j *job) hash(ctx context.Context, layer int, full <-chan parentRun, free chan<- []uint32, ready chan<- int) error {
	l := &sha256.Layer{
		ReplicaIDs: [][32]byte{j.sector.ReplicaID},
		Number:     uint32(layer),
		Labels:     j.buffers[layer%2],
	}
	if layer > 1 {
		l.Key = j.buffers[(layer-1)%2]
	}
	for done := uint64(0); done < j.nodes; {
		var r parentRun
		select {
		case r = <-full:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		for i := 0; i < r.nodes; i += kernelNodes {
			n := min(kernelNodes, r.nodes-i)
			if err := j.kernel.Label(l, r.first+uint64(i), n, r.parents[i*porep.Degree:]); err != nil {
				return err
			}
		}
		done = r.first + uint64(r.nodes)
		free <- r.space
		j.Progress.labels.Add(uint64(r.nodes))
		if done%writeNodes == 0 || done == j.nodes {
			ready <- int(done) * porep.NodeSize // has room for all of a layer's
		}
	}
	return nil
}
