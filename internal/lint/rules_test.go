package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"iter"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A tree is every text file of the project, in the order of their names.
type tree []file

type file struct {
	name string // slash-separated, from the project's root
	data []byte
}

// readTree reads a project. It leaves out what git keeps for itself, what
// `make build` made, and files that are not text.
func readTree(fsys fs.FS) (t tree, err error) {
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == ".git" || name == "bin"):
			return fs.SkipDir
		case !d.Type().IsRegular() || name == ".git": // a file in a work tree of git's
			return nil
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		if bytes.IndexByte(data[:min(len(data), 8192)], 0) < 0 {
			t = append(t, file{name, data})
		}
		return nil
	})
	return t, err
}

func (t tree) find(name string) (file, bool) {
	i := slices.IndexFunc(t, func(f file) bool { return f.name == name })
	if i < 0 {
		return file{}, false
	}
	return t[i], true
}

// goSources are the files that the go command would look at: those in testdata,
// and in directories or files whose names start with a dot or underscore, are not
// among them.
func (t tree) goSources() (sources []file) {
	for _, f := range t {
		ignored := slices.ContainsFunc(strings.Split(f.name, "/"), func(element string) bool {
			return element == "testdata" || element[0] == '.' || element[0] == '_'
		})
		if path.Ext(f.name) == ".go" && !ignored {
			sources = append(sources, f)
		}
	}
	return sources
}

func (t tree) hasPackage(directory string) bool {
	return slices.ContainsFunc(t.goSources(), func(f file) bool { return path.Dir(f.name) == directory })
}

// lines yields a text's lines, numbered from 1.
func lines(data []byte) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		n := 0
		for line := range strings.Lines(string(data)) {
			n++
			if !yield(n, strings.TrimRight(line, "\r\n")) {
				return
			}
		}
	}
}

func checkGofmt(t tree) (problems []string) {
	for _, f := range t {
		if path.Ext(f.name) != ".go" {
			continue
		}
		formatted, err := format.Source(f.data)
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s:%v: correct the syntax", f.name, err))
			continue
		}
		if !bytes.Equal(f.data, formatted) {
			problems = append(problems, fmt.Sprintf("%s:%d: not gofmt's form: run gofmt -w %[1]s", f.name, firstDifference(f.data, formatted)))
		}
	}
	return problems
}

func firstDifference(a, b []byte) (line int) {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return 1 + bytes.Count(a[:n], []byte("\n"))
}

var (
	// Bytes in an instruction stream. DATA lays out constants and is fine.
	encoded = regexp.MustCompile(`(?:^|[^\pL\d_·∕.$])(BYTE|WORD|LONG|QUAD|DWORD)[ \t]+[$(\pL_]`)
	comment = regexp.MustCompile(`//[^\n]*|(?s:/\*.*?\*/)`)
)

// checkAssembly refuses instructions written as bytes: nobody can review them,
// and vet cannot check them. It refuses macros that are defined anew, too: what one means is to stand
// in one place of what a file includes.
func checkAssembly(t tree) (problems []string) {
	for _, f := range t {
		if ext := path.Ext(f.name); ext != ".s" && ext != ".h" {
			continue
		}
		code := comment.ReplaceAllFunc(f.data, func(c []byte) []byte {
			return bytes.Repeat([]byte("\n"), bytes.Count(c, []byte("\n"))) // line numbers stay
		})
		for n, line := range lines(code) {
			if strings.HasPrefix(strings.TrimSpace(line), "#undef") {
				problems = append(problems, fmt.Sprintf("%s:%d: a macro defined anew: give each meaning a name of its own", f.name, n))
			}
			if m := encoded.FindStringSubmatch(line); m != nil {
				problems = append(problems, fmt.Sprintf("%s:%d: an instruction encoded with %s: write its mnemonic", f.name, n, m[1]))
			}
		}
	}
	return problems
}

// notCalls are what package syscall is for outside internal/linux: numbers of errors
// and signals, flags, what such a value has for a type.
var notCalls = regexp.MustCompile(`^(E[A-Z0-9]+|SIG[A-Z0-9]+|[A-Z]+_[A-Z0-9_]+|Errno|Signal|Stat_t)$`)

// checkSystemCalls refuses raw system calls outside internal/linux, which knows which
// of them must be tried again and what other systems have instead. Tests may do what
// they like.
func checkSystemCalls(t tree) (problems []string) {
	for _, f := range t.goSources() {
		if path.Dir(f.name) == "internal/linux" || strings.HasSuffix(f.name, "_test.go") {
			continue
		}
		files := token.NewFileSet()
		parsed, err := parser.ParseFile(files, f.name, f.data, 0)
		if err != nil {
			continue // checkGofmt reports it
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if pkg, ok := s.X.(*ast.Ident); ok && pkg.Name == "syscall" && pkg.Obj == nil && !notCalls.MatchString(s.Sel.Name) {
					problems = append(problems, fmt.Sprintf("%s:%d: uses syscall.%s: only internal/linux makes system calls, move it there", f.name, files.Position(s.Pos()).Line, s.Sel.Name))
				}
			}
			return true
		})
	}
	return problems
}

// resolves is what works out all that follows from an engine.Config.
var resolves = regexp.MustCompile(`\.(Resolve|Validate|CheckMachine)\(\)`)

