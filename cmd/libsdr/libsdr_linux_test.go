package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/sdr-engine/sdr/internal/cabi"
	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/testkit"
)

// needs returns the path of a program, or skips; in CI it must be there.
func needs(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
	return path
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	return output(t, exec.Command(name, args...))
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return string(out)
}

// The library is built once for all tests.
var built struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// libraryDir is where `make libsdr` has put it.
func libraryDir(t *testing.T) (dir string) {
	t.Helper()
	testkit.NeedsLong(t, "links the library twice")
	needs(t, "make")
	needs(t, "gcc")
	b := &built
	b.once.Do(func() {
		if b.dir, b.err = os.MkdirTemp("", "libsdr"); b.err != nil {
			return
		}
		cmd := exec.Command("make", "-C", "../..", "libsdr", "LIBSDR="+b.dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.err = fmt.Errorf("%v: %w\n%s", cmd, err, out)
		}
	})
	if b.err != nil {
		t.Fatal(b.err)
	}
	return b.dir
}

// A job is the files of testdata/seal.c: a sector with a piece, and one of zeros.
type job struct {
	dir         string
	pieced, big golden.Sector
}

func (j *job) path(name string) string { return filepath.Join(j.dir, name) }

func newJob(t *testing.T) *job {
	t.Helper()
	j := &job{dir: t.TempDir()}
	for _, g := range slices.Concat(golden.Sectors(), golden.ZeroSectors()) {
		switch {
		case g.RegisteredProof == "StackedDrg2KiBV1_1" && len(g.Pieces) == 1:
			j.pieced = g
		case g.RegisteredProof == "StackedDrg8MiBV1_1" && len(g.Pieces) == 0:
			j.big = g
		}
	}
	if j.pieced.Name == "" || j.big.Name == "" {
		t.Fatal("the golden sectors are missing")
	}
	write := func(name string, v any) {
		text, err := json.Marshal(v)
		if err == nil {
			err = os.WriteFile(j.path(name), text, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	piece := j.pieced.Pieces[0]
	data, err := io.ReadAll(golden.Stream(piece.Stream, piece.UnpaddedSize))
	if err == nil {
		err = os.WriteFile(j.path("piece"), data, 0o666)
	}
	for _, name := range []string{"cache-a", "cache-b", "cache-g"} {
		if err == nil {
			err = os.Mkdir(j.path(name), 0o777)
		}
	}
	for _, name := range []string{"sealed-a", "sealed-b"} {
		if err == nil {
			err = os.WriteFile(j.path(name), nil, 0o666)
		}
	}
	if err == nil {
		err = syscall.Mkfifo(j.path("pipe"), 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	type object map[string]any
	write("add.json", object{"proof": j.pieced.RegisteredProof, "piece": j.path("piece"), "piece-size": piece.UnpaddedSize, "staged": j.path("staged")})
	write("a.json", object{"sectors": []object{{
		"proof": j.pieced.RegisteredProof, "cache-dir": j.path("cache-a"), "staged": j.path("staged"), "sealed": j.path("sealed-a"),
		"prover-id": j.pieced.ProverID, "sector": j.pieced.SectorID, "ticket": j.pieced.Ticket,
		"piece": []string{fmt.Sprintf("%s:%d", piece.CommP, piece.UnpaddedSize)},
	}}})
	write("b.json", object{"sectors": []object{{
		"proof": j.big.RegisteredProof, "cache-dir": j.path("cache-b"), "staged": "/dev/zero", "sealed": j.path("sealed-b"),
		"prover-id": j.big.ProverID, "sector": j.big.SectorID, "ticket": j.big.Ticket,
	}}})
	write("generate.json", object{"sectors": []object{{
		"proof": j.pieced.RegisteredProof, "cache-dir": j.path("cache-g"), "replica-id": j.pieced.ReplicaID,
	}}})
	write("pipe.json", object{"piece": j.path("pipe"), "piece-size": 127})
	return j
}

// check compares what the program left with what the reference made.
func (j *job) check(t *testing.T) {
	t.Helper()
	digest := func(name, want string) {
		t.Helper()
		if got := testkit.Digest(t, j.path(name)); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	digest("staged", j.pieced.StagedSHA256)
	sector := func(name string, g golden.Sector) {
		digest("sealed-"+name, g.SealedSHA256)
		digest("cache-"+name+"/sc-02-data-tree-d.dat", g.TreeDSHA256)
		for i, layer := range g.Layers {
			digest(fmt.Sprintf("cache-%s/sc-02-data-layer-%d.dat", name, i+1), layer.SHA256)
		}
		want := fmt.Sprintf(`{"sectors":[{"index":0,"phase1":%s,"code":0}],"notes":`, strings.ReplaceAll(g.P1Output, "$CACHE", j.path("cache-"+name)))
		if got := j.output(t, name); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	sector("a", j.pieced)
	sector("b", j.big)
	var layers []string
	for i, layer := range j.pieced.Layers {
		name := fmt.Sprintf("cache-g/sc-02-data-layer-%d.dat", i+1)
		digest(name, layer.SHA256)
		layers = append(layers, j.path(name))
	}
	list, _ := json.Marshal(layers)
	if got, want := j.output(t, "generate"), fmt.Sprintf(`{"sectors":[{"index":0,"layers":%s,"code":0}],"notes":`, list); !strings.HasPrefix(got, want) {
		t.Errorf("generate: %s, want %s", got, want)
	}
	if got, want := j.output(t, "add"), `{"comm_p":"`+j.pieced.Pieces[0].CommP+`","piece_cid":"baga6ea4seaq`; !strings.HasPrefix(got, want) {
		t.Errorf("add: %s, want %s…", got, want)
	}
	// All zeros.
	if got, want := j.output(t, "pipe"), `{"comm_p":"3731bb99ac689f66eef5973e4a94da188f4ddcae580724fc6f3fd60dfd488333","piece_cid":"baga6ea4seaqdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy","unpadded_size":127,"padded_size":128,"piece_cid_v2":"bafkzcibcaabdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy"}`; got != want {
		t.Errorf("pipe: %s, want %s", got, want)
	}
}

func (j *job) output(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(j.path(name + ".out"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestC seals with a program in C that has signal handlers of its own: linked with the shared
// library, linked with the archive, and loading the library itself.
func TestC(t *testing.T) {
	lib := libraryDir(t)
	sanitized := func(args ...string) []string {
		return append([]string{"-fsanitize=address,undefined", "-fno-sanitize-recover=all"}, args...)
	}
	for _, test := range []struct {
		name string
		args []string // of gcc
	}{
		{"linked", sanitized("-L"+lib, "-lsdr", "-Wl,-rpath,"+lib)},
		{"archive", []string{filepath.Join(lib, "libsdr.a")}},
		{"loaded", sanitized("-DLOAD")},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := newJob(t)
			program := j.path("program")
			run(t, "gcc", append([]string{"-g", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-I" + lib, "-o", program, "testdata/seal.c"}, test.args...)...)
			cmd := exec.Command(program, j.dir, filepath.Join(lib, "libsdr.so"))
			// Its own handler for SIGSEGV is not the sanitizer's.
			cmd.Env = append(os.Environ(), "ASAN_OPTIONS=allow_user_segv_handler=1:detect_leaks=1:detect_stack_use_after_return=1")
			output(t, cmd)
			j.check(t)
		})
	}
}

// TestRust builds and runs the example in Rust, where cargo is there.
func TestRust(t *testing.T) {
	lib := libraryDir(t)
	if _, err := exec.LookPath("cargo"); err != nil {
		t.Skip(err)
	}
	target := t.TempDir()
	cmd := exec.Command("make", "-C", "../..", "-o", "libsdr", "libsdr-rust", "LIBSDR="+lib, "CARGO_TARGET_DIR="+target)
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	out := output(t, cmd)
	for _, want := range []string{
		"sector 1: {\"sectors\":[{\"index\":0,\"phase1\":{\"registered_proof\":\"StackedDrg2KiBV1_1\"",
		"sector 2: {\"sectors\":[{\"index\":0,\"phase1\":{\"registered_proof\":\"StackedDrg2KiBV1_1\"",
		"an empty request: 2: sdr: reading the request: sectors is missing Some(\"{\\\"kind\\\":\\\"bad-input\\\"}\")\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%s\nwant %s", out, want)
		}
	}
}

// declared are the functions that sdr.h declares.
func declared(t *testing.T) (names []string) {
	t.Helper()
	text, err := os.ReadFile("sdr.h")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^(?:int|void|const char \*) ?\*?(sdr_\w+)\(.*\);$`).FindAllStringSubmatch(string(text), -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	return names
}

// TestExported: the library exports what sdr.h declares, and nothing else. That the
// prototypes are those of the functions, the C compiler sees to: libsdr.c includes sdr.h.
func TestExported(t *testing.T) {
	lib := libraryDir(t)
	needs(t, "nm")
	var exported []string
	for line := range strings.Lines(run(t, "nm", "-D", "--defined-only", filepath.Join(lib, "libsdr.so"))) {
		exported = append(exported, strings.Fields(line)[2])
	}
	slices.Sort(exported)
	if want := declared(t); !slices.Equal(exported, want) {
		t.Errorf("libsdr.so exports %q, want %q", exported, want)
	}
	left, err := filepath.Glob(filepath.Join(lib, "*"))
	if want := []string{filepath.Join(lib, "libsdr.a"), filepath.Join(lib, "libsdr.so"), filepath.Join(lib, "sdr.h")}; err != nil || !slices.Equal(left, want) {
		t.Errorf("%q, %v, want %q", left, err, want)
	}
}

// TestHeader: numbers that C and Go have to agree on.
func TestHeader(t *testing.T) {
	text, err := os.ReadFile("sdr.h")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("libsdr.c")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{
		"OK": int(cabi.OK), "FAILED": int(cabi.Failed), "BAD_REQUEST": int(cabi.BadRequest), "CANCELED": int(cabi.Canceled), "BUSY": int(cabi.Busy),
		"FAULT": int(cabi.Fault), "MAX_REQUEST": cabi.MaxRequest,
	} {
		if !regexp.MustCompile(fmt.Sprintf(`(?m)^#define SDR_%s %d\b`, name, want)).Match(text) {
			t.Errorf("sdr.h: SDR_%s is not %d, as in Go", name, want)
		}
	}
	functions := [...]string{cabi.PreCommit1: "PRECOMMIT1", cabi.Generate: "GENERATE", cabi.AddPiece: "ADD_PIECE", cabi.CommP: "COMMP", cabi.Open: "OPEN", cabi.Close: "CLOSE"}
	if want := "enum { " + strings.Join(functions[:], ", ") + " };"; !strings.Contains(string(code), want) {
		t.Errorf("libsdr.c has no %q, the functions in Go's order", want)
	}
	if names := declared(t); len(names) != 9 {
		t.Errorf("sdr.h declares %q, want 9 functions", names)
	}
}
