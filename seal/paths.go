package seal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/manifest"
)

// This is the one place where paths of a job are compared. Its invariant: when a job
// touches its first file, no file that it writes, replaces or removes is another one that
// it uses, by whatever names and links each of them was given, be the files there or not
// yet. So no input is destroyed, and no output by another.

// A Use is what a job does with a file.
type Use int

// The uses.
const (
	Reads    Use = iota
	Writes       // changes, replaces or removes
	Replaces     // writes by way of a temporary file beside it
	Prints       // writes what comes, as others may: a standard stream
)

// A File is a file that a job uses.
type File struct {
	Role string // what it is to the job: "staged", "--output"
	Path string
	Use  Use
	// Opened, if not nil, is the file, and Path only what it is called: a standard
	// stream, say.
	Opened *os.File
}

// A SamePathError says that one file would be used as two.
type SamePathError struct{ A, B File }

// Is reports whether target is the kind ErrBadInput.
func (e *SamePathError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *SamePathError) Error() string {
	return fmt.Sprintf("seal: comparing paths: %s %q and %s %q are one file, and what is written to it as the one destroys the other: give each a file of its own",
		e.A.Role, e.A.Path, e.B.Role, e.B.Path)
}

// CheckPaths compares all files of sectors, those that are there and those that will be,
// with each other and with others that belong to the job. The error consists of a
// *SamePathError for each two that must not be the same. A path of a Sector that is
// empty is passed over, and so is one whose directory is not there: other checks
// say so.
//
// Two files that are there are the same if device and inode are; two that are not yet, if
// their directories and names are. Names that differ in case only are the same then,
// since there are file systems on which they are. Where the system does not tell
// device and inode, paths without links stand for them, and hard links are not noticed.
// Devices, pipes and sockets are never the same as anything.
func CheckPaths(sectors []Sector, others ...File) error {
	c := comparison{used: map[identity][]File{}, dirs: map[identity]sectorDir{}, sectors: sectors}
	// Directories first: whether other files lie in one depends on them.
	for i, s := range sectors {
		c.addDir(sectorDir{"cache dir", s.CacheDir, i})
		c.addDir(sectorDir{"work dir", s.WorkDir, i})
	}
	for i, s := range sectors {
		use := Reads
		if s.StagedMode == StagedMove && s.Staged != DevZero {
			use = Writes // it goes
		}
		c.add(File{Role: c.role("staged", i), Path: s.Staged, Use: use})
		c.add(File{Role: c.role("tree-d beside staged", i), Path: s.TreeD, Use: Writes})
		c.add(File{Role: c.role("sealed", i), Path: s.Sealed, Use: Writes})
	}
	for _, f := range others {
		c.add(f)
	}
	return c.result()
}

// An identity is the same for two paths that lead to one file. The name is empty if the file
// is there.
type identity struct {
	linux.Identity
	name string
}

// A comparison goes through files one by one, and looks each up among those before.
type comparison struct {
	sectors []Sector
	used    map[identity][]File // of each use one
	dirs    map[identity]sectorDir
	same    []error
	more    int // errors that are not in same
}

// A sectorDir is a directory in which a sector's files get names that follow from what they are.
type sectorDir struct {
	role, path string
	sector     int
}

const mostErrors = 8

func (c *comparison) fail(a, b File) {
	if len(c.same) == mostErrors {
		c.more++
		return
	}
	c.same = append(c.same, &SamePathError{a, b})
}

func (c *comparison) result() error {
	if c.more > 0 {
		c.same = append(c.same, fmt.Errorf("seal: comparing paths: and %d more", c.more))
	}
	return errors.Join(c.same...)
}

// role names the sector that a file is of, where there are several.
func (c *comparison) role(name string, sector int) string {
	if len(c.sectors) == 1 {
		return name
	}
	return fmt.Sprintf("%s of sector %d", name, sector)
}

// addDir takes a sector's directory, and those files in it that are there and that the job replaces
// or removes.
func (c *comparison) addDir(d sectorDir) {
	dir, sector := d.path, d.sector
	info, err := os.Stat(dir)
	if dir == "" || err != nil || !info.IsDir() {
		return
	}
	id := identityOf(dir, info)
	if other, ok := c.dirs[id]; ok {
		c.fail(File{Role: c.role(d.role, sector), Path: dir}, File{Role: c.role(other.role, other.sector), Path: other.path})
		return
	}
	c.dirs[id] = d
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // the job finds out when it writes there
	}
	named := map[string][]identity{}             // by the names that files have when they are complete
	for _, e := range slices.Backward(entries) { // those names come before temporary ones
		what := ownName(e.Name())
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(path)
		if what == "" || err != nil || !info.Mode().IsRegular() {
			continue
		}
		f := File{Role: c.role(what, sector), Path: path, Use: Writes}
		if what == treeDRole {
			f.Use = Reads // several sectors may share one that is there
		}
		id, name := identityOf(path, info), finalName(fold(e.Name()))
		if !slices.Contains(named[name], id) && !c.isDelivered(d, name, id) { // see isKept
			c.put(id, f)
		}
		named[name] = append(named[name], id)
	}
}

