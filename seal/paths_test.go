package seal_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// TestCheckPaths: two uses of one file are found by whatever names, be the file there or
// not, and nothing else is.
func TestCheckPaths(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need rights there")
	}
	const layer1, treeD = "cache/sc-02-data-layer-1.dat", "cache/sc-02-data-tree-d.dat"
	file := func(names ...string) func(string) error {
		return func(dir string) (err error) {
			for _, name := range names {
				err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), nil, 0o666))
			}
			return err
		}
	}
	link := func(to, name string) func(string) error {
		return func(dir string) error { return os.Symlink(to, filepath.Join(dir, name)) }
	}
	hard := func(to, name string) func(string) error {
		return func(dir string) error { return os.Link(filepath.Join(dir, to), filepath.Join(dir, name)) }
	}
	output := func(path string) seal.File { return seal.File{Role: "--output", Path: path, Use: seal.Replaces} }
	sealedAt := func(path string) func(*seal.Sector) { return func(s *seal.Sector) { s.Sealed = path } }
	stagedAt := func(path string) func(*seal.Sector) { return func(s *seal.Sector) { s.Staged = path } }
	for _, tt := range []struct {
		name string
		make func(dir string) error
		edit func(*seal.Sector)
		also seal.File
		says []string // none: all is well
	}{
		{name: "all different"},
		{name: "a new output", also: output("p1.json")},
		{name: "a new output in the cache dir", also: output("cache/p1.json")},
		{name: "an output that is there", make: file("p1.json"), also: output("p1.json")},
		{name: "an output in a directory that is not", also: output("missing/staged")},
		{name: "an output that is a device", also: output("/dev/null")},
		{name: "hidden files in the cache dir", make: file("cache/.x", "cache/.tmp", "cache/..tmp", "cache/.p_aux", "cache/..sc-02-data-layer-1.dat.tmp.tmp"), also: output("cache/.y")},
		{name: "names that differ in case", make: file("STAGED"), also: output("STAGED")},
		{name: "staged as output", also: output("staged"), says: []string{`--output "DIR/staged"`, `staged "DIR/staged"`}},
		{name: "another spelling", also: output("cache/../staged"), says: []string{"--output", `staged "DIR/staged"`}},
		{name: "a link to staged as output", make: link("staged", "p1.json"), also: output("p1.json"), says: []string{`--output "DIR/p1.json"`, `staged "DIR/staged"`}},
		{name: "a hard link to staged as output", make: hard("staged", "p1.json"), also: output("p1.json"), says: []string{`--output "DIR/p1.json"`, `staged "DIR/staged"`}},
		{name: "sealed as output", also: output("sealed"), says: []string{"--output", `sealed "DIR/sealed"`}},
		{name: "sealed is staged by a hard link", make: hard("staged", "link"), edit: sealedAt("link"), says: []string{`sealed "DIR/link"`, `staged "DIR/staged"`}},
		{name: "a layer as output, before it is there", also: output(layer1), says: []string{"--output", "layer 1"}},
		{name: "a layer as output", make: file(layer1), also: output(layer1), says: []string{"--output", "layer 1"}},
		{name: "a link to a layer that is not there", make: link(layer1, "p1.json"), also: output("p1.json"), says: []string{`--output "DIR/p1.json"`, "layer 1"}},
		{name: "two links to a layer that is not there", make: func(dir string) error {
			return errors.Join(link("cache", "c")(dir), link("c/sc-02-data-layer-1.dat", "p1.json")(dir))
		}, also: output("p1.json"), says: []string{`--output "DIR/p1.json"`, "layer 1"}},
		{name: "a layer by way of a linked directory", make: link("cache", "other"), also: output("other/sc-02-data-layer-11.dat"), says: []string{"--output", "layer 11"}},
		{name: "a hard link to a layer as sealed", make: func(dir string) error {
			return errors.Join(file(layer1)(dir), hard(layer1, "link")(dir))
		}, edit: sealedAt("link"), says: []string{`sealed "DIR/link"`, "layer 1"}},
		{name: "a layer as sealed", make: file(layer1), edit: sealedAt(layer1), says: []string{"sealed", "layer 1"}},
		{name: "a layer as staged", make: file(layer1), edit: stagedAt(layer1), says: []string{"staged", "layer 1"}},
		{name: "tree-d as staged", make: file(treeD), edit: stagedAt(treeD), says: []string{"staged", "tree-d"}},
		{name: "a link in tree-d's place is read", make: link("../staged", treeD)},
		{name: "a link in tree-d's place to sealed", make: link("../sealed", treeD), says: []string{"sealed", `tree-d "DIR/cache/`}},
		{name: "a layer's temporary file as sealed", make: file("cache/.sc-02-data-layer-2.dat.tmp"), edit: sealedAt("cache/.sc-02-data-layer-2.dat.tmp"),
			says: []string{"sealed", "the temporary file of layer 2"}},
		{name: "what phase 2 left, as staged", make: file("cache/p_aux"), edit: stagedAt("cache/p_aux"), says: []string{"staged", "phase 2's p_aux"}},
		{name: "what phase 2 will leave, as output", also: output("cache/sc-02-data-tree-r-last-0.dat"), says: []string{"--output", "phase 2's tree-r-last-0"}},
		{name: "case, of names that are not there", also: output("cache/SC-02-data-Layer-1.dat"), says: []string{"--output", "layer 1"}},
		{name: "the output's temporary file as sealed", make: file(".p1.json.tmp"), edit: sealedAt(".p1.json.tmp"), also: output("p1.json"),
			says: []string{"the temporary file of --output", `sealed "DIR/.p1.json.tmp"`}},
		{name: "a layer that has its temporary name too, as a kill may leave it", make: func(dir string) error {
			return errors.Join(file(layer1)(dir), hard(layer1, "cache/.sc-02-data-layer-1.dat.tmp")(dir), hard(layer1, "cache/.sc-02-data-layer-1.dat.tmp.new")(dir))
		}},
		{name: "a layer under the temporary name of another", make: func(dir string) error {
			return errors.Join(file(layer1)(dir), hard(layer1, "cache/.sc-02-data-layer-2.dat.tmp")(dir))
		}, says: []string{"layer 1", "the temporary file of layer 2"}},
		{name: "an output that has its temporary name too", make: func(dir string) error {
			return errors.Join(file("p1.json")(dir), hard("p1.json", ".p1.json.tmp")(dir))
		}, also: output("p1.json")},
		{name: "sealed that has the output's temporary name too", make: hard("sealed", ".p1.json.tmp"), also: output("p1.json"), says: []string{"the temporary file of --output", `sealed "DIR/sealed"`}},
		{name: "standard output is sealed", also: seal.File{Role: "standard output", Path: "sealed", Use: seal.Prints}, says: []string{"standard output", "sealed"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			at := func(path string) string {
				if filepath.IsAbs(path) || path == "" {
					return path
				}
				return dir + "/" + path // as it is, not cleaned
			}
			err := errors.Join(os.Mkdir(at("cache"), 0o777), file("staged", "sealed")(dir))
			if tt.make != nil {
				err = errors.Join(err, tt.make(dir))
			}
			if err != nil {
				t.Fatal(err)
			}
			s := seal.Sector{Proof: porep.StackedDrg2KiBV1_1, CacheDir: "cache", Staged: "staged", Sealed: "sealed"}
			if tt.edit != nil {
				tt.edit(&s)
			}
			s.CacheDir, s.Staged, s.Sealed, tt.also.Path = at(s.CacheDir), at(s.Staged), at(s.Sealed), at(tt.also.Path)
			err = seal.CheckPaths([]seal.Sector{s}, tt.also)
			if len(tt.says) == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			for i := range tt.says {
				tt.says[i] = strings.ReplaceAll(tt.says[i], "DIR", dir)
			}
			checkError(t, err, new(*seal.SamePathError), tt.says)
		})
	}
}

