package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/printer"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/internal/testkit"
)

// surfaceFile holds what the public packages export: a line for each name.
const surfaceFile = "testdata/surface.txt"

// TestSurface compares what public packages export with a file, so that each change of it
// is a decision: -update writes the file anew. What is exported says nothing that a user
// of the module cannot say: no type of an internal package or of another module, and none
// that is not exported. Nor do the comments on it name what an internal package has.
func TestSurface(t *testing.T) {
	t.Parallel()
	root := projectRoot(t)
	var lines []string
	for _, r := range levels {
		if strings.HasPrefix(r.directory, "internal/") || strings.Contains(r.directory, "/internal/") || strings.HasPrefix(r.directory, "cmd/") {
			continue
		}
		exported, problems := surfaceOf(filepath.Join(root, r.directory), r.directory)
		lines = append(lines, exported...)
		for _, problem := range problems {
			t.Error(problem)
		}
	}
	got := strings.Join(lines, "\n") + "\n"
	if testkit.Update() {
		if err := os.WriteFile(surfaceFile, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(surfaceFile)
	if err != nil {
		t.Fatal(err)
	}
	before := strings.Split(strings.TrimSuffix(string(want), "\n"), "\n")
	for _, line := range lines {
		if !slices.Contains(before, line) {
			t.Errorf("new: %s", line)
		}
	}
	for _, line := range before {
		if !slices.Contains(lines, line) {
			t.Errorf("gone: %s", line)
		}
	}
	if t.Failed() {
		t.Log("if that is meant, go test ./internal/lint -run TestSurface -update writes " + surfaceFile)
	}
}

// surfaceOf lists what a package exports on linux/amd64, and what is wrong with it.
func surfaceOf(dir, directory string) (lines, problems []string) {
	ctx := build.Default
	ctx.GOOS, ctx.GOARCH, ctx.CgoEnabled = "linux", "amd64", false
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, []string{err.Error()}
	}
	s := surface{directory: directory, fset: token.NewFileSet()}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		if match, err := ctx.MatchFile(dir, name); err != nil || !match {
			continue
		}
		file, err := parser.ParseFile(s.fset, filepath.Join(dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, []string{err.Error()}
		}
		s.file(file)
	}
	slices.Sort(s.lines)
	return s.lines, s.problems
}

type surface struct {
	directory       string
	fset            *token.FileSet
	imports         map[string]string // of the file at hand, by the name that stands before the dot
	lines, problems []string
}

func (s *surface) file(f *ast.File) {
	s.imports = map[string]string{}
	for _, imp := range f.Imports {
		p, _ := strconv.Unquote(imp.Path.Value)
		name := path.Base(p)
		if imp.Name != nil {
			name = imp.Name.Name
		}
		s.imports[name] = p
	}
	for _, d := range f.Decls {
		s.comments(f, d)
		switch d := d.(type) {
		case *ast.FuncDecl:
			if !d.Name.IsExported() {
				continue
			}
			receiver := ""
			if d.Recv != nil {
				base, exported := receiverName(d.Recv.List[0].Type)
				if !exported {
					continue
				}
				receiver = "(" + base + ") "
			}
			s.add("func "+receiver+d.Name.Name+strings.TrimPrefix(s.text(d.Type), "func"), d.Type)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				s.spec(d.Tok, spec)
			}
		}
	}
}

// internalName is one of an internal package, as comments write it.
var internalName = func() *regexp.Regexp {
	var names []string
	for _, r := range levels {
		if within(r.directory, "internal") || strings.Contains(r.directory, "/internal/") {
			names = append(names, path.Base(r.directory))
		}
	}
	return regexp.MustCompile(`\b(` + strings.Join(names, "|") + `)\.[A-Z]\w*`)
}()

// comments looks at what users read of a declaration: the comment above it if it is a
// function's, and all within otherwise.
func (s *surface) comments(f *ast.File, d ast.Decl) {
	from, to := d.Pos(), d.End()
	switch d := d.(type) {
	case *ast.FuncDecl:
		if to = from; !d.Name.IsExported() {
			return
		}
		if d.Doc != nil {
			from = d.Doc.Pos()
		}
	case *ast.GenDecl:
		if d.Tok == token.TYPE && len(d.Specs) == 1 && !d.Specs[0].(*ast.TypeSpec).Name.IsExported() {
			return
		}
		if d.Doc != nil {
			from = d.Doc.Pos()
		}
	}
	for _, group := range f.Comments {
		if group.Pos() < from || group.End() > to {
			continue
		}
		if name := internalName.FindString(group.Text()); name != "" {
			s.problems = append(s.problems, fmt.Sprintf("%s: a comment names %s, which is not for users of this module", s.fset.Position(group.Pos()), name))
		}
	}
}

