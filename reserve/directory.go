package reserve

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/topology"
)

// A DirError says why a lock directory, or a file in it, cannot be used.
type DirError struct {
	Path   string
	Reason string
	Err    error // the system's, or nil
}

func (e *DirError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("reserve: using lock directory %s: %s: %v", e.Path, e.Reason, e.Err)
	}
	return fmt.Sprintf("reserve: using lock directory %s: %s", e.Path, e.Reason)
}

// Unwrap is the system's error.
func (e *DirError) Unwrap() error { return e.Err }

// Is reports whether target is the kind ErrBadInput, unless Err is of another kind.
func (e *DirError) Is(target error) bool {
	return target == failure.ErrBadInput && failure.IsInput(e.Err) && !errors.Is(e.Err, linux.ErrLocked)
}

const guardFile = "guard.lock"

func coreFile(core topology.CPU) string { return fmt.Sprintf("core-%d.lock", core) }

// parseCoreFile is the inverse of coreFile.
func parseCoreFile(name string) (topology.CPU, bool) {
	digits := strings.TrimSuffix(strings.TrimPrefix(name, "core-"), ".lock")
	n, err := strconv.Atoi(digits)
	core := topology.CPU(n)
	return core, err == nil && core >= 0 && core < topology.MaxCPUs && name == coreFile(core)
}

// A directory is an open lock directory.
type directory struct {
	path  string
	root  *os.Root
	info  fs.FileInfo
	guard *os.File // locked, between enter and leave
}

func (f *directory) failed(doing string, err error) error { return &DirError{f.path, doing, err} }

func (f *directory) close() { f.root.Close() }

// errNobody says that there is nothing to look at: no job was ever here.
var errNobody = errors.New("no lock directory")

// openDirectory opens the directory at path if it can be trusted: one in which a
// stranger can replace a lock file would let two jobs hold the same core. A directory
// to take locks in is made if it is missing, and belongs to us or to root; one
// that is only looked at may belong to anybody and be read-only.
func openDirectory(path string, taking bool) (*directory, error) {
	if path == "" {
		return nil, &DirError{`""`, "no path given", nil}
	}
	path = filepath.Clean(path) // a slash at the end would follow a link
	refuse := func(format string, args ...any) (*directory, error) {
		return nil, &DirError{path, fmt.Sprintf(format, args...), nil}
	}
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !taking {
			return nil, errNobody
		}
		if info, err = makeDirectory(path); err != nil {
			return nil, &DirError{path, "making it", err}
		}
	}
	if err != nil {
		return nil, &DirError{path, "looking at it", err}
	}
	mode := info.Mode()
	switch {
	case mode&fs.ModeSymlink != 0:
		return refuse("it is a symbolic link, want the directory itself")
	case !mode.IsDir():
		return refuse("it is not a directory (mode %v)", mode)
	case mode&0o002 != 0 && mode&fs.ModeSticky == 0:
		return refuse("it is world-writable without the sticky bit (mode %v): anybody could replace a lock", mode)
	}
	if taking {
		if uid, _, ok := linux.Owner(info); ok && uid != 0 && uid != os.Geteuid() {
			return refuse("it belongs to user %d, want user %d or root", uid, os.Geteuid())
		}
		if mode&0o200 == 0 {
			return refuse("it is read-only (mode %v)", mode)
		}
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, &DirError{path, "opening it", err}
	}
	if now, err := root.Stat("."); err != nil || !os.SameFile(info, now) {
		root.Close()
		return refuse("it was replaced meanwhile")
	}
	return &directory{path: path, root: root, info: info}, nil
}

