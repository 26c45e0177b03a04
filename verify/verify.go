// Package verify tells whether the labels in a sector's layer files are what their parents make
// them: a sample, by way of the standard library, or all of them, on all cores, by kernels that
// agreed with it before. It changes nothing.
package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/internal/plain"
	"github.com/sdr-engine/sdr/internal/workers"
	"github.com/sdr-engine/sdr/porep"
)

// A Sector says whose layers lie where.
type Sector struct {
	Proof     porep.SealProof
	ReplicaID porep.ReplicaID
	CacheDir  string // which has the layers
}

// Options are how much is checked, and with what. The zero value is a good one.
type Options struct {
	// Layers are those to check, from 1. Default: all.
	Layers []int
	// Subset is what Full checks of each layer. Default: all of it.
	Subset Subset
	// Memory is the most bytes that Full takes. Default: two layers, in which case each layer is
	// read once, or, if the machine has less to give, three quarters of that.
	Memory uint64
	// Kernel is the name of the kernel that Full uses, one that spreads. Default: the fastest.
	Kernel string
	// Workers is how many threads check. Default: one for each CPU, GOMAXPROCS at most.
	Workers int
	// Progress, if not nil, is kept up to date.
	Progress *Progress
}

func (o *Options) workers() int {
	if o.Workers > 0 {
		return o.Workers
	}
	return workers.Most()
}

// maxWorkers is more than there are CPUs; a process has no room for very many threads.
const maxWorkers = 4096

// Progress is where a check stands. The check writes it, anybody may read it.
type Progress struct {
	layer, passes     atomic.Int64
	done, total, read atomic.Uint64
}

// Labels returns how many labels are checked and how many are to be.
func (p *Progress) Labels() (done, total uint64) { return p.done.Load(), p.total.Load() }

// Layer is the layer that is being checked, and 0 before the first.
func (p *Progress) Layer() int { return int(p.layer.Load()) }

// Passes is how often a layer is gone through: more than once where memory has no room for two.
func (p *Progress) Passes() int { return int(p.passes.Load()) }

// Read is how many bytes were read.
func (p *Progress) Read() uint64 { return p.read.Load() }

// A Report is what a check found.
type Report struct {
	Layers []Layer // one for each that was checked, in ascending order
}

// A Layer is what a check found in one layer.
type Layer struct {
	Layer   int
	Path    string
	Checked uint64 // labels
	Wrong   uint64 // of these
	// First is the wrong label of the lowest node; nil if there is none.
	First *Wrong
	// Length says that the file is not as long as a layer; then its labels are not checked.
	Length *LengthError
	// Hash is how the layer differs from the manifest beside it; nil if it does not, there is
	// none, or not all of the layer was read.
	Hash *HashError
}

// A Wrong is a label that is not what its parents' labels make it.
type Wrong struct {
	Layer    int
	Node     uint64
	Offset   int64 // of the label in the layer's file
	Expected porep.Commitment
	Found    porep.Commitment
	// Parents are those of its parents whose own labels are not what their parents make them:
	// then it may be they that are wrong.
	Parents []Parent
}

// A Parent is one of a node's.
type Parent struct {
	Slot  int // base parents are 0 to 5, expander parents 6 to 13
	Layer int
	Node  uint64
}

func (w *Wrong) Error() string {
	text := fmt.Sprintf("verify: layer %d: node %d, at byte %d, is %v, its parents' labels make it %v", w.Layer, w.Node, w.Offset, w.Found, w.Expected)
	for i, p := range w.Parents {
		if i == 0 {
			text += "; of its parents these are wrong themselves:"
		}
		text += fmt.Sprintf(" node %d of layer %d", p.Node, p.Layer)
	}
	return text
}

// A HashError says that a layer is not the one whose hash its manifest has.
type HashError struct {
	Path            string
	Expected, Found string
}

