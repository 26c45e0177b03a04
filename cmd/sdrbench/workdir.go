package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/topology"
)

// Bench and tune work in a directory of their own, which they remove. A process that is
// killed leaves it, with gigabytes. So that the next one can tell whether anybody
// still works there, its workLock is locked as long as the process lives: one that finds that
// file, and can lock it, knows that nobody does. It gets its name when it is locked.
const workLock = "lock"

// workName are the names that makeWorkDir gives.
var workName = regexp.MustCompile(`^sdrbench-[0-9]+$`)

// makeWorkDir makes a directory in parent to work in.
func makeWorkDir(parent string) (dir string, remove func() error, err error) {
	dir, err = os.MkdirTemp(parent, "sdrbench-")
	if err != nil {
		return "", nil, fmt.Errorf("making a temporary directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, workLock+".new"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		// Without locks it has no such file, and nobody thinks that it was left behind.
		if err = linux.TryLock(lock); err == nil {
			err = os.Rename(lock.Name(), filepath.Join(dir, workLock))
		} else if errors.Is(err, errors.ErrUnsupported) {
			err = nil
		}
	}
	remove = func() error {
		// The lock goes last: what a kill in between leaves is a leftover, too.
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			if e.Name() != workLock {
				err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
			}
		}
		err = errors.Join(err, os.RemoveAll(dir))
		lock.Close()
		return err
	}
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("making a temporary directory: locking it: %w", err), remove())
	}
	return dir, remove, nil
}

// A leftover is a directory of makeWorkDir's whose process was killed.
type leftover struct {
	name  string
	bytes int64 // of its files
	root  *os.Root
	lock  *os.File // locked, so that nobody else removes it meanwhile
}

// leftovers are those in parent. Another user's are none, nor is what a link leads to. Each
// is to be closed.
func leftovers(parent string) (all []*leftover) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return nil // the job that works there says so
	}
	root, err := os.OpenRoot(parent)
	if err != nil {
		return nil
	}
	defer root.Close()
	for _, e := range entries {
		if workName.MatchString(e.Name()) {
			if l := openLeftover(root, e.Name()); l != nil {
				all = append(all, l)
			}
		}
	}
	return all
}

// openLeftover is nil for what is none.
func openLeftover(parent *os.Root, name string) *leftover {
	ours := func(info fs.FileInfo) bool {
		uid, _, ok := linux.Owner(info)
		return ok && uid == os.Geteuid()
	}
	info, err := parent.Lstat(name)
	if err != nil || !info.IsDir() || !ours(info) {
		return nil
	}
	root, err := parent.OpenRoot(name)
	if err != nil {
		return nil
	}
	l := &leftover{name: filepath.Join(parent.Name(), name), root: root}
	if now, err := root.Stat("."); err != nil || !os.SameFile(info, now) {
		l.close()
		return nil
	}
	if info, err = root.Lstat(workLock); err != nil || !info.Mode().IsRegular() || !ours(info) {
		l.close()
		return nil
	}
	if l.lock, err = root.OpenFile(workLock, os.O_RDWR|linux.NoFollow, 0); err != nil || linux.TryLock(l.lock) != nil {
		l.close()
		return nil
	}
	_ = fs.WalkDir(root.FS(), ".", func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				l.bytes += info.Size()
			}
		}
		return nil
	})
	return l
}

func (l *leftover) close() {
	if l.lock != nil {
		l.lock.Close()
	}
	l.root.Close()
}

// remove removes what is in the directory that was opened, whatever has its name by now,
// its lock last; and the name, if that is empty.
func (l *leftover) remove() error {
	entries, err := fs.ReadDir(l.root.FS(), ".")
	for _, e := range entries {
		if e.Name() != workLock {
			err = errors.Join(err, l.root.RemoveAll(e.Name()))
		}
	}
	if err != nil {
		return err
	}
	return errors.Join(l.root.Remove(workLock), os.Remove(l.name))
}

// clearLeftovers removes what killed processes left in a directory, or only says what there is.
func (a *app) clearLeftovers(parent string, remove bool) error {
	var errs []error
	for _, l := range leftovers(parent) {
		size := topology.SizeText(uint64(l.bytes))
		if !remove {
			a.note("%s was left behind by a process that was killed, %s: --remove-leftovers removes it", l.name, size)
		} else if err := l.remove(); err != nil {
			errs = append(errs, fmt.Errorf("removing %s, which was left behind: %w", l.name, err))
		} else {
			a.note("removed %s, %s, which was left behind by a process that was killed", l.name, size)
		}
		l.close()
	}
	return errors.Join(errs...)
}

const leftoversUsage = "remove the directories that killed processes left in --dir"

// roomIn is how much files in a directory may take; ok is false where nobody knows.
func roomIn(dir string) (free uint64, ok bool, err error) {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("it is not a directory (mode %v)", info.Mode())
	}
	if err == nil {
		free, ok, err = freeSpace(dir)
	}
	if err != nil {
		return 0, false, fmt.Errorf("looking for room in %s: %w", dir, err)
	}
	return free, ok, nil
}