// isDelivered reports whether a file in a work dir has the same name in the sector's cache dir: a job
// was killed while it gave it that.
func (c *comparison) isDelivered(d sectorDir, name string, id identity) bool {
	cacheDir := c.sectors[d.sector].CacheDir
	if d.path == cacheDir {
		return false
	}
	info, err := os.Lstat(filepath.Join(cacheDir, name))
	return err == nil && identityOf(filepath.Join(cacheDir, name), info) == id
}

// add compares a file, and all that is written with it, with those before.
func (c *comparison) add(f File) {
	if f.Opened != nil {
		if info, err := f.Opened.Stat(); err == nil && info.Mode().IsRegular() {
			c.put(identityOf(f.Opened.Name(), info), f)
		}
		return
	}
	if f.Path == "" {
		return
	}
	target := durable.Target(f.Path)
	if !c.inCacheDir(f, f.Path) && (target == f.Path || !c.inCacheDir(f, target)) {
		c.addAt(f, f.Path, target)
	}
	if f.Use != Replaces {
		return
	}
	temp := filepath.Join(filepath.Dir(target), durable.TempName(filepath.Base(target)))
	if isKept(temp, target) {
		return
	}
	c.addAt(File{Role: "the temporary file of " + f.Role, Path: temp, Use: Writes}, temp, temp)
}

// isKept reports whether a temporary file has its last name already. For a moment a file has
// both, and a kill then leaves both. The temporary one is only removed: these are no two uses.
func isKept(temp, target string) bool {
	a, err := os.Stat(temp)
	if err != nil {
		return false
	}
	b, err := os.Stat(target)
	return err == nil && os.SameFile(a, b)
}

// addAt compares a file whose path leads to target.
func (c *comparison) addAt(f File, path, target string) {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.Mode().IsRegular():
		c.put(identityOf(target, info), f)
	case errors.Is(err, fs.ErrNotExist):
		dir := filepath.Dir(target)
		if info, err := os.Stat(dir); err == nil {
			id := identityOf(dir, info)
			id.name = filepath.Join(id.name, fold(filepath.Base(target)))
			c.put(id, f)
		}
	}
}

// inCacheDir compares a file with the names that the job, and phase 2 after it, give to
// files in a cache dir.
func (c *comparison) inCacheDir(f File, path string) bool {
	what := ownName(filepath.Base(path))
	if what == "" {
		return false
	}
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return false
	}
	d, ok := c.dirs[identityOf(filepath.Dir(path), info)]
	if ok {
		c.fail(f, File{Role: c.role(what, d.sector), Path: filepath.Join(d.path, filepath.Base(path))})
	}
	return ok
}

// put compares a file that has the identity with those that have it too.
func (c *comparison) put(id identity, f File) {
	known := false
	for _, g := range c.used[id] {
		if (f.Use != Reads || g.Use != Reads) && (f.Use != Prints || g.Use != Prints) {
			c.fail(f, g)
			return
		}
		known = known || f.Use == g.Use
	}
	if !known { // another of the same use would be compared with the same result
		c.used[id] = append(c.used[id], f)
	}
}

func identityOf(path string, info os.FileInfo) identity {
	if id, ok := linux.IdentityOf(info); ok {
		return identity{Identity: id}
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return identity{name: fold(path)}
}

func fold(name string) string { return strings.ToLower(name) }

const (
	treeDRole  = "tree-d"
	phase2Role = "phase 2's "
)

// finalName is the name that a file of a temporary name gets; any other is its own.
func finalName(name string) string {
	final, dot := strings.CutPrefix(name, ".")
	final, tmp := strings.CutSuffix(strings.TrimSuffix(final, ".new"), ".tmp")
	if !dot || !tmp {
		return name
	}
	return final
}

// ownName says what a file of that name in a cache dir is: one that phase 1 writes or
// removes, or that phase 2 leaves there; "" if it is nobody's.
func ownName(name string) string {
	name = fold(name)
	if final := finalName(name); final != name {
		if what := ownName(final); what != "" {
			return "the temporary file of " + what
		}
		return ""
	}
	if name == manifest.Name {
		return "the manifest"
	}
	if name == "p_aux" || name == "t_aux" {
		return phase2Role + name
	}
	what, ok := strings.CutPrefix(name, "sc-02-data-")
	if !ok {
		return ""
	}
	what = strings.TrimSuffix(what, ".dat")
	if number, ok := strings.CutPrefix(what, "layer-"); ok {
		return "layer " + number
	}
	if what == "tree-d" {
		return treeDRole
	}
	return phase2Role + what
}
