package topology

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A source is a machine's /sys and /proc. Names are slash-separated, without a
// slash at their beginning.
type source interface {
	// read returns a file's content; a file that is not there is fs.ErrNotExist.
	read(name string) ([]byte, error)
	// list returns the names in a directory.
	list(dir string) ([]string, error)
	// link returns what a symbolic link says.
	link(name string) (string, error)
	// live reports whether this is the machine that we run on.
	live() bool
	close()
}

// maxFile bounds what is read of one file: the largest in use, cpuinfo of 8192
// CPUs, has about as much.
const maxFile = 16 << 20

// open finds out what root is.
func open(root string) (source, error) {
	if root == "/" || filepath.Clean(root) == "/" {
		return liveSource{}, nil
	}
	src, err := openDump(root)
	if err != nil {
		return nil, fmt.Errorf("topology: reading %s: %w", root, err)
	}
	return src, nil
}

func openDump(root string) (source, error) {
	info, err := os.Stat(root)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return readDumpFile(root)
	}
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	directory := directorySource{dir}
	if err := directory.checkLinks(); err != nil {
		dir.Close()
		return nil, err
	}
	return directory, nil
}

// liveSource is the machine that we run on.
type liveSource struct{}

func (liveSource) live() bool { return true }
func (liveSource) close()     {}

func (liveSource) read(name string) ([]byte, error) {
	f, err := os.Open("/" + name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBounded(f)
}

func (liveSource) list(dir string) ([]string, error) {
	f, err := os.Open("/" + dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

func (liveSource) link(name string) (string, error) { return os.Readlink("/" + name) }

func readBounded(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("more than %d bytes", maxFile)
	}
	return text, err
}

// A LinkError is a symbolic link in a dump that leads out of it. What is there
// belongs to another machine.
type LinkError struct{ Link, Target string }

func (e *LinkError) Error() string {
	return fmt.Sprintf("the symbolic link %s leads out of the dump, to %s", e.Link, e.Target)
}

// directorySource is a dump: a directory that nothing read may lead out of.
type directorySource struct{ root *os.Root }

func (d directorySource) live() bool { return false }
func (d directorySource) close()     { d.root.Close() }

func (d directorySource) read(name string) ([]byte, error) {
	info, err := d.root.Stat(filepath.FromSlash(name))
	if err != nil {
		return nil, d.explain(name, err)
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("not a file")}
	}
	f, err := d.root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, d.explain(name, err)
	}
	defer f.Close()
	return readBounded(f)
}

func (d directorySource) list(dir string) ([]string, error) {
	f, err := d.root.Open(filepath.FromSlash(dir))
	if err != nil {
		return nil, d.explain(dir, err)
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

func (d directorySource) link(name string) (string, error) {
	target, err := d.root.Readlink(filepath.FromSlash(name))
	return target, d.explain(name, err)
}

// explain names the link that made os.Root refuse a name.
func (d directorySource) explain(name string, err error) error {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		if link := d.leavingLink(name); link != nil {
			return link
		}
	}
	return err
}

// checkLinks finds links out of the dump ahead of the reading, so that whether
// they are found does not depend on which of several files is read.
func (d directorySource) checkLinks() error {
	fsys := d.root.FS()
	check := func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type()&fs.ModeSymlink != 0 {
			if link := d.leavingLink(name); link != nil {
				return link
			}
		}
		return nil // what cannot be read is told by its reader
	}
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := check(entry.Name(), entry, nil); err != nil {
			return err
		}
	}
	for _, dir := range []string{cpuDir, nodeDir} {
		for at := dir; at != "."; at = path.Dir(at) {
			if link := d.leavingLink(at); link != nil {
				return link
			}
		}
		if err := fs.WalkDir(fsys, dir, check); err != nil {
			return err
		}
	}
	return nil
}

// leavingLink follows name as the system would and returns the link that leads out
// of the root, nil if none does.
func (d directorySource) leavingLink(name string) *LinkError {
	type step struct {
		element string
		from    *LinkError // the link whose target it is a part of
	}
	var todo []step
	push := func(name string, from *LinkError) {
		elements := strings.Split(filepath.ToSlash(name), "/")
		steps := make([]step, len(elements), len(elements)+len(todo))
		for i, element := range elements {
			steps[i] = step{element, from}
		}
		todo = append(steps, todo...)
	}
	push(name, nil)
	at := "."
	for hops := 0; len(todo) > 0; {
		next := todo[0]
		todo = todo[1:]
		if next.element == ".." {
			if at == "." {
				return next.from
			}
			at = path.Dir(at)
			continue
		}
		to := path.Join(at, next.element)
		info, err := d.root.Lstat(filepath.FromSlash(to))
		if err != nil {
			return nil // dangling
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = to
			continue
		}
		target, err := d.root.Readlink(filepath.FromSlash(to))
		if hops++; err != nil || hops > 40 { // in a circle
			return nil
		}
		link := &LinkError{to, target}
		if filepath.IsAbs(target) || strings.HasPrefix(target, "/") {
			return link
		}
		push(target, link)
	}
	return nil
}

// A textSource is a dump in one file. Directories are keys of dirs, files of files; what a link
// says is in a file whose name has linkSuffix behind the link's.
type textSource struct {
	files map[string]string
	dirs  map[string][]string
}

func newTextSource() *textSource {
	return &textSource{map[string]string{}, map[string][]string{}}
}

func (t *textSource) live() bool { return false }
func (t *textSource) close()     {}

func (t *textSource) read(name string) ([]byte, error) {
	text, ok := t.files[name]
	if !ok {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
	}
	return []byte(text), nil
}

func (t *textSource) list(dir string) ([]string, error) {
	names, ok := t.dirs[dir]
	if !ok {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: fs.ErrNotExist}
	}
	return names, nil
}

const linkSuffix = "@"

func (t *textSource) link(name string) (string, error) {
	text, err := t.read(name + linkSuffix)
	return strings.TrimSpace(string(text)), err
}

// addDir makes a directory known, with those above it.
func (t *textSource) addDir(dir string) {
	if _, ok := t.dirs[dir]; ok || dir == "." {
		return
	}
	t.dirs[dir] = nil
	t.addName(dir)
}

func (t *textSource) addFile(name, text string) {
	if _, ok := t.files[name]; !ok {
		t.addName(name)
	}
	t.files[name] = text
}

// addName makes a name known to the directory that it is in.
func (t *textSource) addName(name string) {
	dir := "."
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		dir, name = name[:i], name[i+1:]
	}
	t.addDir(dir)
	t.dirs[dir] = append(t.dirs[dir], name)
}

// numbered picks the entries of a listing that consist of a number between prefix and
// suffix, "cpu12", and returns the numbers, ascending.
func numbered(names []string, prefix, suffix string) (numbers []uint64) {
	for _, name := range names {
		digits, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		if digits, ok = strings.CutSuffix(digits, suffix); !ok {
			continue
		}
		n, ok := parseNumber(digits)
		if ok && n < 1<<62 && strconv.FormatUint(n, 10) == digits {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}
