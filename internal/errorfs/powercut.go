package errorfs

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/sdr-engine/sdr/internal/durable"
)

// A Recorder notes what a job does to the files of one directory, in order, so that what a
// power cut may leave at any moment can be made again: see Cut.
type Recorder struct {
	dir string

	mu    sync.Mutex
	steps []step
	nodes []*inode          // by number
	open  map[string]int    // by final name: the file that is written
	names map[string]int    // as they are now
	begun map[string][2]int // of a sync on its way, by name: steps that it covers, and a file
}

// A step is one operation. What is not synced by a later one may be lost.
type step struct {
	node   int
	off    int64 // of a write
	data   []byte
	name   string // that begins or ends to lead to node
	ends   bool
	covers int // of a sync: the steps before this one
}

type inode struct {
	size    int64
	content []byte // that it had when recording began
}

// NewRecorder is one for a directory, with the files that are in it now.
func NewRecorder(dir string) (*Recorder, error) {
	r := &Recorder{dir: dir, open: map[string]int{}, names: map[string]int{}, begun: map[string][2]int{}}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		r.names[e.Name()] = len(r.nodes)
		r.steps = append(r.steps, step{node: len(r.nodes), name: e.Name()})
		r.nodes = append(r.nodes, &inode{int64(len(b)), b})
	}
	r.steps = append(r.steps, step{node: everyName, covers: len(r.steps)})
	return r, nil
}

// everyName is the node of a directory's sync.
const everyName = -1

// With is a context in which operations are recorded.
func (r *Recorder) With(ctx context.Context) context.Context { return durable.WithInjector(ctx, r) }

// Steps is how many there were.
func (r *Recorder) Steps() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.steps)
}

// Before implements durable.Injector: a sync covers what was done before it began.
func (r *Recorder) Before(op *durable.Op) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch op.Kind {
	case durable.OpSync:
		r.begun[op.Path] = [2]int{len(r.steps), r.node(op.Path)}
	case durable.OpSyncDir:
		r.begun[op.Path] = [2]int{len(r.steps), everyName}
	}
	return nil
}

// node is the file that is written at a path; everyName if it is none of this directory.
func (r *Recorder) node(path string) int {
	if n, ok := r.open[filepath.Base(path)]; ok && filepath.Dir(path) == r.dir {
		return n
	}
	return everyName
}

// After implements durable.Injector.
func (r *Recorder) After(op *durable.Op) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if op.Kind == durable.OpSyncDir && op.Path == r.dir {
		r.steps = append(r.steps, step{node: everyName, covers: r.begun[op.Path][0]})
	}
	if filepath.Dir(op.Path) != r.dir {
		return nil
	}
	name := filepath.Base(op.Path)
	final := strings.TrimSuffix(strings.TrimPrefix(name, "."), ".tmp")
	switch op.Kind {
	case durable.OpCreate:
		r.open[final] = len(r.nodes)
		r.nodes = append(r.nodes, &inode{})
		r.link(name, r.open[final])
	case durable.OpOpen:
		if n, ok := r.names[name]; ok && final != name { // adopted
			r.open[final] = n
		}
	case durable.OpReserve:
		if info, err := os.Stat(filepath.Join(r.dir, durable.TempName(name))); err == nil {
			n := r.nodes[r.node(op.Path)]
			n.size = max(n.size, info.Size())
		}
	case durable.OpWrite:
		r.steps = append(r.steps, step{node: r.node(op.Path), off: op.Off, data: append([]byte(nil), op.Buf...)})
	case durable.OpSync:
		r.steps = append(r.steps, step{node: r.begun[op.Path][1], covers: r.begun[op.Path][0]})
	case durable.OpCopy:
		b, err := os.ReadFile(filepath.Join(r.dir, durable.TempName(name)))
		if err == nil {
			r.nodes[r.node(op.Path)].size = int64(len(b))
			r.steps = append(r.steps, step{node: r.node(op.Path), data: b})
		}
	case durable.OpPublish:
		n := r.node(op.Path)
		if b, err := os.ReadFile(op.Path); n == everyName && err == nil { // on the disk, and in another directory till now
			n = len(r.nodes)
			r.nodes = append(r.nodes, &inode{int64(len(b)), b})
		}
		r.link(name, n)
		r.unlink(durable.TempName(name))
	case durable.OpRemove:
		r.unlink(name)
	}
	return nil
}

func (r *Recorder) link(name string, n int) {
	r.names[name] = n
	r.steps = append(r.steps, step{node: n, name: name})
}

func (r *Recorder) unlink(name string) {
	if n, ok := r.names[name]; ok {
		delete(r.names, name)
		r.steps = append(r.steps, step{node: n, name: name, ends: true})
	}
}

// Cut makes in another directory what a power cut after so many steps may leave. Of what no
// sync has covered each page of so many bytes, and each name, is there as it was written, or is
// not: as keep says, each time that it is asked.
func (r *Recorder) Cut(to string, steps, page int, keep func() bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	safe := make([]bool, steps)
	for _, s := range r.steps[:steps] {
		for i := range s.covers {
			// A sync of the directory is of names, one of a file of its data.
			safe[i] = safe[i] || r.steps[i].covers == 0 && (s.node == everyName && r.steps[i].name != "" || s.node >= 0 && r.steps[i].node == s.node && r.steps[i].name == "")
		}
	}
	content := map[int][]byte{}
	bytesOf := func(n int) []byte {
		if content[n] == nil {
			content[n] = make([]byte, max(r.nodes[n].size, int64(len(r.nodes[n].content))))
			copy(content[n], r.nodes[n].content)
		}
		return content[n]
	}
	names := map[string]int{}
	for i, s := range r.steps[:steps] {
		switch {
		case s.covers > 0 || s.node < 0:
		case s.name != "":
			if !safe[i] && !keep() {
				continue
			}
			if s.ends {
				if names[s.name] == s.node {
					delete(names, s.name)
				}
			} else {
				names[s.name] = s.node
			}
		default:
			b := bytesOf(s.node)
			for at := 0; at < len(s.data); at += page {
				if end := min(len(s.data), at+page); safe[i] || keep() {
					copy(b[s.off+int64(at):], s.data[at:end])
				}
			}
		}
	}
	var errs []error
	for name, n := range names {
		errs = append(errs, os.WriteFile(filepath.Join(to, name), bytesOf(n), 0o666)) // #nosec G306 -- a test
	}
	return errors.Join(errs...)
}

// Keeps are what a power cut may do with what is not synced: nothing of it is there, all of it,
// or some.
func Keeps(r *rand.Rand) map[string]func() bool {
	return map[string]func() bool{
		"dropped": func() bool { return false },
		"kept":    func() bool { return true },
		"torn":    func() bool { return r.IntN(2) == 0 },
	}
}
