package main

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/porep"
)

func TestBenchJSON(t *testing.T) {
	sizes := []string{"2KiB", "8MiB"}
	if longTests {
		sizes = append(sizes, "512MiB")
	}
	for _, size := range sizes {
		dir := t.TempDir()
		var r benchReport
		out := mustRun(t, nil, "bench", "--json", "--dir", dir, "--proof", "StackedDrg"+size+"V1_1")
		d := json.NewDecoder(strings.NewReader(out))
		d.DisallowUnknownFields()
		if err := d.Decode(&r); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		if r.Correct == nil || !*r.Correct {
			t.Errorf("%s: correct is %v, want true", size, r.Correct)
		}
		if r.Schema != 1 || r.Machine.CPUs < 1 || r.Machine.Arch != runtime.GOARCH || r.Kernel == "" || len(r.Layers) != 2 || len(r.Digests) != 4 {
			t.Errorf("%s: incomplete: %s", size, out)
		}
		var steps []string
		for _, s := range r.Steps {
			steps = append(steps, s.Name)
		}
		if want := []string{"addpiece", "tree-d", "sealed"}; !slices.Equal(steps, want) {
			t.Errorf("%s: steps %q, want %q", size, steps, want)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%s: left behind: %v, %v", size, left, err)
		}
	}
}

// Which sectors have known digests, and of what.
func TestKnownDigests(t *testing.T) {
	for _, p := range porep.SealProofs() {
		k, ok, err := known(p)
		if err != nil {
			t.Fatal(err)
		}
		if want := p.SectorSize() <= 512<<20; ok != want {
			t.Errorf("%v: known is %v, want %v", p, ok, want)
		}
		if ok && (len(k.CommD) != 64 || len(k.Files) != 2+p.Layers()) {
			t.Errorf("%v: %+v is incomplete", p, k)
		}
	}
}

func TestCompareFindsWhatDiffers(t *testing.T) {
	k := knownResult{"d", map[string]string{"sealed": "1", "layer": "2", "tree": "3"}}
	if wrong := k.compare("d", map[string]string{"sealed": "1", "layer": "2", "tree": "3"}); wrong != nil {
		t.Errorf("nothing differs, but %v", wrong)
	}
	wrong := k.compare("x", map[string]string{"sealed": "1", "layer": "y", "surplus": "z"})
	if got, want := wrongNames(wrong), "comm_d, layer, surplus, tree"; got != want {
		t.Errorf("wrong are %s, want %s", got, want)
	}
	err := &wrongResultError{porep.StackedDrg2KiBV1, wrong}
	if got, want := err.Error(), "bench: StackedDrg2KiBV1: not as the reference's: comm_d is x, want d; layer is SHA-256 y, want SHA-256 2; "+
		"surplus is SHA-256 z, want missing; tree is missing, want SHA-256 3"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}

// The piece is a stream: it must not depend on how it is read.
func TestBenchPieceDoesNotDependOnReads(t *testing.T) {
	whole := make([]byte, 1<<16)
	rand.NewChaCha8(benchSeed).Read(whole)
	var parts []byte
	source := rand.NewChaCha8(benchSeed)
	for n := 1; len(parts) < len(whole); n = n*3%1021 + 1 {
		part := make([]byte, min(n, len(whole)-len(parts)))
		if _, err := io.ReadFull(source, part); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, part...)
	}
	if !slices.Equal(whole, parts) {
		t.Error("read in parts, the piece is another")
	}
}

func TestBenchText(t *testing.T) {
	right, wrong := true, false
	r := benchReport{
		Machine:       benchMachine{"Some CPU", 64, "linux", "amd64", "go1.26"},
		Proof:         "StackedDrg512MiBV1_1",
		Kernel:        "sha-ni/1",
		Steps:         []benchStep{{"addpiece", 0.5, 1.073741824e9}, {"tree-d", 0.61, 0.88e9}},
		Layers:        []benchLayer{{Layer: 1, Seconds: 11.25, Rate: 1.4913e6}, {Layer: 2, Seconds: 12, Rate: 1.398e6}},
		PC1:           24.5,
		ParentsCycles: 543.6,
		MemoryPeak:    1 << 30,
		Correct:       &right,
		Digests:       map[string]string{"sealed": ""},
		proof:         porep.StackedDrg512MiBV1_1,
	}
	r.setClock(3.7e9)
	want := `machine     Some CPU, 64 CPUs, linux/amd64, go1.26
proof       StackedDrg512MiBV1_1: 2 layers of 16,777,216 labels
kernel      sha-ni/1 at 3.70 GHz

addpiece        0.500 s       1.07 GB/s
tree-d          0.610 s       0.88 GB/s
layer 1        11.250 s      1.491 M labels/s    2,481 cycles a label
layer 2        12.000 s      1.398 M labels/s    2,647 cycles a label
PreCommit 1    24.500 s

parents     544 cycles a node
memory      1.0 GiB at the peak
`
	if diff := cmp.Diff(want+"result      right, as the reference's: comm_d and all 1 files\n", r.text()); diff != "" {
		t.Errorf("right (-want +got):\n%s", diff)
	}
	r.Correct, r.wrong = &wrong, []wrongFile{{name: "sealed"}}
	if diff := cmp.Diff(want+"result      WRONG, not as the reference's: sealed\n", r.text()); diff != "" {
		t.Errorf("wrong (-want +got):\n%s", diff)
	}
	r.Correct = nil
	if diff := cmp.Diff(want+"result      not checked: no known digests for StackedDrg512MiBV1_1\n", r.text()); diff != "" {
		t.Errorf("not checked (-want +got):\n%s", diff)
	}
}
