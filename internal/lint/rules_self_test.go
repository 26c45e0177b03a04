package lint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sdr-engine/sdr/internal/testkit"
)

// Small architecture for the cases below.
var sample = []row{
	{0, "internal/os", []string{"golang.org/x/sys/unix"}},
	{0, "words", nil},
	{1, "hash", []string{"words"}},
	{1, "table", []string{"words", "internal/os"}},
	{1, "table/internal/row", nil},
	{2, "run", []string{lowerLevels}},
	{3, "cmd/tool", []string{publicPackages, "github.com/spf13/cobra"}},
}

// A rule that cannot fail is worthless: each rule meets files that it must
// refuse and their correct twins. want holds, in order, what each reported
// problem contains; none means that the files pass.
func TestRules(t *testing.T) {
	t.Parallel()
	imports := func(files tree) []string { return checkImports(files, sample) }
	doc := func(files tree) []string {
		return checkArchitecture(files, []row{{0, "words", nil}, {1, "hash", nil}, {1, "soon", nil}})
	}
	type src = map[string]string
	importing := func(file, path string) src {
		return src{file: "package p\n\nimport (\n\t_ \"fmt\"\n\t_ \"" + path + "\"\n)\n"}
	}
	const (
		goodRows = "| level | directory | its one job |\n|---|---|---|\n| 0 | `words` | a |\n| 1 | hash | b |\n| 1 | `soon` (later) | c |\n"
		pkg      = "package p\n"
	)
	withDoc := func(markdown string) src {
		return src{"ARCHITECTURE.md": markdown, "words/a.go": pkg, "hash/a.go": pkg}
	}

	for _, c := range []struct {
		name  string
		check func(tree) []string
		files src
		want  []string
	}{
		{"import: standard library", imports, importing("words/a.go", "go/parser"), nil},
		{"import: named directory", imports, importing("hash/a.go", module+"/words"), nil},
		{"import: named module", imports, importing("internal/os/a.go", "golang.org/x/sys/unix"), nil},
		{"import: package of a named module", imports, importing("cmd/tool/a.go", "github.com/spf13/cobra/doc"), nil},
		{"import: lower levels", imports, importing("run/a.go", module+"/internal/os"), nil},
		{"import: public packages", imports, importing("cmd/tool/a.go", module+"/run"), nil},
		{"import: lower but not named", imports, importing("hash/a.go", module+"/internal/os"), []string{"hash/a.go:5: imports " + module + "/internal/os: which the row of hash does not name"}},
		{"import: equal level", imports, importing("hash/a.go", module+"/table"), []string{"hash/a.go:5: imports " + module + "/table: level 1, but hash is level 1"}},
		{"import: higher level", imports, importing("words/a.go", module+"/run"), []string{"words/a.go:5: imports " + module + "/run: level 2, but words is level 0"}},
		{"import: higher than lower levels", imports, importing("run/a.go", module+"/cmd/tool"), []string{"level 3, but run is level 2"}},
		{"import: internal is not public", imports, importing("cmd/tool/a.go", module+"/internal/os"), []string{"which the row of cmd/tool does not name"}},
		{"import: internal anywhere is not public", imports, importing("cmd/tool/a.go", module+"/table/internal/row"), []string{"which the row of cmd/tool does not name"}},
		{"import: no row for the target", imports, importing("run/a.go", module+"/new"), []string{"run/a.go:5: imports " + module + "/new: which has no row"}},
		{"import: the module's root", imports, importing("run/a.go", module), []string{"which has no row"}},
		{"import: a module with a longer name", imports, importing("run/a.go", module+"2/words"), []string{"use the standard library"}},
		{"import: module not named", imports, importing("words/a.go", "golang.org/x/sys/unix"), []string{"words/a.go:5: imports golang.org/x/sys/unix: which the row of words does not name"}},
		{"import: sibling of a named package", imports, importing("internal/os/a.go", "golang.org/x/sys/unixx"), []string{"does not name"}},
		{"import: lower levels name no module", imports, importing("run/a.go", "golang.org/x/sys/unix"), []string{"does not name"}},
		{"import: cgo", imports, importing("internal/os/a.go", "C"), []string{"internal/os/a.go:5: imports C: no cgo"}},
		{"import: test library in a test", imports, importing("words/a_test.go", "github.com/google/go-cmp/cmp"), nil},
		{"import: test library outside a test", imports, importing("words/a.go", "github.com/google/go-cmp/cmp"), []string{"words/a.go:5: imports github.com/google/go-cmp/cmp: a library for tests"}},
		{"import: other library in a test", imports, importing("words/a_test.go", "github.com/spf13/cobra"), []string{"does not name"}},
		{"import: equal level in a test", imports, importing("hash/a_test.go", module+"/table"), nil},
		{"import: lower level in a test", imports, importing("hash/a_test.go", module+"/internal/os"), nil},
		{"import: higher level in a test", imports, importing("hash/a_test.go", module+"/run"), []string{"hash/a_test.go:5: imports " + module + "/run: level 2"}},
		{"import: hidden by the file's name", imports, importing("words/a_windows_arm64.go", module+"/run"), []string{"words/a_windows_arm64.go:5"}},
		{"import: hidden by build tags", imports, src{"words/a.go": "//go:build ignore\n\npackage p\n\nimport _ \"" + module + "/run\"\n"}, []string{"words/a.go:5"}},
		{"import: directory without a row", imports, src{"fresh/a.go": pkg, "fresh/b.go": pkg}, []string{"fresh/a.go:1: fresh has no level: add a row"}},
		{"import: directory within a directory", imports, src{"run/internal/ring/a.go": pkg}, []string{"run/internal/ring has no level"}},
		{"import: the root", imports, src{"a.go": pkg}, []string{"a.go:1: . has no level"}},
		{"import: this directory", imports, importing("internal/lint/a_test.go", "os/exec"), nil},
		{"import: testdata is no package", imports, importing("words/testdata/a.go", module+"/run"), nil},
		{"import: syntax", imports, src{"words/a.go": "package p\nimport fmt\n"}, []string{"words/a.go:2"}},

		{"architecture: same", doc, withDoc("# A\n\n" + goodRows + "\nText.\n| 7 | other table | x |\n"), nil},
		{"architecture: no file", doc, src{"words/a.go": pkg}, []string{"ARCHITECTURE.md:1: missing"}},
		{"architecture: no table", doc, withDoc("# A\n"), []string{"ARCHITECTURE.md:1: no table"}},
		{"architecture: row missing", doc, withDoc(strings.Replace(goodRows, "| 1 | hash | b |\n", "", 1)), []string{"ARCHITECTURE.md:1: the table lacks hash, level 1"}},
		{"architecture: row too many", doc, withDoc(goodRows + "| 2 | more | d |\n"), []string{"ARCHITECTURE.md:6: more is not in the table"}},
		{"architecture: row twice", doc, withDoc(goodRows + "| 1 | hash | d |\n"), []string{"ARCHITECTURE.md:6: a second row for hash"}},
		{"architecture: other level", doc, withDoc(strings.Replace(goodRows, "| 1 | hash", "| 2 | hash", 1)), []string{"ARCHITECTURE.md:4: hash is level 2 here and level 1"}},
		{"architecture: unreadable row", doc, withDoc(goodRows + "| x | y | z |\n"), []string{"ARCHITECTURE.md:6: cannot read the row"}},
		{"architecture: later but there", doc, withDoc(strings.Replace(goodRows, "| hash |", "| hash (later) |", 1)), []string{"ARCHITECTURE.md:4: hash exists: delete its mark"}},
		{"architecture: not there, not later", doc, withDoc(strings.Replace(goodRows, " (later)", "", 1)), []string{"ARCHITECTURE.md:5: soon does not exist"}},

		{"gofmt: formatted", checkGofmt, src{"a.go": "package p\n\nvar x = 1\n"}, nil},
		{"gofmt: spaces", checkGofmt, src{"a.go": "package p\n\nvar x  = 1\n"}, []string{"a.go:3: not gofmt's form: run gofmt -w a.go"}},
		{"gofmt: no newline at the end", checkGofmt, src{"a.go": "package p"}, []string{"a.go:1"}},
		{"gofmt: syntax", checkGofmt, src{"a.go": "package p\n\nvar\n"}, []string{"a.go:3"}},
		{"gofmt: testdata too", checkGofmt, src{"x/testdata/a.go": " package p\n"}, []string{"x/testdata/a.go:1"}},

		{"assembly: mnemonics and constants", checkAssembly, src{"a.s": "// BYTE $1 is not for us\n/* LONG $2\n   WORD $3 */\nDATA k<>+0(SB)/4, $0x428a2f98\nGLOBL k<>(SB), 8, $4\nTEXT ·f(SB), 4, $0-8\n\tMOVL WORD, AX\n\tPCALIGN $16\n\tMOVQ ·QUAD(SB), BX\n\tRET // LONG $4\n"}, nil},
		{"assembly: BYTE", checkAssembly, src{"a.s": "TEXT ·f(SB), 4, $0\n\tBYTE $0x0f; BYTE $0x38\n"}, []string{"a.s:2: an instruction encoded with BYTE"}},
		{"assembly: WORD after an instruction", checkAssembly, src{"a_arm64.s": "/* a\n   b */\n\tRET; WORD $0x5e280800\n"}, []string{"a_arm64.s:3: an instruction encoded with WORD"}},
		{"assembly: LONG after a label", checkAssembly, src{"a.s": "loop: LONG $1\n"}, []string{"a.s:1: an instruction encoded with LONG"}},
		{"assembly: QUAD in a macro", checkAssembly, src{"a.h": "#define OP(x) \\\n\tQUAD (x)\n"}, []string{"a.h:2: an instruction encoded with QUAD"}},
		{"assembly: macro's argument", checkAssembly, src{"a.h": "#define OP(code) WORD code\n"}, []string{"a.h:1: an instruction encoded with WORD"}},
		{"assembly: a macro anew", checkAssembly, src{"a.s": "#define A B\n// #undef A\n#undef A\n"}, []string{"a.s:3: a macro defined anew"}},
		{"assembly: other files", checkAssembly, src{"a.go": "package p // BYTE $1\n"}, nil},

		{"calls: numbers", checkSystemCalls, src{"a/a.go": "package p\n\nimport \"syscall\"\n\nvar _, _, _ = syscall.EIO, syscall.SIGTERM, syscall.O_NONBLOCK\n"}, nil},
		{"calls: a call", checkSystemCalls, src{"a/a_linux.go": "package p\n\nimport \"syscall\"\n\nvar _ = syscall.Statfs\n"}, []string{"a/a_linux.go:5: uses syscall.Statfs"}},
		{"calls: at home, and in a test", checkSystemCalls, src{"internal/linux/a.go": "package linux\n\nvar _ = syscall.Statfs\n", "a/a_test.go": "package p\n\nvar _ = syscall.Statfs\n"}, nil},
		{"resolved: elsewhere", checkResolved, src{"sealer/a.go": "package p\n\nvar _, _ = c.Resolve()\n"}, []string{"sealer/a.go:3: calls .Resolve()"}},
		{"resolved: at home, and in a test", checkResolved, src{"seal/a.go": "package p\n\nvar _, _ = c.Resolve()\n", "a/a_test.go": "package p\n\nvar _ = c.Validate()\n"}, nil},
		{"homes: at home, in a test, and in words", checkHomes, src{"cmd/sdrbench/main.go": pkg + "var _, _ = os.Environ(), os.Stdout\n", "internal/linux/a.go": pkg + "var _ = os.Open(\"/proc/self/x\")\n", "sealer/a_test.go": pkg + "var _ = os.Getenv(\"A\")\n", "sealer/a.go": pkg + "const a = \"/proc/x\" // a log\n"}, nil},
		{"homes: elsewhere", checkHomes, src{"cmd/sdrbench/a.go": pkg + "var _ = os.Getenv(\"A\")\nvar _, _ = os.ReadFile(filepath.Join(\"/proc\", pid))\n", "sealer/a.go": pkg + "import (\n\t\"log\"\n)\n\nvar _ = os.Stderr\n"}, []string{"cmd/sdrbench/a.go:2: has os.Getenv", "cmd/sdrbench/a.go:3: has os.ReadFile", "sealer/a.go:3: has \"log\"", "sealer/a.go:6: has os.Stderr"}},
		{"contexts: handed over", checkContexts, src{"engine/a.go": pkg + "func f(ctx context.Context) {}\n", "seal/a.go": pkg + "type a struct{ ctx context.Context }\n"}, nil},
		{"contexts: kept", checkContexts, src{"engine/internal/ring/a.go": pkg + "type a struct {\n\tn   int\n\tctx context.Context\n}\n"}, []string{"engine/internal/ring/a.go:4: a value keeps a context"}},
		{"methods: as many as may be", checkMethods, src{"engine/a.go": pkg + strings.Repeat("func (p *pipeline) m() {}\n", 25), "engine/a_test.go": pkg + "func (p *pipeline) m() {}\n"}, nil},
		{"methods: too many", checkMethods, src{"engine/a.go": pkg + strings.Repeat("func (p *pipeline) m() {}\n", 25), "engine/b.go": pkg + "func (p pipeline) m() {}\n"}, []string{"engine:1: pipeline has 26 methods, 25 at most"}},
		{"variables: in the table, set, or no test's", checkVariables, src{"CONTRIBUTING.md": "| `A=1` | a |\n", "p/a_test.go": pkg + "var _, _ = os.Getenv(\"A\"), os.Getenv(\"B\")\n", "p/b_test.go": pkg + "var _ = \"B=1\"\n", "p/c.go": pkg + "var _ = os.Getenv(\"C\")\n"}, nil},
		{"variables: nowhere", checkVariables, src{"CONTRIBUTING.md": "`A`\n", "p/a_test.go": pkg + "var _, _ = os.LookupEnv(\"B\")\n"}, []string{"p/a_test.go:2: reads B, which the table in CONTRIBUTING.md lacks"}},
		{"words: clean", checkWords, src{"a.md": "network/ a/workbench XX" + "XXXX to" + "do\n"}, nil},
		{"words: path", checkWords, src{".ci/run": "x\ncd " + machinePath + "y\n"}, []string{".ci/run:2: names " + machinePath}},
		{"words: note", checkWords, src{"a.go": "// TO" + "DO: later\n", "b.s": "\n// FIX" + "ME\n", "c": "XX" + "X\n"}, []string{"a.go:1: says TO" + "DO", "b.s:2: says FIX" + "ME", "c:1: says XX" + "X"}},
		{"words: stilted", checkWords, src{"a.md": "Who" + "ever reads it\nas were " + "due, who ever\n"}, []string{"a.md:1: says \"Who" + "ever\"", "a.md:2: says \"as were " + "due\""}},
		{"words: not text", checkWords, src{"a.bin": "\x00 TO" + "DO"}, nil},
		{"words: a work tree's link", checkWords, src{".git": "gitdir: " + machinePath + "\n"}, nil},
		{"words: not ours", checkWords, src{".git/x": "TO" + "DO\n", "bin/x": "TO" + "DO\n", "go.sum": "TO" + "DO\n"}, nil},

		{"comment: library", checkPackageComments, src{"p/a.go": "// Package p is.\npackage p\n", "p/b.go": pkg}, nil},
		{"comment: command", checkPackageComments, src{"p/a.go": "// Sdrbench seals.\npackage main\n"}, nil},
		{"comment: none", checkPackageComments, src{"p/a.go": pkg, "p/b.go": pkg}, []string{"p/a.go:1: package p has no package comment"}},
		{"comment: detached", checkPackageComments, src{"p/a.go": "// Package p is.\n\npackage p\n"}, []string{"p/a.go:1"}},
		{"comment: other name", checkPackageComments, src{"p/a.go": "// Package pp is.\npackage p\n"}, []string{"p/a.go:1"}},
		{"comment: only a build tag", checkPackageComments, src{"p/a.go": "//go:build linux\npackage main\n"}, []string{"p/a.go:1"}},
		{"comment: only in a test", checkPackageComments, src{"p/a.go": pkg, "p/a_test.go": "// Package p is.\npackage p\n"}, []string{"p/a.go:1"}},
		{"comment: tests only", checkPackageComments, src{"p/a_test.go": pkg}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fsys := fstest.MapFS{}
			for name, text := range c.files {
				fsys[name] = &fstest.MapFile{Data: []byte(text)}
			}
			files, err := readTree(fsys)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, c.check(files), c.want)
		})
	}
}

