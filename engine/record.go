package engine

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/porep"
)

const (
	// checkpointEvery is Config.CheckpointEvery's default. What is made until the process has
	// ended is lost, too.
	checkpointEvery = 3 * time.Second
	// slowCommit is from what size on a layer takes so long to be read back that what is known
	// of it is noted before.
	slowCommit = 64 << 20
)

// A record is a lane's manifest while layers are made. What it says is on the disk before it
// says so, and everything in it is proved by a hash: a file that is older than the record, or
// newer, or another's, is not believed when a job goes on.
type record struct {
	files *layers.Set
	size  porep.SectorSize
	off   bool // nothing is noted

	tell  func(error) // nil: nobody is told
	wrong error       // that was told last

	mu       sync.Mutex
	m        manifest.Manifest
	unsaved  bool         // m says more than its file
	finished map[int]bool // layers that get their names, or have them

	treesMu sync.Mutex
	trees   map[int]*manifest.Tree // of layers that are being made
}

func newRecord(files *layers.Set, p porep.SealProof, id porep.ReplicaID) *record {
	return &record{
		files: files, size: p.SectorSize(), finished: map[int]bool{}, trees: map[int]*manifest.Tree{},
		m: manifest.Manifest{Proof: p, ReplicaID: id, Engine: engineVersion()},
	}
}

// engineVersion is this module's, as the go command knows it.
var engineVersion = sync.OnceValue(func() string {
	const path = "github.com/sdr-engine/sdr"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	i := slices.IndexFunc(info.Deps, func(m *debug.Module) bool { return m.Path == path })
	switch {
	case info.Main.Path == path && info.Main.Version != "":
		return info.Main.Version
	case i >= 0:
		return info.Deps[i].Version
	}
	return "unknown"
})

func (r *record) tree(layer int) *manifest.Tree {
	r.treesMu.Lock()
	defer r.treesMu.Unlock()
	if r.trees[layer] == nil {
		r.trees[layer] = manifest.NewTree(r.size)
	}
	return r.trees[layer]
}

// checkpoint notes that so many bytes of a layer, from the first on, were written: when they
// are on the disk. What fails is told: more is made again after a crash.
func (r *record) checkpoint(ctx context.Context, layer int, kernel string, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, ok := r.m.Part(layer)
	if r.off || r.finished[layer] || ok && old.Bytes >= bytes || bytes == 0 {
		return
	}
	err := r.files.Layer(layer).Sync()
	var hash manifest.Hash
	if err == nil {
		hash, err = r.tree(layer).Sum(bytes)
	}
	if err != nil {
		r.noted(err)
		return
	}
	r.setPart(manifest.Part{Number: layer, Bytes: bytes, Hash: hash, Kernel: kernel})
	if r.save(ctx) == nil {
		r.files.Keep(layer)
	}
}

// noted tells the caller when it begins to fail, and when it goes well again, that something is noted. It is
// called with mu held, or what failed might be told after what went well later.
func (r *record) noted(err error) {
	if r.tell == nil || (err == nil) == (r.wrong == nil) {
		return
	}
	r.wrong = err
	r.tell(err)
}

// forget gives up what was known of a layer that is being made.
func (r *record) forget(layer int) {
	r.treesMu.Lock()
	defer r.treesMu.Unlock()
	delete(r.trees, layer)
}

func (r *record) setPart(p manifest.Part) {
	r.dropPart(p.Number)
	r.m.Parts = append(r.m.Parts, p)
	slices.SortFunc(r.m.Parts, func(a, b manifest.Part) int { return a.Number - b.Number })
}

func (r *record) dropPart(layer int) {
	r.m.Parts = slices.DeleteFunc(r.m.Parts, func(p manifest.Part) bool { return p.Number == layer })
}

