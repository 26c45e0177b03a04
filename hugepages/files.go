package hugepages

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/roundup"
)

// A File names a file on a hugetlbfs whose pages, which it has already, may become a region.
type File struct {
	Path string
	// NUMANode is where its pages are said to be. The zero Binding: nobody says.
	NUMANode Binding
}

// A FileInfo is a file that can be used.
type FileInfo struct {
	File
	Size  uint64 // in bytes, a multiple of its pages
	Pages Pages  // Huge1G or Huge2M
}

// Files are files on a hugetlbfs that nobody else uses: each is locked (flock) until Close and,
// if a region is made of it, until that is freed. Regions never share one. Files are written to;
// they do not become longer or shorter, and keep their names. Who makes one shorter meanwhile
// ends the process that uses it (SIGBUS).
type Files struct {
	refused []FileRefusal

	mu  sync.Mutex // for openFile.used
	all []*openFile
}

type openFile struct {
	FileInfo
	f            *os.File
	locked, lost bool // taken, or not to be had
	used         bool // for a region
}

// A FileRefusal says why a file is of no use.
type FileRefusal struct {
	Path string
	Err  error
}

// ErrFileInUse says that a job, another or this one, uses a file.
var ErrFileInUse = errors.New("in use by another job")

// A FilesError says that files do not suffice for a region.
type FilesError struct {
	Want    uint64 // bytes, whole pages
	Left    uint64 // bytes in files that could be had, and are on its NUMA node if they must be
	Refused []FileRefusal
}

// Is reports whether target is the kind ErrNoMemory.
func (e *FilesError) Is(target error) bool { return target == failure.ErrNoMemory }

func (e *FilesError) Error() string {
	s := fmt.Sprintf("%d bytes wanted in whole files, %d to be had", e.Want, e.Left)
	for _, why := range RefusalTexts(e.Refused) {
		s += "; " + why
	}
	return s
}

// InUse reports whether some of the files are in use.
func (e *FilesError) InUse() bool {
	return slices.ContainsFunc(e.Refused, func(r FileRefusal) bool { return errors.Is(r.Err, ErrFileInUse) })
}

// RefusalTexts tell people each reason once, with the first file that it is about.
func RefusalTexts(refused []FileRefusal) (texts []string) {
	var reasons []string
	count := map[string]int{}
	first := map[string]string{}
	for _, r := range refused {
		why := r.Err.Error()
		if count[why]++; count[why] == 1 {
			reasons, first[why] = append(reasons, why), r.Path
		}
	}
	for _, why := range reasons {
		more := ""
		if n := count[why] - 1; n > 0 {
			more = fmt.Sprintf(" and %d more", n)
		}
		texts = append(texts, fmt.Sprintf("%q%s: %s", first[why], more, why))
	}
	return texts
}

// FilesText tells people how many files there are, of what size, on which NUMA node.
func FilesText(files []FileInfo) string {
	type kind struct {
		size uint64
		node Binding
	}
	var kinds []kind
	count := map[kind]int{}
	for _, f := range files {
		k := kind{f.Size, f.NUMANode}
		if count[k] == 0 {
			kinds = append(kinds, k)
		}
		count[k]++
	}
	var texts []string
	for _, k := range kinds {
		s := fmt.Sprintf("%d files", count[k])
		if count[k] == 1 {
			s = "1 file"
		}
		if k.size%(1<<30) == 0 {
			s += fmt.Sprintf(" of %d GiB", k.size>>30)
		} else {
			s += fmt.Sprintf(" of %d MiB", k.size>>20)
		}
		if n, ok := k.node.Number(); ok {
			s += fmt.Sprintf(" on NUMA node %d", n)
		}
		texts = append(texts, s)
	}
	return strings.Join(texts, ", ")
}

// LookAtFiles tells which files could be taken just now, and why the others could not.
func LookAtFiles(files []File) (usable []FileInfo, refused []FileRefusal) {
	all, refused := openFiles(files)
	for _, f := range all {
		// Shared, so that two who look do not take each other for a job.
		switch err := linux.TryLockShared(f.f); {
		case errors.Is(err, linux.ErrLocked):
			refused = append(refused, FileRefusal{f.Path, ErrFileInUse})
		case err != nil:
			refused = append(refused, FileRefusal{f.Path, err})
		default:
			usable = append(usable, f.FileInfo)
		}
	}
	closeFiles(all)
	return usable, refused
}