func compare(t *testing.T, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d problems, want %d\n got: %q\nwant: %q", len(got), len(want), got, want)
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("problem %d: got %q, want it to contain %q", i, got[i], want[i])
		}
	}
}

func TestRowsRule(t *testing.T) {
	t.Parallel()
	compare(t, checkRows(sample), nil)
	compare(t, checkRows([]row{
		{0, "a", []string{"b", "golang.org/x/sys"}},
		{1, "b", []string{"c", "b"}},
		{0, "a", nil},
	}), []string{
		"the row of a (level 0) names b (level 1)",
		"the row of b names c, which has no row",
		"the row of b (level 1) names b (level 1)",
		"two rows for a",
	})
}

// TestGoCommand runs vet and build on a module that is wrong for one platform
// only: assembly that disagrees with its declaration on arm64, a type error on
// Windows, an overflow on 386, a wrong test on arm, and a mistake under a tag.
func TestGoCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":        "module example.org/m\n\ngo 1.26\n",
		"f_amd64.go":    "package m\n\nfunc f(x uint64) uint64\n",
		"f_amd64.s":     "#include \"textflag.h\"\n\nTEXT ·f(SB), NOSPLIT, $0-16\n\tMOVQ x+0(FP), AX\n\tMOVQ AX, ret+8(FP)\n\tRET\n",
		"f_arm64.go":    "package m\n\nfunc f(x uint64) uint64\n",
		"f_arm64.s":     "#include \"textflag.h\"\n\nTEXT ·f(SB), NOSPLIT, $0-16\n\tMOVD x+8(FP), R0\n\tMOVD R0, ret+8(FP)\n\tRET\n",
		"f_other.go":    "//go:build !amd64 && !arm64\n\npackage m\n\nfunc f(x uint64) uint64 { return x }\n",
		"g_purego.go":   "//go:build purego\n\npackage m\n\nimport \"fmt\"\n\nfunc g() { fmt.Printf(\"%d\\n\", \"text\") }\n",
		"h.go":          "package m\n\nvar _ = h\n",
		"i_386.go":      "package m\n\nvar i = 1 << 40\n",
		"i_arm_test.go": "package m\n\nvar j int = \"text\"\n",
		"h_unix.go":     "//go:build unix\n\npackage m\n\nconst h = 1\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		subcommand string
		platform   platform
		want       []string
	}{
		{"vet", platform{"linux", "amd64", ""}, nil},
		{"vet", platform{"linux", "arm64", ""}, []string{"f_arm64.s:4"}},
		{"vet", platform{"linux", "amd64", "purego"}, []string{"g_purego.go:7"}},
		{"build", platform{"linux", "riscv64", ""}, nil},
		{"build", platform{"windows", "amd64", ""}, []string{"h.go:3"}},
		{"vet", platform{"windows", "amd64", ""}, []string{"h.go:3"}},
		{"build", platform{"linux", "386", ""}, []string{"i_386.go:3"}},
		{"vet", platform{"linux", "arm", ""}, []string{"i_arm_test.go:3"}},
	} {
		t.Run(c.subcommand+" "+c.platform.String(), func(t *testing.T) {
			t.Parallel()
			testkit.NeedsLong(t, "it compiles for several platforms")
			compare(t, runGo(dir, c.subcommand, c.platform), c.want)
		})
	}
}