func makeDirectory(path string) (fs.FileInfo, error) {
	err := os.Mkdir(path, 0o755) // #nosec G301 -- others read it
	if err == nil {
		err = os.Chmod(path, 0o755) // #nosec G302 -- others read it; whatever the umask: others look at it
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.Lstat(path)
}

// enter opens the directory and takes its guard: alone to take locks, or shared
// with others who look. Until leave, no lock of a core is taken by anybody else.
func (p Patience) enter(ctx context.Context, path string, taking bool) (*directory, error) {
	return p.enterAs(ctx, path, taking, taking)
}

// enterAs is enter, alone or not. Alone and not to take locks is to write into files whose
// locks one has: a directory that is gone is not made anew for that.
func (p Patience) enterAs(ctx context.Context, path string, taking, alone bool) (*directory, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("reserve: waiting for %s: %w", filepath.Join(path, guardFile), err)
		}
		f, err := openDirectory(path, taking)
		if err != nil {
			return nil, err
		}
		guard, err := f.openLock(guardFile, taking)
		if !taking && errors.Is(err, fs.ErrNotExist) {
			err = errNobody
		}
		if err != nil {
			f.close()
			return nil, err
		}
		f.guard = guard
		if err := p.lock(ctx, guard, filepath.Join(path, guardFile), alone); err != nil { // guard is closed
			f.close()
			if held := (*GuardError)(nil); errors.As(err, &held) {
				return nil, err
			}
			if ctx.Err() != nil {
				return nil, fmt.Errorf("reserve: waiting for %s: %w", filepath.Join(path, guardFile), err)
			}
			return nil, f.failed("locking "+guardFile, err)
		}
		if f.current() {
			return f, nil
		}
		f.leave() // somebody has cleaned up: try with what is there now
	}
}

// current reports whether the directory and its guard are still the ones that others find.
func (f *directory) current() bool {
	dir, err := os.Lstat(f.path)
	if err != nil || !os.SameFile(f.info, dir) {
		return false
	}
	mine, err := f.guard.Stat()
	if err != nil {
		return false
	}
	guard, err := f.root.Lstat(guardFile)
	return err == nil && os.SameFile(mine, guard)
}

func (f *directory) leave() {
	_ = linux.Unlock(f.guard)
	f.guard.Close()
	f.close()
}

// lock waits for file's lock, alone or shared, until ctx is done or patience ends. If it
// fails, file is closed. A call that waits for a lock cannot be called back, so it is
// left to itself then.
func (p Patience) lock(ctx context.Context, file *os.File, path string, alone bool) error {
	try, wait := linux.TryLockShared, linux.LockShared
	if alone {
		try, wait = linux.TryLock, linux.Lock
	}
	err := try(file)
	if p.now || !errors.Is(err, linux.ErrLocked) {
		if err != nil {
			file.Close()
		}
		return err
	}
	began := time.Now()
	locked := make(chan error, 1)
	go func() { locked <- wait(file) }()
	tell := time.NewTimer(tellAfter)
	defer tell.Stop()
	end := time.NewTimer(cmp.Or(p.Most, defaultMost))
	defer end.Stop()
	who := func(ended bool) *GuardError {
		e := &GuardError{Path: path, Waited: time.Since(began), Ended: ended}
		if info, err := file.Stat(); err == nil {
			for _, pid := range lockers(info) {
				e.Holders = append(e.Holders, processOf(pid))
			}
		}
		return e
	}
	for {
		select {
		case err := <-locked:
			if err != nil {
				file.Close()
			}
			return err
		case <-tell.C:
			if p.Tell != nil {
				p.Tell(who(false))
			}
			continue
		case <-end.C:
			err = who(true)
		case <-ctx.Done():
			err = ctx.Err()
		}
		go func() {
			<-locked
			_ = linux.Unlock(file)
			file.Close()
		}()
		return err
	}
}

// openLock opens a lock file: to write, and then makes it if it is missing, or to
// look at. A user who may write the directory may write its files, so that in a directory
// that several users share each can use what another left.
func (f *directory) openLock(name string, write bool) (*os.File, error) {
	flags := os.O_RDONLY
	if write {
		flags = os.O_RDWR
	}
	var file *os.File
	info, err := f.root.Lstat(name)
	var names uint64 = 1
	if err == nil {
		if _, n, ok := linux.Owner(info); ok {
			names = n
		}
		if names == 0 { // it lost the name after Linux had found it there
			info, err = nil, fs.ErrNotExist
		}
	}
	switch {
	case err == nil:
		// Neither a link, whose target we would write into, nor a pipe, which we
		// would wait for.
		if !info.Mode().IsRegular() || names != 1 {
			return nil, f.failed(name, fmt.Errorf("not a file with one name (mode %v)", info.Mode()))
		}
		file, err = f.root.OpenFile(name, flags|linux.NoFollow, 0)
	case write && errors.Is(err, fs.ErrNotExist):
		file, err = f.create(name)
	}
	if err != nil {
		return nil, f.failed(name, err)
	}
	if now, err := file.Stat(); err != nil || info != nil && !os.SameFile(info, now) {
		file.Close()
		return nil, f.failed(name, errors.New("replaced meanwhile"))
	}
	return file, nil
}

