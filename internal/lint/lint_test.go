// Package lint holds the rules of the house as tests: what a package may
// import, how files are written, which platforms must compile. Each rule is a
// function from files to problems, and rules_self_test.go proves that each can
// fail.
package lint

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sdr-engine/sdr/internal/testkit"
)

// projectRoot is the directory that holds go.mod.
func projectRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return root
}

// TestTree holds the project's files against every rule that reads files.
func TestTree(t *testing.T) {
	t.Parallel()
	files, err := readTree(os.DirFS(projectRoot(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range []struct {
		name  string
		check func() []string
	}{
		{"rows", func() []string { return checkRows(levels) }},
		{"imports", func() []string { return checkImports(files, levels) }},
		{"architecture", func() []string { return checkArchitecture(files, levels) }},
		{"gofmt", func() []string { return checkGofmt(files) }},
		{"assembly", func() []string { return checkAssembly(files) }},
		{"system calls", func() []string { return checkSystemCalls(files) }},
		{"resolved once", func() []string { return checkResolved(files) }},
		{"homes", func() []string { return checkHomes(files) }},
		{"contexts", func() []string { return checkContexts(files) }},
		{"methods", func() []string { return checkMethods(files) }},
		{"variables", func() []string { return checkVariables(files) }},
		{"words", func() []string { return checkWords(files) }},
		{"package comments", func() []string { return checkPackageComments(files) }},
	} {
		t.Run(rule.name, func(t *testing.T) {
			t.Parallel()
			for _, problem := range rule.check() {
				t.Error(problem)
			}
		})
	}
}

// platforms are what must compile: each with kernels of its own, the build without
// any, an architecture that has none, and the other operating systems.
var platforms = []platform{
	{"linux", "amd64", ""},
	{"linux", "arm64", ""},
	{"linux", "amd64", "purego"},
	{"linux", "riscv64", ""},
	{"darwin", "arm64", ""},
	{"windows", "amd64", ""},
}

// TestPlatforms compiles and vets what is there for each platform, tests too: vet's asmdecl
// compares assembly with the Go declarations. And it links what CI cannot run. One after another,
// they need not compile what they share twice.
func TestPlatforms(t *testing.T) {
	testkit.NeedsLong(t, "it compiles the standard library for several platforms")
	root := projectRoot(t)
	for i, p := range platforms {
		t.Run(p.String(), func(t *testing.T) {
			problems := runGo(root, "vet", p)
			if i >= 3 { // CI runs tests of those before
				problems = append(problems, runGo(root, "build", p)...)
			}
			for _, problem := range problems {
				t.Error(problem)
			}
		})
	}
}
