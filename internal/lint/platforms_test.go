package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// A platform is one configuration that the go command builds for.
type platform struct{ goos, goarch, tags string }

func (p platform) String() string {
	return strings.TrimSuffix(p.goos+"/"+p.goarch+"/"+p.tags, "/")
}

func (p platform) env() []string {
	return append(os.Environ(), "GOOS="+p.goos, "GOARCH="+p.goarch, "CGO_ENABLED=0")
}

// runGo runs a subcommand of go on all packages below dir for one platform.
// The output of a failed run, one line a problem, names file and line itself.
func runGo(dir, subcommand string, p platform) (problems []string) {
	args := []string{subcommand, "-tags=" + p.tags}
	if subcommand == "build" {
		args = append(args, "-buildvcs=false") // a tree without a usable .git must build too
	}
	cmd := exec.Command("go", append(args, "./...")...)
	cmd.Dir = dir
	cmd.Env = p.env()
	out, err := cmd.CombinedOutput()
	if err != nil {
		problems = append(problems, fmt.Sprintf("%s\n%v: correct it, then run: GOOS=%s GOARCH=%s CGO_ENABLED=0 go %s -tags=%s ./...",
			bytes.TrimSpace(out), err, p.goos, p.goarch, subcommand, p.tags))
	}
	return problems
}

// A typeChecker finds what the compiler would refuse, for any platform, in a second
// each: it compiles nothing, and of the standard library and other modules it reads
// declarations only. Files that platforms have in common are parsed once.
type typeChecker struct {
	files *token.FileSet
	mu    sync.Mutex
	asts  map[string]parsed // by path
}

type parsed struct {
	file *ast.File
	err  error
}

func newTypeChecker() *typeChecker {
	return &typeChecker{files: token.NewFileSet(), asts: map[string]parsed{}}
}

// parse reads a file, with the bodies of its functions or without, which are most of it.
func (c *typeChecker) parse(path string, bodies bool) (*ast.File, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.asts[path]
	if !ok {
		p.file, p.err = parser.ParseFile(c.files, path, nil, parser.SkipObjectResolution)
		if p.err == nil && !bodies {
			for _, d := range p.file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok {
					f.Body = nil
				}
			}
		}
		c.asts[path] = p
	}
	return p.file, p.err
}

// A listed is what `go list` says of a package.
type listed struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	ImportMap  map[string]string // by the path in the source, where that is not the package's own
	Module     *struct {
		Main      bool
		GoVersion string
	}
	Error *struct{ Err string }
}

// check type-checks all packages below dir, and their tests, for one platform.
func (c *typeChecker) check(dir string, p platform) (problems []string) {
	cmd := exec.Command("go", "list", "-e", "-deps", "-test", "-tags="+p.tags,
		"-json=ImportPath,Dir,GoFiles,ImportMap,Module,Error", "./...")
	cmd.Dir, cmd.Env = dir, p.env()
	var failure strings.Builder
	cmd.Stderr = &failure
	out, err := cmd.Output()
	if err != nil {
		return []string{fmt.Sprintf("%v: %v: %s", cmd, err, failure.String())}
	}
	done := map[string]*types.Package{"unsafe": types.Unsafe}
	for in := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		switch err := in.Decode(&l); {
		case err == io.EOF:
			return problems
		case err != nil:
			return append(problems, fmt.Sprintf("%v: %v", cmd, err))
		}
		// A package is listed after what it imports. A test's main is the go command's own.
		if l.ImportPath == "unsafe" || strings.HasSuffix(l.ImportPath, ".test") {
			continue
		}
		pkg, wrong := c.checkPackage(&l, p, done)
		done[l.ImportPath] = pkg
		for _, w := range wrong {
			w += fmt.Sprintf(": correct it, then run: GOOS=%s GOARCH=%s CGO_ENABLED=0 go vet -tags=%s ./...", p.goos, p.goarch, p.tags)
			if !slices.Contains(problems, w) { // a package and its twin for tests have files in common
				problems = append(problems, w)
			}
		}
	}
}

func (c *typeChecker) checkPackage(l *listed, p platform, done map[string]*types.Package) (*types.Package, []string) {
	ours := l.Module != nil && l.Module.Main
	var wrong []string
	if l.Error != nil {
		wrong = append(wrong, l.Error.Err)
	}
	config := types.Config{
		Importer:         importers{l, done},
		Sizes:            types.SizesFor("gc", p.goarch),
		IgnoreFuncBodies: !ours,
		FakeImportC:      true,
		Error: func(err error) {
			if ours {
				wrong = append(wrong, err.Error())
			}
		},
	}
	if l.Module != nil && l.Module.GoVersion != "" {
		config.GoVersion = "go" + l.Module.GoVersion
	}
	var files []*ast.File
	for _, name := range l.GoFiles {
		if !filepath.IsAbs(name) {
			name = filepath.Join(l.Dir, name)
		}
		f, err := c.parse(name, ours)
		if err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		files = append(files, f)
	}
	path, _, _ := strings.Cut(l.ImportPath, " ") // p [p.test]
	pkg, _ := config.Check(path, c.files, files, nil)
	return pkg, wrong
}

// importers finds what a package imports among those that are done.
type importers struct {
	of   *listed
	done map[string]*types.Package
}

func (i importers) Import(path string) (*types.Package, error) {
	if mapped, ok := i.of.ImportMap[path]; ok {
		path = mapped
	}
	if pkg := i.done[path]; pkg != nil {
		return pkg, nil
	}
	return nil, errors.New("no package " + path)
}