// TestCheckPathsOfMany: sectors are compared with each other; what they only read they
// may share.
func TestCheckPathsOfMany(t *testing.T) {
	dir := t.TempDir()
	var sectors []seal.Sector
	for i := range 300 {
		s := seal.Sector{
			CacheDir: filepath.Join(dir, fmt.Sprint("cache", i)),
			Staged:   filepath.Join(dir, "staged"),
			Sealed:   filepath.Join(dir, fmt.Sprint("sealed", i)),
		}
		treeD := filepath.Join(s.CacheDir, "sc-02-data-tree-d.dat")
		err := errors.Join(os.Mkdir(s.CacheDir, 0o777), os.WriteFile(s.Sealed, nil, 0o666))
		if i == 0 {
			err = errors.Join(err, os.WriteFile(treeD, nil, 0o666), os.WriteFile(s.Staged, nil, 0o666))
		} else {
			err = errors.Join(err, os.Link(filepath.Join(sectors[0].CacheDir, filepath.Base(treeD)), treeD))
		}
		if err != nil {
			t.Fatal(err)
		}
		sectors = append(sectors, s)
	}
	if err := seal.CheckPaths(sectors); err != nil {
		t.Error(err)
	}
	sectors[250].Sealed = sectors[3].Sealed
	checkError(t, seal.CheckPaths(sectors), new(*seal.SamePathError), []string{"sealed of sector 250", "sealed of sector 3 "})
	sectors[250].Sealed = filepath.Join(sectors[7].CacheDir, "sc-02-data-layer-1.dat")
	checkError(t, seal.CheckPaths(sectors), new(*seal.SamePathError), []string{"sealed of sector 250", "layer 1 of sector 7 "})
	for i := range sectors {
		sectors[i].CacheDir = sectors[0].CacheDir
	}
	err := seal.CheckPaths(sectors)
	checkError(t, err, new(*seal.SamePathError), []string{"cache dir of sector 1 ", "cache dir of sector 0 ", "and 29"})
	if lines := strings.Count(err.Error(), "\n"); lines > 10 {
		t.Errorf("%d lines", lines)
	}
}

// TestSamePathsInJob: PreCommit1 touches nothing when a file would be two.
func TestSamePathsInJob(t *testing.T) {
	s := newSector(t, small(t))
	s.Sealed = filepath.Join(s.CacheDir, "sc-02-data-layer-2.dat")
	if err := os.WriteFile(s.Sealed, []byte("precious"), 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := seal.PreCommit1(t.Context(), s, seal.Options{})
	checkError(t, err, new(*seal.SamePathError), []string{"sealed", "layer 2"})
	if got := must(os.ReadFile(s.Sealed)); string(got) != "precious" {
		t.Errorf("sealed is %q", got)
	}
}

// TestBegin: what Begin says ends the job before anything is touched, and a piece that is
// not the data's ends it before Begin.
func TestBegin(t *testing.T) {
	s := newSector(t, small(t))
	stop := errors.New("not today")
	called := 0
	o := seal.Options{Begin: func() error { called++; return stop }}
	if _, err := seal.PreCommit1(t.Context(), s, o); !errors.Is(err, stop) || called != 1 {
		t.Errorf("%v, called %d times", err, called)
	}
	if names := cacheFiles(t, s); len(names) > 0 {
		t.Errorf("left %q", names)
	}
	s.Pieces[0].CommP[0] ^= 1
	if _, err := seal.PreCommit1(t.Context(), s, o); err == nil || called != 1 {
		t.Errorf("%v, called %d times", err, called)
	}
}