// TakeFiles locks as many of the files as regions with these options, as Alloc is given them one
// after another, are made of: all of them, or the error wraps a *FilesError, or is ctx's cause. Of
// the options, Size, Binding and Strict count.
func TakeFiles(ctx context.Context, files []File, regions ...Options) (*Files, error) {
	const attempts, pause = 3, 5 * time.Millisecond // somebody may have looked at the files just then
	for attempt := 1; ; attempt++ {
		t, none := takeFiles(files, regions)
		if none == nil {
			return t, nil
		}
		if attempt == attempts || !none.InUse() {
			return nil, fmt.Errorf("hugepages: taking files: %w", none)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, fmt.Errorf("hugepages: taking files: %w", context.Cause(ctx))
		}
	}
}

func takeFiles(files []File, regions []Options) (*Files, *FilesError) {
	all, refused := openFiles(files)
	lock := func(f *openFile) bool {
		if !f.locked && !f.lost {
			if err := f.lock(); err != nil {
				f.lost = true
				refused = append(refused, FileRefusal{f.Path, err})
			}
		}
		return f.locked
	}
	for _, o := range regions {
		if _, err := choose(all, &o, lock); err != nil {
			closeFiles(all)
			err.Refused = append(refused, err.Refused...)
			return nil, err
		}
	}
	t := &Files{refused: refused}
	for _, f := range all {
		if f.used {
			f.used = false
			t.all = append(t.all, f)
		} else {
			f.f.Close()
		}
	}
	return t, nil
}

// Refused are files that were looked at and passed over.
func (t *Files) Refused() []FileRefusal { return slices.Clone(t.refused) }

// Infos are the files.
func (t *Files) Infos() (all []FileInfo) {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range t.all {
		all = append(all, f.FileInfo)
	}
	return all
}

// Close gives the files back, but for those that regions are made of: they follow when those are
// freed. No region can be made of them after it.
func (t *Files) Close() error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	err := closeFiles(t.all) // a mapping keeps the lock
	t.all = nil
	return err
}

func closeFiles(all []*openFile) error {
	var errs []error
	for _, f := range all {
		errs = append(errs, f.f.Close())
	}
	return errors.Join(errs...)
}

func openFiles(files []File) (all []*openFile, refused []FileRefusal) {
	for _, file := range files {
		f, err := openOne(file)
		if err != nil {
			refused = append(refused, FileRefusal{file.Path, err})
			continue
		}
		all = append(all, f)
	}
	return all, refused
}

// openOne opens a file, if it is one that regions can be made of.
func openOne(file File) (_ *openFile, err error) {
	// What is no file is not even opened: a pipe would wait, a device might act.
	named, err := os.Lstat(file.Path)
	if err != nil {
		return nil, bare(err)
	}
	if !named.Mode().IsRegular() {
		return nil, notRegular(named)
	}
	opened, err := os.OpenFile(file.Path, os.O_RDWR|linux.NoFollow|linux.NoWait, 0)
	if err != nil {
		return nil, bare(err)
	}
	f := &openFile{FileInfo: FileInfo{File: file}, f: opened}
	defer func() {
		if err != nil {
			opened.Close()
		}
	}()
	return f, f.measure()
}

func notRegular(info os.FileInfo) error {
	kind := "no regular file"
	if info.Mode()&os.ModeSymlink != 0 {
		kind = "a symbolic link"
	}
	return fmt.Errorf("it is %s, want a regular file", kind)
}

