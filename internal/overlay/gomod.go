package overlay

import (
	"errors"
	"fmt"
	goversion "go/version"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// goVersion is the go line of this module, which no module that requires it may be below.
const goVersion = "1.26.0"

// A GoModError says what is wrong with a host's go.mod.
type GoModError struct {
	Path string
	Err  error
}

func (e *GoModError) Error() string {
	return fmt.Sprintf("overlay: reading the host's go.mod: %s: %v", e.Path, e.Err)
}

// Unwrap is what is wrong with it.
func (e *GoModError) Unwrap() error { return e.Err }

// checkModule makes sure that a go.mod is a module's.
func checkModule(text []byte, want string) error {
	if have := modfile.ModulePath(text); have != want {
		return fmt.Errorf("its %s is of module %q, want %q", goMod, have, want)
	}
	return nil
}

// goMod is the host's go.mod, which also requires this module, and its go.sum. Paths in it
// stay as they are: the go command takes them from the host's root, wherever the file is. It
// returns the paths under which the host's filecoin-ffi may be known to the go command.
func (o *Options) goMod() (files map[string][]byte, ffi []string, err error) {
	failed := func(err error) (map[string][]byte, []string, error) {
		return nil, nil, &GoModError{o.GoMod, err}
	}
	text, err := os.ReadFile(o.GoMod)
	if err != nil {
		return failed(err)
	}
	f, err := modfile.Parse(o.GoMod, text, nil)
	if err != nil {
		return failed(err)
	}
	if f.Module == nil {
		return failed(errors.New("it has no module line"))
	}
	if ffi, err = o.ffiPaths(f); err != nil {
		return failed(err)
	}
	sum, err := os.ReadFile(strings.TrimSuffix(o.GoMod, ".mod") + ".sum")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("overlay: reading the host's go.sum: %w", err)
	}
	release := o.Version
	if o.Module != "" {
		release = "v0.0.0" // which the directory stands for
		ownSum, err := o.moduleSum()
		if err != nil {
			return nil, nil, err
		}
		sum = joinSums(sum, ownSum)
	}
	if err := f.AddRequire(module, release); err != nil {
		return failed(err)
	}
	for _, r := range slices.Clone(f.Replace) {
		if r.Old.Path == module {
			if err := f.DropReplace(r.Old.Path, r.Old.Version); err != nil {
				return failed(err)
			}
		}
	}
	if o.Module != "" {
		if err := f.AddReplace(module, "", o.Module, ""); err != nil {
			return failed(err)
		}
	}
	if err := raiseGo(f); err != nil {
		return failed(err)
	}
	f.Cleanup()
	return map[string][]byte{goMod: modfile.Format(f.Syntax), goSum: sum}, ffi, nil
}

// raiseGo raises the go line, where that is needed; a toolchain line that is then below it
// would be none.
func raiseGo(f *modfile.File) error {
	if f.Go != nil && goversion.Compare("go"+f.Go.Version, "go"+goVersion) >= 0 {
		return nil
	}
	if f.Toolchain != nil && goversion.Compare(f.Toolchain.Name, "go"+goVersion) < 0 {
		f.DropToolchainStmt()
	}
	return f.AddGoStmt(goVersion)
}

// ffiPaths makes sure that the host is built with the filecoin-ffi that was named. If it is
// not, the overlay would change nothing, without a word.
func (o *Options) ffiPaths(f *modfile.File) ([]string, error) {
	real, err := filepath.EvalSymlinks(o.FFI)
	if err != nil {
		return nil, err
	}
	paths := []string{o.FFI, real}
	if f.Module.Mod.Path == ffiModule {
		return unique(paths), sameDir(filepath.Dir(o.GoMod), o.FFI)
	}
	path, version := ffiReplacement(f)
	if path == "" || version != "" {
		return nil, fmt.Errorf("the host takes %s from the module cache, want it from %s: 'replace %s => %s'", ffiModule, o.FFI, ffiModule, modfile.AutoQuote(o.FFI))
	}
	roots := []string{filepath.Dir(o.GoMod)}
	if realRoot, err := filepath.EvalSymlinks(roots[0]); err == nil {
		roots = append(roots, realRoot)
	}
	for _, root := range roots {
		at := path
		if !filepath.IsAbs(at) {
			at = filepath.Join(root, at)
		}
		if err := sameDir(at, o.FFI); err != nil {
			return nil, err
		}
		paths = append(paths, at)
	}
	return unique(paths), nil
}

// ffiReplacement is what the go command takes instead of filecoin-ffi: a directory, which has
// no version, or a module. A line for the version that is required comes before one for all.
func ffiReplacement(f *modfile.File) (path, version string) {
	required := ""
	for _, r := range f.Require {
		if r.Mod.Path == ffiModule {
			required = r.Mod.Version
		}
	}
	for _, r := range f.Replace {
		if r.Old.Path == ffiModule && (r.Old.Version == required || r.Old.Version == "" && path == "") {
			path, version = r.New.Path, r.New.Version
		}
	}
	return path, version
}

func sameDir(host, named string) error {
	h, err := os.Stat(host) // #nosec G703 -- a path that the user names
	if err != nil {
		return err
	}
	n, err := os.Stat(named)
	if err != nil {
		return err
	}
	if !os.SameFile(h, n) {
		return fmt.Errorf("the host is built with %s of %s, not of %s", ffiModule, host, named)
	}
	return nil
}

func unique(paths []string) []string {
	slices.Sort(paths)
	return slices.Compact(paths)
}

// moduleSum is this module's go.sum.
func (o *Options) moduleSum() ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(o.Module, goMod))
	if err == nil {
		err = checkModule(text, module)
	}
	if err != nil {
		return nil, &DirError{"the module", o.Module, "is not ours: " + err.Error()}
	}
	sum, err := os.ReadFile(filepath.Join(o.Module, goSum))
	if err != nil {
		return nil, fmt.Errorf("overlay: reading the module's go.sum: %w", err)
	}
	return sum, nil
}

// joinSums adds the lines that are missing.
func joinSums(to, from []byte) []byte {
	all := strings.TrimSuffix(string(to), "\n")
	lines := strings.Split(all, "\n")
	for line := range strings.Lines(string(from)) {
		if line = strings.TrimSuffix(line, "\n"); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return []byte(strings.TrimPrefix(strings.Join(lines, "\n"), "\n") + "\n")
}