// checkResolved refuses what would resolve an engine.Config once more: package seal resolves
// that of a job, and hands on what it made.
func checkResolved(t tree) (problems []string) {
	for _, f := range t.goSources() {
		if strings.HasPrefix(f.name, "engine/") || strings.HasPrefix(f.name, "seal/") || strings.HasSuffix(f.name, "_test.go") {
			continue
		}
		for i, line := range bytes.Split(f.data, []byte("\n")) {
			if found := resolves.Find(line); found != nil {
				problems = append(problems, fmt.Sprintf("%s:%d: calls %s: package seal resolves a job's Config, once; for a plan there is Config.Split, for flags Config.CheckSettings", f.name, i+1, found))
			}
		}
	}
	return problems
}

// fewMethods are types that are to be readable at the first pass, and how many methods each
// may have.
var fewMethods = []struct {
	directory, name string
	most            int
}{{"engine", "pipeline", 25}}

func checkMethods(t tree) (problems []string) {
	for _, of := range fewMethods {
		method := regexp.MustCompile(`(?m)^func \(\w+ \*?` + of.name + `\) `)
		n := 0
		for _, f := range t.goSources() {
			if path.Dir(f.name) == of.directory && !strings.HasSuffix(f.name, "_test.go") {
				n += len(method.FindAll(f.data, -1))
			}
		}
		if n > of.most {
			problems = append(problems, fmt.Sprintf("%s:1: %s has %d methods, %d at most: give some to a type that has fewer", of.directory, of.name, n, of.most))
		}
	}
	return problems
}

var variable = regexp.MustCompile(`\b(?:Getenv|LookupEnv)\("(\w+)"\)`)

// checkVariables wants every variable that tests read in CONTRIBUTING.md, unless a test sets it.
func checkVariables(t tree) (problems []string) {
	doc, _ := t.find("CONTRIBUTING.md")
	var tests []file
	for _, f := range t.goSources() {
		if strings.HasSuffix(f.name, "_test.go") || path.Dir(f.name) == "internal/testkit" {
			tests = append(tests, f)
		}
	}
	for _, f := range tests {
		for n, line := range lines(f.data) {
			for _, found := range variable.FindAllStringSubmatch(line, -1) {
				name := found[1]
				set := slices.ContainsFunc(tests, func(f file) bool {
					return bytes.Contains(f.data, []byte(`"`+name+`=`)) || bytes.Contains(f.data, []byte(`Setenv("`+name+`"`))
				})
				if !set && !bytes.Contains(doc.data, []byte("`"+name)) {
					problems = append(problems, fmt.Sprintf("%s:%d: reads %s, which the table in CONTRIBUTING.md lacks", f.name, n, name))
				}
			}
		}
	}
	return problems
}

// Words are spelled in parts here, or this file would not pass its own check.
var (
	machinePath = "/wo" + "rk/"
	unfinished  = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	stilted     = regexp.MustCompile(`(?i)\b(who` + `ever|what was ` + `had|as were ` + `due)\b`)
)

// checkWords refuses paths of one machine, notes of work left undone, and words that make a
// sentence hard to read.
// go.sum is left out: its text is hashes, which may spell anything.
func checkWords(t tree) (problems []string) {
	for _, f := range t {
		if f.name == "go.sum" {
			continue
		}
		for n, line := range lines(f.data) {
			if strings.Contains(line, machinePath) {
				problems = append(problems, fmt.Sprintf("%s:%d: names %s, a path of one machine: use a relative path or a parameter", f.name, n, machinePath))
			}
			if word := unfinished.FindString(line); word != "" {
				problems = append(problems, fmt.Sprintf("%s:%d: says %s: finish it, or open an issue and delete the note", f.name, n, word))
			}
			if words := stilted.FindString(line); words != "" {
				problems = append(problems, fmt.Sprintf("%s:%d: says %q, over which readers stumble: name who or what it is", f.name, n, words))
			}
		}
	}
	return problems
}

// checkPackageComments wants a comment above the package clause in one file of
// every package: "Package name …", or free text for a command.
func checkPackageComments(t tree) (problems []string) {
	first := map[string]string{} // directory: its first file without a comment
	documented := map[string]bool{}
	for _, f := range t.goSources() {
		if strings.HasSuffix(f.name, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), f.name, f.data, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			continue // checkGofmt reports it
		}
		directory := path.Dir(f.name)
		if isPackageComment(parsed.Doc, parsed.Name.Name) {
			documented[directory] = true
		} else if first[directory] == "" {
			first[directory] = f.name
		}
	}
	for _, directory := range slices.Sorted(maps.Keys(first)) {
		if !documented[directory] {
			problems = append(problems, fmt.Sprintf("%s:1: package %s has no package comment: say above a package clause what it is for, starting with \"Package %s\" (a command: with any word)", first[directory], directory, path.Base(directory)))
		}
	}
	return problems
}

// Text leaves out //go:build and its like, which are no words to a reader.
func isPackageComment(doc *ast.CommentGroup, name string) bool {
	text := doc.Text()
	if name == "main" {
		return text != ""
	}
	return strings.HasPrefix(text, "Package "+name+" ")
}