func (f *directory) create(name string) (*os.File, error) {
	mode := 0o444 | f.info.Mode().Perm()&0o222
	file, err := f.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) { // the guard, which others make at the same time
		return f.root.OpenFile(name, os.O_RDWR|linux.NoFollow, 0)
	}
	if err != nil {
		return nil, err
	}
	if err := file.Chmod(mode); err != nil { // whatever the umask
		file.Close()
		return nil, err
	}
	return file, nil
}

// maxHolder bounds what is read of a lock file, in bytes.
const maxHolder = 1 << 20

// writeHolder writes a record, filled up with spaces to so many bytes. If it must fit, a
// longer one is an error, and changes nothing.
func writeHolder(file *os.File, h *Holder, room int, mustFit bool) error {
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if mustFit && len(text) >= room {
		return fmt.Errorf("a record of %d bytes, want less than %d", len(text), room)
	}
	text = append(text, bytes.Repeat([]byte{' '}, max(0, room-len(text)-1))...)
	text = append(text, '\n')
	// Written over what was there, so that a full file system does not leave a job
	// without its record.
	if _, err := file.WriteAt(text, 0); err != nil {
		return err
	}
	return file.Truncate(int64(len(text)))
}

// readHolder reads what the locked file of a core says. What makes no sense says
// nothing, and neither does the record of another process than the one that the kernel says
// has the lock: that is what a job left behind. Where the kernel names nobody, who has it
// is in another container, and the record may well be his.
func readHolder(file *os.File, core topology.CPU) Holder {
	text, err := io.ReadAll(io.NewSectionReader(file, 0, maxHolder))
	h, ok := parseHolder(text)
	if err != nil || !ok || !slices.Contains(h.Cores, core) {
		h = Holder{}
	}
	info, err := file.Stat()
	if err != nil {
		return h
	}
	pids := lockers(info)
	if len(pids) == 0 || slices.ContainsFunc(pids, func(pid int) bool { return wrote(&h, pid) }) {
		return h
	}
	return Holder{Locker: processOf(pids[0])}
}

// A heldCore is a core whose lock is held, and what its file says.
type heldCore struct {
	core   topology.CPU
	holder Holder
}

// byJob puts cores, in ascending order, together that the same job holds. What the
// lowest one's file says counts.
func byJob(cores []heldCore) (holders []Holder) {
	for _, c := range cores {
		h := c.holder
		i := slices.IndexFunc(holders, func(o Holder) bool {
			return h.PID != 0 && o.PID == h.PID && o.ID == h.ID || h.Locker.PID != 0 && o.Locker == h.Locker
		})
		if i >= 0 {
			holders[i].Cores = append(holders[i].Cores, c.core)
			continue
		}
		h.Cores = []topology.CPU{c.core}
		if h.Memory == nil {
			h.Memory = []Memory{}
		}
		holders = append(holders, h)
	}
	return holders
}

// holders lists the jobs that hold cores, but not the cores in except. The guard
// is held, so that a lock which cannot be shared is one that a job holds.
func (f *directory) holders(except []topology.CPU) ([]Holder, error) {
	return f.look(except, func(err error) error { return err })
}

// look is holders that goes on where a file cannot be looked at, if bad lets it.
func (f *directory) look(except []topology.CPU, bad func(error) error) ([]Holder, error) {
	entries, err := fs.ReadDir(f.root.FS(), ".")
	if err != nil {
		return nil, f.failed("listing it", err)
	}
	var held []heldCore
	for _, e := range entries {
		core, ok := parseCoreFile(e.Name())
		if !ok || slices.Contains(except, core) {
			continue
		}
		file, err := f.openLock(e.Name(), false)
		if err != nil {
			if err = bad(err); err != nil {
				return nil, err
			}
			continue
		}
		err = linux.TryLockShared(file)
		if err == nil {
			err = linux.Unlock(file)
		} else if errors.Is(err, linux.ErrLocked) {
			held = append(held, heldCore{core, readHolder(file, core)})
			err = nil
		}
		file.Close()
		if err != nil {
			return nil, f.failed("locking "+e.Name(), err)
		}
	}
	slices.SortFunc(held, func(a, b heldCore) int { return int(a.core - b.core) })
	return byJob(held), nil
}
