package parentcache

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/porep"
)

// A Step is one of the things that take time.
type Step uint8

// The steps, in the order in which they may happen.
const (
	StepVerify   Step = iota // an existing file, or one that was just written, is read
	StepReject               // an existing file is wrong, Event.Err says how, and will be replaced
	StepWait                 // another process generates the file
	StepGenerate             // parents are computed and written
)

func (s Step) String() string {
	if s > StepGenerate {
		return fmt.Sprintf("Step(%d)", uint8(s))
	}
	return [...]string{"verify", "reject", "wait", "generate"}[s]
}

// An Event tells a hook how far a step is. Events come one at a time, some
// thousands in a second, and the work waits for the hook.
type Event struct {
	Step        Step
	Path        string // of the parent cache; only in StepReject and StepWait
	Done, Total uint64 // nodes; only in StepVerify and StepGenerate
	Err         error  // a *CorruptError; only in StepReject
}

func notify(hook func(Event), e Event) {
	if hook != nil {
		hook(e)
	}
}

// report tells a hook that the blocks up to b are done.
func report(hook func(Event), step Step, b *block, nodes uint64) {
	notify(hook, Event{Step: step, Done: b.first + uint64(len(b.bytes))/rowSize, Total: nodes})
}

// Generate makes p's parent cache in dir, which it creates if need be, and
// returns its path. A valid file is kept, a wrong one replaced. The file is
// written under another name, on all cores, and takes its own name when it is
// verified and on the disk; after an error or a cancellation nothing is left of
// it. Where there are locks (Linux), one of several processes generates while the
// others wait.
//
// A hook, which may be nil, is told what happens.
func Generate(ctx context.Context, p porep.SealProof, dir string, hook func(Event)) (path string, err error) {
	f, err := provide(ctx, p, dir, hook)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, name(p)), f.Close()
}

// provide returns p's parent cache, verified, generating it if need be.
func provide(ctx context.Context, p porep.SealProof, dir string, hook func(Event)) (file *verified, err error) {
	if err := p.Check(); err != nil {
		return nil, fmt.Errorf("parentcache: generating in %s: %w", dir, err)
	}
	path := filepath.Join(dir, name(p))
	file, wrong, err := openValid(ctx, p, path, hook)
	if file != nil || err != nil {
		return file, err
	}

	failed := func(err error) error {
		return fmt.Errorf("parentcache: generating %s for %v: %w", path, p, err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil { // #nosec G301 -- the umask decides, as for what any command makes
		return nil, failed(err)
	}
	lock, err := takeLock(ctx, path+".lock", func() { notify(hook, Event{Step: StepWait, Path: path}) })
	if err != nil {
		return nil, failed(fmt.Errorf("locking: %w", err))
	}
	defer lock.Close()

	// The process that had the lock may have made the file in the meantime.
	if now, err := os.Stat(path); err == nil && !same(wrong, now) {
		if file, _, err = openValid(ctx, p, path, hook); file != nil || err != nil {
			return file, err
		}
	}
	if file, err = generate(ctx, p, path, hook); err != nil {
		return nil, failed(err)
	}
	return file, nil
}

// openValid returns p's parent cache, verified. If there is none, or a wrong
// one, it returns neither file nor error; for a wrong one it returns what
// identifies it.
func openValid(ctx context.Context, p porep.SealProof, path string, hook func(Event)) (file *verified, wrong os.FileInfo, err error) {
	info, _ := os.Stat(path)
	file, err = openVerified(ctx, p, path, hook)
	var corrupt *CorruptError
	switch {
	case errors.As(err, &corrupt):
		notify(hook, Event{Step: StepReject, Path: path, Err: err})
		return nil, info, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, nil
	}
	return file, nil, err
}

// same reports whether a is b and was not written to in between.
func same(a, b os.FileInfo) bool {
	return a != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// generate makes the file at path. The caller holds the lock.
func generate(ctx context.Context, p porep.SealProof, path string, hook func(Event)) (file *verified, err error) {
	f, err := durable.Create(ctx, path)
	if err != nil {
		return nil, err
	}
	defer f.Abort()
	if err := f.Reserve(Size(p)); err != nil {
		return nil, err
	}
	sums := newSums(p)
	digest, err := writeParents(ctx, p, f, sums, hook)
	if err != nil {
		return nil, err
	}
	if want, ok := Digest(p); !ok {
		err = verifyParents(ctx, p, f, path, sums, hook)
	} else if digest != want {
		err = &CorruptError{path, "SHA-256", fmt.Sprintf("%x", digest), fmt.Sprintf("%x", want)}
	}
	if err != nil {
		return nil, err
	}
	r, err := f.Reader()
	if err != nil {
		return nil, err
	}
	if err := f.Replace(ctx); err != nil {
		r.Close()
		return nil, err
	}
	return &verified{r.File(), sums}, nil
}

// writeParents writes the parents of all nodes and returns the SHA-256 of what
// it wrote. All cores compute and write; the blocks are hashed in order.
func writeParents(ctx context.Context, p porep.SealProof, w io.WriterAt, sums sums, hook func(Event)) (digest [32]byte, err error) {
	g, err := graph.New(p)
	if err != nil {
		return digest, err
	}
	hash := sha256.New()
	err = run(ctx, g.Nodes(), func(b *block) error {
		if err := g.Parents(b.parents, b.first); err != nil {
			return err
		}
		for i, v := range b.parents {
			binary.LittleEndian.PutUint32(b.bytes[4*i:], v)
		}
		sums.take(b)
		if _, err := w.WriteAt(b.bytes, b.offset()); err != nil {
			return fmt.Errorf("writing %d bytes at offset %d of %d: %w", len(b.bytes), b.offset(), Size(p), err)
		}
		return nil
	}, func(b *block) error {
		hash.Write(b.bytes)
		report(hook, StepGenerate, b, g.Nodes())
		return nil
	})
	hash.Sum(digest[:0])
	return digest, err
}
