package main

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/fr32"
	"github.com/sdr-engine/sdr/internal/coreclock"
	"github.com/sdr-engine/sdr/internal/portlimits"
	"github.com/sdr-engine/sdr/sha256"
)

// Each figure is the middle one of rounds, in which everything is measured once, in so
// many windows.
const (
	measureRounds  = 5
	measureWindows = 25
)

// What is measured: labels of so many nodes at a time, and tree nodes above so many
// pairs, which the first cache has room for, so many times in a window: a window of some
// microseconds would measure reading the time, too.
const (
	kernelNodes = 64
	kernelPairs = 256
	pairsTimes  = 4
)

// layerNodes is how many nodes a layer has, besides node 0: as many as leave two
// layers and the parents' addresses in the first two caches.
func layerNodes(k *sha256.Kernel) int { return max(kernelNodes, 1024/k.Lanes) }

// measureKernels measures on the CPU that the caller is bound to, in so many rounds of
// so many windows.
func measureKernels(ctx context.Context, rounds, windows int) (*view.Kernels, error) {
	for _, k := range sha256.Kernels() {
		if k.Usable() {
			if err := k.SelfTest(); err != nil {
				return nil, err
			}
		}
	}
	report := &view.Kernels{Instructions: portlimits.Measure(rounds, windows)}
	var tasks []kernelTask
	var slots []int           // where a task's samples go
	trees := map[string]int{} // those of tree nodes: kernels of one instruction set share what hashes them
	for _, k := range sha256.Kernels() {
		set, _, _ := strings.Cut(k.Name, "/")
		for _, layer := range []uint32{1, 2, 0} {
			r := view.Kernel{Kernel: k, Layer: layer, Limit: report.Instructions.Tree(set)}
			if layer > 0 {
				r.Limit = report.Instructions.Label(set, k.Lanes, layer)
			}
			var task kernelTask
			if _, r.Err = sha256.ByName(k.Name); r.Err == nil {
				var err error
				if task, err = newKernelTask(k, layer); err != nil {
					return nil, err
				}
			}
			slot := len(tasks)
			if first, ok := trees[set]; ok && layer == 0 {
				slot = first
			} else if layer == 0 {
				trees[set] = slot
			}
			report.Rows = append(report.Rows, r)
			tasks = append(tasks, task)
			slots = append(slots, slot)
		}
	}
	samples := make([][]coreclock.Sample, len(tasks))
	for range rounds {
		for i, task := range tasks {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if task.step == nil {
				continue
			}
			s, err := task.measure(windows)
			if err != nil {
				return nil, err
			}
			samples[slots[i]] = append(samples[slots[i]], s)
		}
	}
	for i, task := range tasks {
		if task.step != nil {
			report.Rows[i].Took = coreclock.Middle(samples[slots[i]])
		}
	}
	return report, nil
}

// fr32Bytes is how much padded data is padded and unpadded: more than the caches that a core
// has for itself, as a piece is.
const fr32Bytes = 64 << 20

// measureFR32 measures padding and unpadding of so many bytes of padded data, a multiple of
// 128, and a copy of as many, in turn in each round, on the core that the caller is bound to.
func measureFR32(ctx context.Context, rounds, size int) ([]view.Padding, error) {
	unpadded, padded, other := make([]byte, size/128*127), make([]byte, size), make([]byte, size)
	tasks := []struct {
		name string
		run  func() error
	}{
		{"copy", func() error { copy(other, padded); return nil }},
		{fr32.Kernel() + " pad", func() error { return fr32.Pad(padded, unpadded) }},
		{fr32.Kernel() + " unpad", func() error { return fr32.Unpad(unpadded, padded) }},
	}
	took := make([][]float64, len(tasks))
	for round := range rounds + 1 {
		for i, task := range tasks {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			start := time.Now()
			if err := task.run(); err != nil {
				return nil, err
			}
			if d := time.Since(start).Seconds(); round > 0 && d > 0 { // the first finds the memory
				took[i] = append(took[i], float64(size)/d)
			}
		}
	}
	var all []view.Padding
	for i, task := range tasks {
		n := len(took[i])
		if n == 0 {
			return nil, nil // the system's clock is too coarse
		}
		slices.Sort(took[i])
		all = append(all, view.Padding{Name: task.name, Size: uint64(size), Median: took[i][n/2], Low: took[i][n/4], High: took[i][n-1-n/4]})
	}
	return all, nil
}