// finish has commit give a layer its name, and notes it.
func (r *record) finish(ctx context.Context, layer int, kernel string, slow bool, commit func() error) error {
	if slow {
		r.checkpoint(ctx, layer, kernel, int64(r.size))
	}
	r.mu.Lock()
	r.finished[layer] = true // its file is commit's from here on
	r.mu.Unlock()
	hash, err := r.tree(layer).Root()
	if err == nil {
		err = commit()
	}
	if err != nil {
		return err
	}
	r.forget(layer)
	r.mu.Lock()
	r.setLayer(manifest.Layer{Number: layer, Hash: hash, Kernel: kernel, Checked: manifest.CheckedReadBack})
	_ = r.save(ctx) // told; if no later one goes well the sector fails at its end
	r.mu.Unlock()
	return nil
}

func (r *record) setLayer(l manifest.Layer) {
	r.finished[l.Number] = true
	r.dropPart(l.Number)
	r.m.Layers = append(slices.DeleteFunc(r.m.Layers, func(o manifest.Layer) bool { return o.Number == l.Number }), l)
	slices.SortFunc(r.m.Layers, func(a, b manifest.Layer) int { return a.Number - b.Number })
}

// drop forgets a layer that is not kept. That shows in the file with the next change.
func (r *record) drop(layer int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.m.Layers = slices.DeleteFunc(r.m.Layers, func(l manifest.Layer) bool { return l.Number == layer })
}

// saved makes sure that all is on the disk that is known.
func (r *record) saved(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.unsaved {
		return nil
	}
	return r.save(ctx)
}

// save writes the manifest, also when the job is to end.
func (r *record) save(ctx context.Context) error {
	if r.off {
		return nil
	}
	err := r.m.Write(context.WithoutCancel(ctx), r.files.Dir())
	r.unsaved = err != nil
	r.noted(err)
	return err
}

// complete makes sure that the manifest of a sector that is done, of layers from first on, is on the
// disk, or, if it is to be dropped, gone.
func (r *record) complete(ctx context.Context, first int, drop bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := len(r.m.Layers)
	r.m.Layers = slices.DeleteFunc(r.m.Layers, func(l manifest.Layer) bool { return l.Number < first })
	r.unsaved = r.unsaved || len(r.m.Layers) < before
	if drop {
		r.off = true
		return r.files.Dir().Remove(manifest.Name)
	}
	if len(r.m.Parts) > 0 {
		r.m.Parts, r.unsaved = nil, true
	}
	if !r.unsaved {
		return nil
	}
	return r.save(ctx)
}

// keepCheckpoints notes, every so often, how far the batch is, until it has ended.
func (p *pipeline) keepCheckpoints(ctx context.Context, w *writing, ended <-chan struct{}) {
	every := p.job.c.CheckpointEvery
	if every == 0 {
		every = checkpointEvery
	}
	if every < 0 || p.unnoted {
		return
	}
	defer p.job.keepOff()()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.checkpoint(ctx, w)
		case <-ended:
			return
		}
	}
}

// checkpoint notes how far the batch is. What fails is told, and tried again the next time.
func (p *pipeline) checkpoint(ctx context.Context, w *writing) {
	index, bytes := w.there(p.store)
	if index >= p.layers || p.job.c.CheckpointEvery < 0 || p.unnoted {
		return
	}
	layer := p.store.first + index
	for _, l := range p.lanes {
		// Looked at after there: what a lane that is alive has below that is written.
		if l.writer(layer) == nil {
			continue
		}
		l.record.checkpoint(ctx, layer, p.kernel.Name, bytes)
	}
}

// there is how much of a layer is written, by all lanes that are alive.
func (w *writing) there(s *store) (index int, bytes int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	position := w.low * w.chunk
	return int(position / s.nodes), int64(position%s.nodes) * porep.NodeSize
}

// refused says what to do about a manifest that a job does not go on from.
func refused(err error) error {
	return fmt.Errorf("engine: going on with what an earlier job left: %w (nothing was touched)", err)
}
