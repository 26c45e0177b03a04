// Package overlay writes what the go command needs to build a host, lotus or curio, so that
// its filecoin-ffi calls this module: the host's own proofs.go with six functions renamed, a
// file that has ours in their place, and a copy of the host's go.mod that knows this module.
// Nothing of the host's is changed.
package overlay

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
)

const (
	ffiModule = "github.com/filecoin-project/filecoin-ffi"
	module    = "github.com/sdr-engine/sdr"

	packageName = "ffi"
	proofs      = "proofs.go"
	added       = "sdr_overlay.go"
	goMod       = "go.mod"
	goSum       = "go.sum"
	replaced    = "overlay.json"

	// prefix is what the host's own functions get in front of their names.
	prefix = "filcrypto"
)

// ours is the file that is added. Its exported functions take the place of the host's, and
// what it declares them with is what the host's must be.
//
//go:embed _host/sdr_overlay.go
var ours []byte

// Options say what is written, and where.
type Options struct {
	FFI   string // the directory of the host's filecoin-ffi
	GoMod string // the host's go.mod
	Out   string // a directory to make; one that an earlier Write made is replaced
	// Module is the directory of this module's source, or Version which release of it to use.
	Module, Version string
}

// A DirError says why a directory cannot be what it was given as.
type DirError struct {
	Role string // "filecoin-ffi", "the output", "the module"
	Path string
	Why  string
}

func (e *DirError) Error() string {
	return fmt.Sprintf("overlay: looking at %s: %s %s", e.Role, e.Path, e.Why)
}

// A FunctionError says which of the host's functions is not the one that is expected.
type FunctionError struct {
	Path, Name string
	Have, Want string // declarations; Have is "" if there is none
}

func (e *FunctionError) Error() string {
	have := e.Have
	if have == "" {
		have = "no such function"
	}
	return fmt.Sprintf("overlay: reading %s: %s: it has %s, want %s", e.Path, e.Name, have, e.Want)
}

// A NameError says that the host has already declared a name that is to be added.
type NameError struct {
	Name, Where string
}

func (e *NameError) Error() string {
	return fmt.Sprintf("overlay: adding %s: %s is declared already, at %s", added, e.Name, e.Where)
}

// Write writes all, or nothing, and returns the flags of go build that use it. Each error that is not of the file system is a *DirError, a
// *FunctionError, a *NameError or a *GoModError, or several, joined.
func Write(o Options) (flags []string, err error) {
	if (o.Module == "") == (o.Version == "") {
		return nil, fmt.Errorf("overlay: choosing the module: directory %q and version %q, want one of them", o.Module, o.Version)
	}
	if o.Version != "" && !semver.IsValid(o.Version) {
		return nil, fmt.Errorf("overlay: choosing the module: %q is no version, like v1.2.3", o.Version)
	}
	paths := []*string{&o.FFI, &o.GoMod, &o.Out, &o.Module}
	for _, p := range paths {
		if *p == "" {
			continue
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			return nil, fmt.Errorf("overlay: %w", err)
		}
		*p = abs
	}
	if o.Out, err = o.place(); err != nil {
		return nil, err
	}
	files, err := o.source()
	if err != nil {
		return nil, err
	}
	mod, at, err := o.goMod()
	if err != nil {
		return nil, err
	}
	maps.Copy(files, mod)
	if files[replaced], err = o.replacements(at); err != nil {
		return nil, err
	}
	if err := o.publish(files); err != nil {
		return nil, err
	}
	return []string{"-mod=mod", "-modfile=" + filepath.Join(o.Out, goMod), "-overlay=" + filepath.Join(o.Out, replaced)}, nil
}

