package lint

import (
	"fmt"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/sdr-engine/sdr"

// What a row may import besides single directories and single modules.
const (
	lowerLevels    = "every directory of a lower level"
	publicPackages = "every directory that is not internal"
	cgo            = "C"
)

// A row gives a directory its level and says what its package may import besides
// the standard library: directories of this module, modules of others (a module
// stands for all its packages), or one of the constants above.
type row struct {
	level     int
	directory string
	may       []string
}

// levels is the architecture. ARCHITECTURE.md shows the same directories and
// levels to people; a change here is a change there, with the reason.
var levels = []row{
	{0, "internal/linux", []string{"golang.org/x/sys/unix"}},
	{0, "internal/coreclock", nil},
	{0, "internal/disassembly", nil},
	{0, "internal/failure", nil},
	{0, "internal/golden", nil},
	{0, "internal/memorymode", nil},
	{0, "internal/roundup", nil},
	{0, "internal/testkit", nil},
	{0, "internal/words", nil},
	{0, "internal/workers", nil},
	{0, "internal/zoneinfo", nil},
	{0, "porep", nil},
	{0, "engine/internal/ring", nil},

	{1, "internal/durable", []string{"internal/failure", "internal/linux"}},
	{1, "sha256", []string{"internal/failure", "github.com/klauspost/cpuid/v2"}},
	{1, "internal/portlimits", []string{"internal/coreclock", "github.com/klauspost/cpuid/v2"}},
	{1, "topology", []string{"internal/linux", "internal/zoneinfo"}},
	{1, "hugepages", []string{"internal/failure", "internal/linux", "internal/roundup", "internal/workers", "internal/zoneinfo"}},
	{1, "graph", []string{"porep", "golang.org/x/crypto", "github.com/klauspost/cpuid/v2"}},
	{1, "fr32", []string{"github.com/klauspost/cpuid/v2"}},
	{1, "internal/plain", []string{"porep", "golang.org/x/crypto"}},
	{1, "piececid", []string{"porep", "github.com/ipfs/go-cid", "github.com/multiformats/go-multihash"}},

	{2, "internal/input", []string{"piececid", "porep"}},
	{2, "internal/errorfs", []string{"internal/durable"}},
	{2, "parentcache", []string{"internal/failure", "internal/linux", "internal/durable", "internal/workers", "hugepages", "graph", "porep", "github.com/edsrzf/mmap-go"}},
	{2, "merkle", []string{"fr32", "internal/failure", "porep", "sha256"}},
	{2, "internal/layers", []string{"porep", "internal/durable", "internal/linux"}},
	{2, "internal/manifest", []string{"internal/durable", "porep", "lukechampine.com/blake3"}},
	{2, "placement", []string{"internal/failure", "internal/memorymode", "internal/roundup", "internal/words", "topology"}},
	{2, "reserve", []string{"internal/failure", "internal/linux", "topology"}},
	{2, "engine/internal/onelayer", []string{"engine/internal/ring", "internal/durable", "internal/failure", "internal/linux", "internal/memorymode", "internal/roundup", "porep", "sha256"}},
	{2, "engine/internal/forward", []string{"engine/internal/ring", "graph", "internal/durable", "internal/failure", "internal/linux", "internal/memorymode", "internal/roundup", "porep", "sha256"}},

	{3, "engine", []string{lowerLevels}},
	{4, "seal", []string{lowerLevels}},
	{4, "verify", []string{lowerLevels}},
	{4, "internal/profile", []string{lowerLevels, "github.com/BurntSushi/toml", "github.com/klauspost/cpuid/v2"}},

	{5, "cmd/sdrbench/internal/view", []string{
		"engine", "internal/coreclock", "internal/portlimits", "internal/profile", "internal/words", "placement", "porep", "reserve", "sha256", "topology",
		"charm.land/bubbletea/v2", "charm.land/lipgloss/v2", "golang.org/x/term",
	}},
	{5, "internal/tune", []string{"engine", "hugepages", "internal/profile", "internal/words", "placement"}},
	{5, "sealer", []string{lowerLevels}},

	{6, "lockstep", []string{lowerLevels}},

	{7, "ffi", []string{lowerLevels}},
	{7, "internal/cabi", []string{lowerLevels}},
	{7, "internal/overlay", []string{"golang.org/x/mod"}},
	{7, "internal/processor", []string{"internal/failure", "porep", "seal"}},

	{8, "cmd/sdrbench", []string{
		publicPackages, "cmd/sdrbench/internal/view", "internal/coreclock", "internal/durable", "internal/input", "internal/layers", "internal/linux", "internal/manifest", "internal/portlimits",
		"internal/overlay", "internal/processor", "internal/profile", "internal/tune", "internal/words",
		"github.com/klauspost/cpuid/v2",
		"github.com/spf13/cobra", "github.com/spf13/pflag", "golang.org/x/perf", "golang.org/x/term",
	}},
	{8, "cmd/libsdr", []string{cgo, "internal/cabi"}},
}

// testModules are what every test file may import as well. A test may also
// import directories of its own level, to compare two of them.
var testModules = []string{
	"github.com/google/go-cmp",
	"github.com/hanwen/go-fuse/v2",
	"github.com/rogpeppe/go-internal/testscript",
	"golang.org/x/sys/cpu",
	"pgregory.net/rapid",
}

const docsDirectory = "docs" // programs that draw, run by hand: they are in no build

const thisDirectory = "internal/lint" // tests only, imported by nobody: it has no level

func findRow(rows []row, directory string) (row, bool) {
	i := slices.IndexFunc(rows, func(r row) bool { return r.directory == directory })
	if i < 0 {
		return row{}, false
	}
	return rows[i], true
}

// external tells a path of another module from one of the standard library,
// the way the go command does: by a dot in the first element.
func external(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return strings.Contains(first, ".")
}

func within(importPath, modulePath string) bool {
	return importPath == modulePath || strings.HasPrefix(importPath, modulePath+"/")
}

// checkRows reports rows that contradict the rule they stand for.
func checkRows(rows []row) (problems []string) {
	report := func(format string, args ...any) {
		problems = append(problems, "internal/lint/levels_test.go: "+fmt.Sprintf(format, args...))
	}
	seen := map[string]bool{}
	for _, r := range rows {
		if seen[r.directory] {
			report("two rows for %s: delete one", r.directory)
		}
		seen[r.directory] = true
		for _, m := range r.may {
			if m == lowerLevels || m == publicPackages || m == cgo || external(m) {
				continue
			}
			switch to, ok := findRow(rows, m); {
			case !ok:
				report("the row of %s names %s, which has no row: add one or correct the name", r.directory, m)
			case to.level >= r.level:
				report("the row of %s (level %d) names %s (level %d): a package imports only lower levels", r.directory, r.level, m, to.level)
			}
		}
	}
	return problems
}

// refusal says why a file in r's directory may not import importPath; "" if it may.
func (r row) refusal(rows []row, importPath string, isTest bool) string {
	if importPath == cgo {
		if slices.Contains(r.may, cgo) {
			return ""
		}
		return "no cgo: one static binary for each architecture; write it in Go or assembly"
	}
	if within(importPath, module) {
		to, ok := findRow(rows, strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/"))
		switch {
		case !ok:
			return "which has no row: add one to the table in internal/lint/levels_test.go and to ARCHITECTURE.md"
		case isTest && to.level <= r.level:
			return ""
		case to.level >= r.level:
			return fmt.Sprintf("level %d, but %s is level %d and imports only lower levels: move the code, or pass the value in", to.level, r.directory, r.level)
		case slices.Contains(r.may, to.directory), slices.Contains(r.may, lowerLevels):
			return ""
		case slices.Contains(r.may, publicPackages) && !slices.Contains(strings.Split(to.directory, "/"), "internal"):
			return ""
		}
		return fmt.Sprintf("which the row of %s does not name: do without it, or change the table in internal/lint/levels_test.go and ARCHITECTURE.md, with the reason", r.directory)
	}
	if !external(importPath) {
		return ""
	}
	named := func(m string) bool { return external(m) && within(importPath, m) }
	if slices.ContainsFunc(r.may, named) || isTest && slices.ContainsFunc(testModules, named) {
		return ""
	}
	if slices.ContainsFunc(testModules, named) {
		return "a library for tests: import it in _test.go files only"
	}
	return fmt.Sprintf("which the row of %s does not name: use the standard library, or change the table in internal/lint/levels_test.go and ARCHITECTURE.md, with the reason", r.directory)
}

// checkImports holds every file's imports against rows. It reads the files
// instead of asking `go list`, so a build tag or a file name's _arm64 hides
// nothing.
func checkImports(t tree, rows []row) (problems []string) {
	told := map[string]bool{} // directories without a row, told once
	for _, f := range t.goSources() {
		parsed, err := parser.ParseFile(token.NewFileSet(), f.name, f.data, parser.ImportsOnly)
		if err != nil {
			problems = append(problems, fmt.Sprintf("%v: correct the syntax", err))
			continue
		}
		directory := path.Dir(f.name)
		if directory == docsDirectory && strings.HasPrefix(string(f.data), "//go:build ignore\n") {
			continue
		}
		r, ok := findRow(rows, directory)
		if directory == thisDirectory {
			r, ok = row{directory: thisDirectory}, true
		}
		if !ok {
			if !told[directory] {
				problems = append(problems, fmt.Sprintf("%s:1: %s has no level: add a row to the table in internal/lint/levels_test.go and to ARCHITECTURE.md, or move the file", f.name, directory))
			}
			told[directory] = true
			continue
		}
		for _, spec := range parsed.Imports {
			importPath, _ := strconv.Unquote(spec.Path.Value) // the parser has checked it
			if why := r.refusal(rows, importPath, strings.HasSuffix(f.name, "_test.go")); why != "" {
				line := 1 + strings.Count(string(f.data[:spec.Pos()-parsed.FileStart]), "\n")
				problems = append(problems, fmt.Sprintf("%s:%d: imports %s: %s", f.name, line, importPath, why))
			}
		}
	}
	return problems
}

const architecture = "ARCHITECTURE.md"

var (
	tableHead = regexp.MustCompile(`^\|\s*level\s*\|\s*directory\s*\|`)
	tableRow  = regexp.MustCompile("^\\|\\s*(\\d+)\\s*\\|\\s*`?([^|`\\s]+)`?\\s*(\\(later\\))?[^|]*\\|")
	tableRule = regexp.MustCompile(`^\|[-:| ]+$`)
)

// checkArchitecture holds ARCHITECTURE.md's table of directories against rows and
// against the tree. A row for a directory that does not exist yet has "(later)"
// after the directory's name; the mark goes when the directory comes.
func checkArchitecture(t tree, rows []row) (problems []string) {
	doc, ok := t.find(architecture)
	if !ok {
		return []string{architecture + ":1: missing: write it, with a table | level | directory | … of the rows in internal/lint/levels_test.go"}
	}
	headLine, inTable := 0, false
	shown := map[string]bool{}
	report := func(line int, format string, args ...any) {
		problems = append(problems, fmt.Sprintf("%s:%d: %s", architecture, line, fmt.Sprintf(format, args...)))
	}
	for n, text := range lines(doc.data) {
		if tableHead.MatchString(text) {
			headLine, inTable = n, true
			continue
		}
		inTable = inTable && strings.HasPrefix(text, "|")
		if !inTable || tableRule.MatchString(text) {
			continue
		}
		cells := tableRow.FindStringSubmatch(text)
		if cells == nil {
			report(n, "cannot read the row %q: write | level | directory | … or | level | directory (later) | …", text)
			continue
		}
		level, directory, later := cells[1], cells[2], cells[3] != ""
		if shown[directory] {
			report(n, "a second row for %s: delete one", directory)
		}
		shown[directory] = true
		switch r, ok := findRow(rows, directory); {
		case !ok:
			report(n, "%s is not in the table in internal/lint/levels_test.go: add it there or delete it here", directory)
		case strconv.Itoa(r.level) != level:
			report(n, "%s is level %s here and level %d in internal/lint/levels_test.go: make them the same", directory, level, r.level)
		case later && t.hasPackage(directory):
			report(n, "%s exists: delete its mark (later)", directory)
		case !later && !t.hasPackage(directory):
			report(n, "%s does not exist: delete its row here and in internal/lint/levels_test.go, or mark it %s (later)", directory, directory)
		}
	}
	if headLine == 0 {
		report(1, "no table that starts with | level | directory |: add it, with the rows in internal/lint/levels_test.go")
		return problems
	}
	for _, r := range rows {
		if !shown[r.directory] {
			report(headLine, "the table lacks %s, level %d, which is in internal/lint/levels_test.go: add its row", r.directory, r.level)
		}
	}
	return problems
}
