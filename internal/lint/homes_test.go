package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
)

// homes say where something may be done, which is to be nowhere else: in these files, and in
// directories that end in a slash. Tests may do what they like.
var homes = []struct {
	done *regexp.Regexp
	at   []string
	say  string
}{
	{
		regexp.MustCompile(`\bos\.(Getenv|LookupEnv|Environ|ExpandEnv)\b`),
		[]string{"cmd/sdrbench/main.go", "ffi/settings.go", "internal/testkit/"},
		"reads the environment: have the caller hand the value over",
	},
	{
		regexp.MustCompile(`\bos\.(Stdin|Stdout|Stderr|Args)\b|\bfmt\.Print|^(import )?\s*"(flag|log|log/slog)"`),
		[]string{"cmd/sdrbench/", "docs/", "ffi/process.go", "internal/testkit/"},
		"reads flags or a terminal, or writes to one: what a package has to say goes through a value that its caller gives",
	},
	{
		regexp.MustCompile(`\bos\.(Open|OpenFile|ReadDir|ReadFile|Readlink)\([^"]*"/?(proc|sys)\b`),
		[]string{"hugepages/", "internal/linux/", "internal/zoneinfo/", "reserve/", "topology/"},
		"reads the kernel's files: package topology knows how",
	},
}

func checkHomes(t tree) (problems []string) {
	for _, f := range t.goSources() {
		if strings.HasSuffix(f.name, "_test.go") {
			continue
		}
		for _, home := range homes {
			if slices.ContainsFunc(home.at, func(at string) bool {
				return f.name == at || strings.HasSuffix(at, "/") && strings.HasPrefix(f.name, at)
			}) {
				continue
			}
			for n, line := range lines(f.data) {
				if found := home.done.FindString(line); found != "" {
					problems = append(problems, fmt.Sprintf("%s:%d: has %s: it %s", f.name, n, strings.TrimSpace(found), home.say))
				}
			}
		}
	}
	return problems
}

// checkContexts refuses contexts that a value of package engine keeps: what ends a call is to be
// seen where it is made.
func checkContexts(t tree) (problems []string) {
	for _, f := range t.goSources() {
		if !within(path.Dir(f.name), "engine") || strings.HasSuffix(f.name, "_test.go") {
			continue
		}
		files := token.NewFileSet()
		parsed, err := parser.ParseFile(files, f.name, f.data, parser.SkipObjectResolution)
		if err != nil {
			continue // checkGofmt reports it
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			s, ok := n.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range s.Fields.List {
				kept, ok := field.Type.(*ast.SelectorExpr)
				if !ok || kept.Sel.Name != "Context" {
					continue
				}
				if pkg, ok := kept.X.(*ast.Ident); ok && pkg.Name == "context" {
					problems = append(problems, fmt.Sprintf("%s:%d: a value keeps a context: hand it to the functions that need it", f.name, files.Position(field.Pos()).Line))
				}
			}
			return true
		})
	}
	return problems
}