// A kernelTask is some work of a kernel, short enough for a window.
type kernelTask struct {
	step  func() error  // nil if the kernel cannot run here
	units int           // labels or tree nodes that a step makes
	layer *sha256.Layer // what is labelled, which spans do not keep
}

// newKernelTask labels nodes in a layer or, in layer 0, makes tree nodes.
func newKernelTask(k *sha256.Kernel, layer uint32) (kernelTask, error) {
	if layer == 0 {
		src, dst := make([]byte, kernelPairs*64), make([]byte, kernelPairs*32)
		return kernelTask{func() error {
			for range pairsTimes {
				if err := k.HashPairs(dst, src); err != nil {
					return err
				}
			}
			return nil
		}, pairsTimes * kernelPairs, nil}, nil
	}
	l, spans, err := kernelSpans(k, layer)
	if err != nil {
		return kernelTask{}, err
	}
	next := 0
	return kernelTask{func() error {
		r := &spans[next%len(spans)]
		next++
		return k.LabelSpan(r)
	}, kernelNodes * k.Lanes, l}, nil
}

// measure is how many cycles a label or tree node takes.
func (t kernelTask) measure(windows int) (coreclock.Sample, error) {
	defer runtime.KeepAlive(t.layer)
	var failed error
	s := coreclock.Cycles(windows, func() {
		if err := t.step(); err != nil {
			failed = err
		}
	})
	for _, cycles := range []*float64{&s.Median, &s.Low, &s.High} {
		*cycles /= float64(t.units)
	}
	return s, failed
}

// kernelSpans is a layer, and its nodes but node 0 in spans. A node's first parent is the
// node before, as in a graph; the others are anywhere before it, and in the layer
// before.
func kernelSpans(k *sha256.Kernel, layer uint32) (*sha256.Layer, []sha256.Span, error) {
	const base, all = 6, 14
	n := 1 + layerNodes(k) + sha256.Ahead
	random := rand.New(rand.NewPCG(1, 2)) // #nosec G404 -- no secret: what is measured with
	parents := make([]uint32, n*all)
	for i := range parents {
		node, slot := i/all, i%all
		switch {
		case slot >= base:
			parents[i] = random.Uint32N(uint32(n))
		case node > 0 && slot == 0:
			parents[i] = uint32(node - 1)
		case node > 0:
			parents[i] = random.Uint32N(uint32(node))
		}
	}
	l := &sha256.Layer{ReplicaIDs: make([][32]byte, k.Lanes), Number: layer, Labels: alignedTo(k.Align, n*k.Pitch())}
	if layer > 1 {
		l.Before = alignedTo(k.Align, n*k.Pitch())
	}
	rows := sha256.NewRows(n)
	if err := rows.Locate(k, l, parents); err != nil {
		return nil, nil, err
	}
	var spans []sha256.Span
	for first := 1; first <= layerNodes(k); first += kernelNodes {
		spans = append(spans, sha256.Span{
			ReplicaIDs: l.ReplicaIDs, Layer: layer, First: uint64(first),
			Out:  l.Labels[first*k.Pitch():][:kernelNodes*k.Pitch()],
			Rows: rows.Slice(first, n),
		})
	}
	return l, spans, nil
}

// alignedTo is size bytes at a multiple of align, a power of two.
func alignedTo(align, size int) []byte {
	b := make([]byte, size+align)
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (align - 1)
	return b[skip:][:size:size]
}
