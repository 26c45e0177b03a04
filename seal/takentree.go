package seal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sdr-engine/sdr/internal/durable"
)

// takes reports whether tree-d is to come from beside staged: in the cache dir there is none.
func (s *Sector) takes() bool {
	if s.TreeD == "" {
		return false
	}
	_, err := os.Lstat(s.treeDPath())
	return errors.Is(err, fs.ErrNotExist)
}

// checkTaken looks at the tree-d that is to be taken.
func (s *Sector) checkTaken() error {
	if !s.takes() {
		return nil
	}
	failed := func(reason string, err error) error {
		return &PathError{Role: "tree-d beside staged", Path: s.TreeD, Reason: reason, Err: err}
	}
	info, err := os.Stat(s.TreeD)
	switch {
	case err != nil:
		return failed("", err)
	case !info.Mode().IsRegular():
		return failed("is not a file", nil)
	}
	if other, err := otherFileSystem(s.TreeD, s.CacheDir); err == nil && other {
		return failed(fmt.Sprintf("is on another file system than the cache dir, %s: it cannot be moved there; without it tree-d is built", s.CacheDir), nil)
	}
	return nil
}

// A takenTree is an existing one that is moved into the cache dir.
type takenTree struct {
	*existingTree
	from string
}

func (t *takenTree) Commit(ctx context.Context) error {
	if err := durable.SyncFile(ctx, t.File()); err != nil {
		return fmt.Errorf("seal: syncing tree-d beside staged: %w", err)
	}
	if err := durable.Take(ctx, t.File(), t.from, t.path); err != nil {
		return fmt.Errorf("seal: taking tree-d %q into the cache dir: %w", t.from, err)
	}
	if err := durable.SyncDir(ctx, filepath.Dir(t.from)); err != nil {
		return fmt.Errorf("seal: taking tree-d %q into the cache dir: %w", t.from, err)
	}
	t.mark = t.mark.At(t.path)
	return nil
}