// source is what the host's package is compiled from, where that is not its own.
func (o *Options) source() (map[string][]byte, error) {
	text, err := os.ReadFile(filepath.Join(o.FFI, goMod))
	if err == nil {
		err = checkModule(text, ffiModule)
	}
	if err != nil {
		return nil, &DirError{"filecoin-ffi", o.FFI, "is none: " + err.Error()}
	}
	files := token.NewFileSet()
	path := filepath.Join(o.FFI, proofs)
	if text, err = os.ReadFile(path); err != nil {
		return nil, &DirError{"filecoin-ffi", o.FFI, "is none: " + err.Error()}
	}
	host, err := parser.ParseFile(files, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("overlay: reading filecoin-ffi: %w", err)
	}
	if host.Name.Name != packageName {
		return nil, &DirError{"filecoin-ffi", o.FFI, fmt.Sprintf("is none: its %s is of package %s, want %s", proofs, host.Name.Name, packageName)}
	}
	own, err := parser.ParseFile(files, added, ours, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("overlay: %w", err)
	}
	wanted := functions(own)
	have := functions(host)
	var errs []error
	var at []int // where the names of the host's functions begin
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if !ast.IsExported(name) {
			continue
		}
		want := signature(files, wanted[name][0])
		switch found := have[name]; {
		case len(found) == 0:
			errs = append(errs, &FunctionError{path, name, "", want})
		case len(found) > 1:
			errs = append(errs, &FunctionError{path, name, fmt.Sprintf("%d of them, at lines %d and %d", len(found), files.Position(found[0].Pos()).Line, files.Position(found[1].Pos()).Line), want})
		case signature(files, found[0]) != want:
			errs = append(errs, &FunctionError{path, name, signature(files, found[0]), want})
		default:
			at = append(at, files.Position(found[0].Name.Pos()).Offset)
		}
	}
	if err := errors.Join(append(errs, o.checkNames(files, own))...); err != nil {
		return nil, err
	}
	// From the end, so that the others stay where they are.
	slices.Sort(at)
	for _, i := range slices.Backward(at) {
		text = slices.Insert(text, i, []byte(prefix)...)
	}
	return map[string][]byte{proofs: text, added: append(constraints(host), ours...)}, nil
}

// functions are a file's, without methods, by name.
func functions(f *ast.File) map[string][]*ast.FuncDecl {
	all := map[string][]*ast.FuncDecl{}
	for _, d := range f.Decls {
		if d, ok := d.(*ast.FuncDecl); ok && d.Recv == nil {
			all[d.Name.Name] = append(all[d.Name.Name], d)
		}
	}
	return all
}

// signature is a function's declaration on one line, each parameter with a type of its own.
// Names count: of two paths, one is read and one is written.
func signature(files *token.FileSet, f *ast.FuncDecl) string {
	list := func(fields *ast.FieldList) string {
		var all []string
		for _, f := range fields.List {
			var b bytes.Buffer
			_ = printer.Fprint(&b, files, f.Type) // into memory
			kind := strings.Join(strings.Fields(b.String()), " ")
			for _, name := range f.Names {
				all = append(all, name.Name+" "+kind)
			}
			if len(f.Names) == 0 {
				all = append(all, kind)
			}
		}
		return strings.Join(all, ", ")
	}
	text := "func " + f.Name.Name
	if f.Type.TypeParams != nil {
		text += "[" + list(f.Type.TypeParams) + "]"
	}
	text += "(" + list(f.Type.Params) + ")"
	if f.Type.Results != nil {
		text += " (" + list(f.Type.Results) + ")"
	}
	return text
}

// checkNames makes sure that the package has none of the names yet that it gets.
func (o *Options) checkNames(files *token.FileSet, own *ast.File) error {
	entries, err := os.ReadDir(o.FFI)
	if err != nil {
		return fmt.Errorf("overlay: reading filecoin-ffi: %w", err)
	}
	has := map[string]string{}
	for _, e := range entries {
		path := filepath.Join(o.FFI, e.Name())
		if e.Name() == added {
			return &NameError{added, path}
		}
		if filepath.Ext(path) != ".go" {
			continue
		}
		f, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("overlay: reading filecoin-ffi: %w", err)
		}
		for _, name := range declared(f) {
			has[name.Name] = files.Position(name.Pos()).String()
		}
	}
	var errs []error
	check := func(name string) {
		if where := has[name]; where != "" {
			errs = append(errs, &NameError{name, where})
		}
	}
	for _, name := range declared(own) {
		if name.IsExported() {
			check(prefix + name.Name)
		} else {
			check(name.Name)
		}
	}
	for _, spec := range own.Imports {
		if spec.Name != nil {
			check(spec.Name.Name)
		}
	}
	return errors.Join(errs...)
}

// declared are the names that a file gives its package.
func declared(f *ast.File) (names []*ast.Ident) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				names = append(names, d.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					names = append(names, spec.Name)
				case *ast.ValueSpec:
					names = append(names, spec.Names...)
				}
			}
		}
	}
	return names
}