func (e *HashError) Error() string {
	return fmt.Sprintf("verify: %s: its hash is %s, the manifest's is %s: it was changed after it was made", e.Path, e.Found, e.Expected)
}

// A LengthError says that a layer's file has another length than a layer.
type LengthError struct {
	Path        string
	Found, Want int64
}

func (e *LengthError) Error() string {
	return fmt.Sprintf("verify: %s has %d bytes, a layer has %d", e.Path, e.Found, e.Want)
}

// ErrWrong is what errors.Is finds in Report.Err: the data is wrong, not the checking of it.
var ErrWrong = errors.New("the data is wrong")

// A wrongError is ErrWrong with what is wrong.
type wrongError struct{ error }

func (e wrongError) Unwrap() []error { return []error{e.error, ErrWrong, failure.ErrCorrupt} }

// Err is nil if nothing is wrong. Otherwise it is an ErrWrong, with a *Wrong, *HashError or
// *LengthError for each layer that is.
func (r *Report) Err() error {
	var errs []error
	for _, l := range r.Layers {
		if l.First != nil {
			errs = append(errs, l.First)
		}
		if l.Length != nil {
			errs = append(errs, l.Length)
		}
		if l.Hash != nil {
			errs = append(errs, l.Hash)
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return wrongError{errors.Join(errs...)}
}

// A check is one call at work.
type check struct {
	Sector
	o       Options
	nodes   uint64
	readers map[int]*durable.Reader // by layer
	report  Report

	mu sync.Mutex // of report's layers
}

// newCheck opens what is to be read.
func newCheck(ctx context.Context, s Sector, o Options) (c *check, err error) {
	if err := s.Proof.Check(); err != nil {
		return nil, fmt.Errorf("verify: checking options: %w", err)
	}
	c = &check{Sector: s, o: o, nodes: s.Proof.SectorSize().Nodes(), readers: map[int]*durable.Reader{}}
	if c.o.Progress == nil {
		c.o.Progress = new(Progress)
	}
	if o.Workers < 0 || o.Workers > maxWorkers {
		return nil, &OptionError{"workers", fmt.Sprintf("%d is not between 0, which is one for each CPU, and %d", o.Workers, maxWorkers)}
	}
	c.o.Workers = o.workers()
	if len(o.Layers) == 0 {
		for layer := range s.Proof.Layers() {
			c.o.Layers = append(c.o.Layers, layer+1)
		}
	}
	c.o.Layers = slices.Compact(slices.Sorted(slices.Values(c.o.Layers)))
	for _, layer := range c.o.Layers {
		if layer < 1 || layer > s.Proof.Layers() {
			return nil, &OptionError{"layer", fmt.Sprintf("%d is not between 1 and %d", layer, s.Proof.Layers())}
		}
	}
	opened := c
	defer func() {
		if err != nil {
			opened.close()
		}
	}()
	for _, layer := range c.o.Layers {
		l := Layer{Layer: layer, Path: layers.Path(s.CacheDir, layer)}
		for _, of := range []int{layer, layer - 1} {
			if of < 1 {
				continue
			}
			length, err := c.open(ctx, of)
			if err != nil {
				return nil, err
			}
			if length != int64(s.Proof.SectorSize()) {
				if of != layer {
					// Its own line says so, if it is checked; this one's labels follow from nothing.
					return nil, fmt.Errorf("verify: checking layer %d: %w", layer, wrongError{&LengthError{layers.Path(s.CacheDir, of), length, int64(s.Proof.SectorSize())}})
				}
				l.Length = &LengthError{l.Path, length, int64(s.Proof.SectorSize())}
				break
			}
		}
		c.report.Layers = append(c.report.Layers, l)
	}
	return c, nil
}

// An OptionError says what is wrong with an option.
type OptionError struct{ Option, Reason string }

// Is reports whether target is the kind ErrBadInput.
func (e *OptionError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *OptionError) Error() string {
	return fmt.Sprintf("verify: checking options: %s: %s", e.Option, e.Reason)
}

// open opens a layer, unless it is open, and returns its length.
func (c *check) open(ctx context.Context, layer int) (int64, error) {
	r := c.readers[layer]
	if r == nil {
		opened, err := durable.Open(ctx, layers.Path(c.CacheDir, layer))
		if err != nil {
			return 0, fmt.Errorf("verify: opening layer %d: %w", layer, err)
		}
		r = opened
		c.readers[layer] = r
	}
	info, err := r.File().Stat()
	if err != nil {
		return 0, fmt.Errorf("verify: opening layer %d: %w", layer, err)
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("verify: opening layer %d: %s is not a file (%s)", layer, layers.Path(c.CacheDir, layer), info.Mode().Type())
	}
	return info.Size(), nil
}

func (c *check) close() {
	for _, r := range c.readers {
		r.Close()
	}
}

// labelAt reads a label.
func (c *check) labelAt(ctx context.Context) func(layer int, node uint64) ([porep.NodeSize]byte, error) {
	return func(layer int, node uint64) (label [porep.NodeSize]byte, err error) {
		if ctx.Err() != nil { // each read may take a disk's seek
			return label, context.Cause(ctx)
		}
		err = c.readers[layer].Read(durable.Behind, label[:], int64(node)*porep.NodeSize)
		c.o.Progress.read.Add(porep.NodeSize)
		return label, err
	}
}

// isWrong recomputes one label by the independent path; nil if it is right.
func (c *check) isWrong(ctx context.Context, layer int, node uint64) (*Wrong, error) {
	at := c.labelAt(ctx)
	found, err := at(layer, node)
	if err != nil {
		return nil, err
	}
	want, err := plain.Label(c.Proof, c.ReplicaID, layer, node, at)
	if err != nil || found == want {
		return nil, err
	}
	return &Wrong{Layer: layer, Node: node, Offset: int64(node) * porep.NodeSize, Expected: want, Found: found}, nil
}

// blame finds which of a wrong label's parents are wrong themselves.
func (c *check) blame(ctx context.Context, w *Wrong) error {
	if w.Node == 0 {
		return nil
	}
	for slot, parent := range plain.Parents(c.Proof, w.Node) {
		layer := plain.LayerOf(w.Layer, slot)
		if layer == 0 {
			break
		}
		if layer > 1 {
			if length, err := c.open(ctx, layer-1); err != nil || length != int64(c.Proof.SectorSize()) {
				continue // what it follows from is not there
			}
		}
		p := Parent{slot, layer, uint64(parent)}
		if slices.ContainsFunc(w.Parents, func(o Parent) bool { return o.Layer == p.Layer && o.Node == p.Node }) {
			continue
		}
		wrong, err := c.isWrong(ctx, layer, p.Node)
		if err != nil {
			return err
		}
		if wrong != nil {
			w.Parents = append(w.Parents, p)
		}
	}
	return nil
}

// note notes a wrong label.
func (c *check) note(l *Layer, w *Wrong) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.Wrong++
	if l.First == nil || w.Node < l.First.Node {
		l.First = w
	}
}

// finish is what comes after all labels were checked.
func (c *check) finish(ctx context.Context) (Report, error) {
	for i := range c.report.Layers {
		if first := c.report.Layers[i].First; first != nil {
			if err := c.blame(ctx, first); err != nil {
				return c.report, err
			}
		}
	}
	return c.report, nil
}

// manifestOf is that of the sector; nil if there is none. One of another sector is an error.
func manifestOf(ctx context.Context, s Sector) (*manifest.Manifest, error) {
	m, err := manifest.Read(ctx, s.CacheDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.As(err, new(*manifest.DamagedError)):
		return nil, wrongError{err}
	case err != nil:
		return nil, err
	}
	return m, m.Of(s.CacheDir, s.Proof, s.ReplicaID)
}