func (s *surface) spec(tok token.Token, spec ast.Spec) {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			if name.IsExported() {
				text := tok.String() + " " + name.Name
				if spec.Type != nil {
					text += " " + s.text(spec.Type)
				}
				s.add(text, spec.Type)
			}
		}
	case *ast.TypeSpec:
		if !spec.Name.IsExported() {
			return
		}
		prefix := "type " + spec.Name.Name
		if spec.Assign != 0 {
			prefix += " ="
		}
		switch t := spec.Type.(type) {
		case *ast.StructType:
			s.add(prefix+" struct", nil)
			s.fields(spec.Name.Name+".", t.Fields)
		case *ast.InterfaceType:
			s.add(prefix+" interface", nil)
			s.fields(spec.Name.Name+".", t.Methods)
		default:
			// What an unexported type is made of may show: an array, say, of its size.
			s.add(prefix+" "+s.text(t), t)
		}
	}
}

func (s *surface) fields(prefix string, list *ast.FieldList) {
	for _, f := range list.List {
		if len(f.Names) == 0 { // embedded
			if base, exported := receiverName(f.Type); exported {
				s.add("field "+prefix+base, f.Type)
			}
		}
		for _, name := range f.Names {
			if name.IsExported() {
				s.add("field "+prefix+name.Name+" "+s.text(f.Type), f.Type)
			}
		}
	}
}

// add notes an exported name, and looks at the types that it is said with.
func (s *surface) add(text string, in ast.Node) {
	line := s.directory + ": " + text
	s.lines = append(s.lines, line)
	if in == nil || (in == ast.Expr(nil)) {
		return
	}
	s.types(in, func(problem string) { s.problems = append(s.problems, line+": "+problem) })
}

// types looks at each type that stands in a type.
func (s *surface) types(in ast.Node, report func(problem string)) {
	ast.Inspect(in, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if !ok {
				return true
			}
			p := s.imports[x.Name]
			if within(p, module) && strings.Contains(p, "/internal/") || external(p) && !within(p, module) {
				report(fmt.Sprintf("%s.%s is not for users of this module: have a type of its own", p, n.Sel.Name))
			}
			return false
		case *ast.Field: // its names are no types
			s.types(n.Type, report)
			return false
		case *ast.Ident:
			if !n.IsExported() && !slices.Contains(universe, n.Name) {
				report(fmt.Sprintf("%s is not exported", n.Name))
			}
		}
		return true
	})
}

// universe are the types that every package has.
var universe = []string{
	"any", "bool", "byte", "comparable", "complex128", "complex64", "error", "float32", "float64", "int", "int16", "int32", "int64", "int8",
	"rune", "string", "uint", "uint16", "uint32", "uint64", "uint8", "uintptr",
}

func (s *surface) text(n ast.Node) string {
	var b bytes.Buffer
	_ = printer.Fprint(&b, s.fset, n) // into memory: it cannot fail
	return strings.Join(strings.Fields(b.String()), " ")
}

// receiverName is the name of the type that an expression leads to.
func receiverName(e ast.Expr) (name string, exported bool) {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiverName(e.X)
	case *ast.IndexExpr:
		return receiverName(e.X)
	case *ast.SelectorExpr:
		return e.Sel.Name, e.Sel.IsExported()
	case *ast.Ident:
		return e.Name, e.IsExported()
	}
	return "", false
}

// nobodyCalls are functions that are exported though nothing here outside their packages says
// their names, and why.
var nobodyCalls = map[string]string{
	"(Commitment) MarshalText": "an encoding.TextMarshaler, which encoding/json calls",
	"(Files) Refused":          "for programs that say why a file on hugetlbfs is not memory",
	"(PieceRecord) Aligned":    "with ParsePieceRecord, for programs that read what AppendPiece leaves",
	"(Progress) UnmarshalJSON": "a json.Unmarshaler",
	"(Writer) BlockSize":       "a hash.Hash has it",
	"(Writer) Level":           "for proofs over ranges, which other programs make",
	"ParsePieceRecord":         "with Aligned, for programs that read what AppendPiece leaves",
}

// TestSurfaceIsUsed finds exported functions whose names nothing says outside their packages, tests
// among it: what nobody calls is not exported.
func TestSurfaceIsUsed(t *testing.T) {
	t.Parallel()
	files, err := readTree(os.DirFS(projectRoot(t)))
	if err != nil {
		t.Fatal(err)
	}
	surface, err := os.ReadFile(surfaceFile)
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`\b[A-Z]\w*`)
	in := map[string]map[string]bool{} // a name: directories
	for _, f := range files {
		if path.Ext(f.name) != ".go" || path.Dir(f.name) == "internal/lint" { // where the list is
			continue
		}
		for _, found := range name.FindAll(f.data, -1) {
			if in[string(found)] == nil {
				in[string(found)] = map[string]bool{}
			}
			in[string(found)][path.Dir(f.name)] = true
		}
	}
	function := regexp.MustCompile(`^(\S+): func (?:(\(\w+\)) )?(\w+)`)
	left := maps.Clone(nobodyCalls)
	for n, line := range lines(surface) {
		m := function.FindStringSubmatch(line)
		if m == nil || len(in[m[3]]) > 1 || !in[m[3]][m[1]] {
			continue
		}
		called := strings.TrimSpace(m[2] + " " + m[3])
		if left[called] == "" {
			t.Errorf("%s:%d: nothing calls %s but its package %s: do not export it", surfaceFile, n, called, m[1])
		}
		delete(left, called)
	}
	for called := range left {
		t.Errorf("something calls %s, or it is gone: take it off the list", called)
	}
}