// constraints are the lines that say when a file is compiled, for one that is compiled
// when it is.
func constraints(f *ast.File) (text []byte) {
	for _, group := range f.Comments {
		for _, c := range group.List {
			if c.Pos() < f.Package && (constraint.IsGoBuild(c.Text) || constraint.IsPlusBuild(c.Text)) {
				text = append(text, c.Text+"\n"...)
			}
		}
	}
	if text != nil {
		text = append(text, '\n')
	}
	return text
}

// replacements is the file that says which of the host's are replaced. Its filecoin-ffi is
// there under all the paths that lead to it: the go command compares texts, and a path that
// it does not know would leave filcrypto in place without a word.
func (o *Options) replacements(ffi []string) ([]byte, error) {
	replace := map[string]string{}
	for _, dir := range ffi {
		for _, name := range []string{proofs, added} {
			replace[filepath.Join(dir, name)] = filepath.Join(o.Out, name)
		}
	}
	text, err := json.MarshalIndent(map[string]any{"Replace": replace}, "", "\t")
	if err != nil {
		return nil, fmt.Errorf("overlay: %w", err)
	}
	return append(text, '\n'), nil
}

// names are all that an output directory may hold.
var names = []string{proofs, added, goMod, goSum, replaced}

// place is the output directory, without links. It may not be inside the host's trees, and
// if it is there it must be empty, or of an earlier Write.
func (o *Options) place() (string, error) {
	out, err := resolve(o.Out)
	if err != nil {
		return "", &DirError{"the output", o.Out, "leads nowhere: " + err.Error()}
	}
	trees := []string{o.FFI, filepath.Dir(o.GoMod)}
	if real, err := filepath.EvalSymlinks(o.GoMod); err == nil {
		trees = append(trees, filepath.Dir(real))
	}
	for _, tree := range trees {
		info, err := os.Stat(tree)
		if err != nil {
			continue // reading it says so
		}
		for dir := out; ; dir = filepath.Dir(dir) {
			if other, err := os.Stat(dir); err == nil && os.SameFile(info, other) {
				return "", &DirError{"the output", o.Out, fmt.Sprintf("is inside the host's tree %s, of which nothing is changed: choose a directory outside of it", tree)}
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	entries, err := os.ReadDir(out)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return "", &DirError{"the output", o.Out, "cannot be used: " + err.Error()}
	}
	made := len(entries) == 0
	for _, e := range entries {
		made = made || e.Name() == added // no other file has a name that is ours alone
		if !slices.Contains(names, e.Name()) || !e.Type().IsRegular() {
			return "", &DirError{"the output", o.Out, fmt.Sprintf("holds %s, which is not from here: choose a directory that is empty, or is to be made", e.Name())}
		}
	}
	if !made {
		return "", &DirError{"the output", o.Out, fmt.Sprintf("holds %s, but no %s, so it is not from here: choose a directory that is empty, or is to be made", entries[0].Name(), added)}
	}
	return out, nil
}

// resolve is a path without links, of which the end need not be there.
func resolve(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return real, err
	}
	if _, linkErr := os.Lstat(path); linkErr == nil {
		return "", err // a link to what is not there
	}
	parent, err := resolve(filepath.Dir(path))
	return filepath.Join(parent, filepath.Base(path)), err
}

// publish writes the directory beside where it is to be, and then gives it its name.
func (o *Options) publish(files map[string][]byte) (err error) {
	work, err := os.MkdirTemp(filepath.Dir(o.Out), ".sdr-overlay-")
	if err != nil {
		return fmt.Errorf("overlay: writing the output: %w", err)
	}
	defer func() {
		if removeErr := os.RemoveAll(work); err == nil && removeErr != nil {
			err = fmt.Errorf("overlay: cleaning up: %w", removeErr)
		}
	}()
	next, old := filepath.Join(work, "next"), filepath.Join(work, "old")
	if err := os.Mkdir(next, 0o777); err != nil { // #nosec G301 -- the umask decides, as for what any command makes
		return fmt.Errorf("overlay: writing the output: %w", err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(next, name), text, 0o666); err != nil { // #nosec G306 -- the umask decides, as for what any command makes
			return fmt.Errorf("overlay: writing the output: %w", err)
		}
	}
	if err := os.Rename(o.Out, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("overlay: replacing the output: %w", err)
	}
	if err := os.Rename(next, o.Out); err != nil {
		if backErr := os.Rename(old, o.Out); !errors.Is(backErr, fs.ErrNotExist) {
			err = errors.Join(err, backErr)
		}
		return fmt.Errorf("overlay: writing the output: %w", err)
	}
	return nil
}