// bare is an error without the path, which is told beside it.
func bare(err error) error {
	if p := (*os.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

// measure finds out how large the file is, and whether it can be used.
func (f *openFile) measure() error {
	info, err := f.f.Stat()
	if err != nil {
		return bare(err)
	}
	if !info.Mode().IsRegular() {
		return notRegular(info)
	}
	page, err := linux.HugeTLBFSPageOf(f.f)
	switch {
	case err != nil:
		return fmt.Errorf("it is %w", err)
	case page == Huge1G.Size():
		f.Pages = Huge1G
	case page == Huge2M.Size():
		f.Pages = Huge2M
	default:
		return fmt.Errorf("its pages have %d bytes, want 2 MiB or 1 GiB", page)
	}
	f.Size = uint64(max(0, info.Size()))
	switch has := linux.Allocated(info); {
	case f.Size == 0 || f.Size%page != 0:
		return fmt.Errorf("it has %d bytes, want a multiple of its pages' %d, at least one", f.Size, page)
	case has < f.Size:
		return fmt.Errorf("it has pages for %d of its %d bytes, and those that lack would be taken from the machine for good", has, f.Size)
	}
	return nil
}

// lock takes the file, if nobody has it.
func (f *openFile) lock() error {
	err := linux.TryLock(f.f)
	if errors.Is(err, linux.ErrLocked) {
		return ErrFileInUse
	}
	if err == nil {
		before := f.FileInfo
		if err = f.measure(); err == nil && f.FileInfo != before {
			err = fmt.Errorf("it had %d bytes, and has %d now", before.Size, f.Size)
		}
	}
	f.locked = err == nil
	return err
}

// maxFiles is how many files a region is made of at most, each a mapping of its own.
const maxFiles = 256

// choose marks files as used for a region: of one kind of page, the largest kind that suffices;
// those on its NUMA node first; of these, as few and as small as will do. lock says whether a file
// can be had.
func choose(all []*openFile, o *Options, lock func(*openFile) bool) ([]*openFile, *FilesError) {
	e := &FilesError{Want: roundup.To(o.Size, Huge2M.Size())}
	for _, p := range []Pages{Huge1G, Huge2M} {
		room := roundup.To(o.Size, p.Size())
		var fit, chosen []*openFile
		for _, f := range all {
			if f.Pages != p || f.used {
				continue
			}
			if why := f.unfit(o, room); why != nil {
				e.Refused = append(e.Refused, FileRefusal{f.Path, why})
			} else {
				fit = append(fit, f)
			}
		}
		left := room
		for left > 0 && len(fit) > 0 {
			best := 0
			for i := range fit {
				if better(fit[i], fit[best], o, left) {
					best = i
				}
			}
			if f := fit[best]; lock(f) {
				f.used = true
				chosen = append(chosen, f)
				left -= min(left, f.Size)
			}
			fit = slices.Delete(fit, best, best+1)
		}
		if left == 0 {
			return chosen, nil
		}
		for _, f := range chosen {
			f.used = false
		}
		e.Left = max(e.Left, room-left)
	}
	return nil, e
}

// unfit is why a region of so many bytes is not made of a file, if so.
func (f *openFile) unfit(o *Options, room uint64) error {
	if least := (room + maxFiles - 1) / maxFiles; f.Size < least {
		return fmt.Errorf("it has %d bytes, want at least %d for a region of %d", f.Size, least, room)
	}
	if o.Strict && distance(f, o) == elsewhere {
		at, _ := f.NUMANode.Number()
		node, _ := o.Binding.Number()
		return fmt.Errorf("it is on NUMA node %d, want node %d", at, node)
	}
	return nil
}

// How far a file is from a region.
const (
	there = iota
	unknown
	elsewhere
)

func distance(f *openFile, o *Options) int {
	node, bound := o.Binding.Number()
	at, known := f.NUMANode.Number()
	switch {
	case !bound || known && at == node:
		return there
	case !known:
		return unknown
	}
	return elsewhere
}

// better reports whether one file is rather to be taken than another, for so many bytes.
func better(a, b *openFile, o *Options, left uint64) bool {
	if x, y := distance(a, o), distance(b, o); x != y {
		return x < y
	}
	enough := a.Size >= left
	if enough != (b.Size >= left) {
		return enough
	}
	if enough {
		return a.Size < b.Size
	}
	return a.Size > b.Size
}

// cut takes files for a region.
func (t *Files) cut(o *Options) ([]*openFile, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	files, err := choose(t.all, o, func(*openFile) bool { return true })
	if err != nil {
		return nil, err
	}
	return files, nil
}

// giveBack says that no region is made of these any more.
func (t *Files) giveBack(files []*openFile) {
	if t == nil || len(files) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, f := range files {
		f.used = false
	}
}

// allocFiles makes r's memory of files.
func (r *Region) allocFiles(ctx context.Context) (err error) {
	if r.files, err = r.o.Files.cut(&r.o); err != nil {
		return err
	}
	r.pages = r.files[0].Pages
	return r.alloc(ctx, false)
}

// mapFiles maps the files one behind the other.
func (r *Region) mapFiles(room uint64) error {
	if err := r.mapHidden(room, 0); err != nil {
		return err
	}
	at := r.room
	for _, f := range r.files {
		n := min(f.Size, uint64(len(at)))
		if err := linux.MapFileAt(f.f, at[:n]); err != nil {
			return fmt.Errorf("mapping %q: %w", f.Path, err)
		}
		at = at[n:]
	}
	return nil
}
