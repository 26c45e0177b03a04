package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/perf/benchfmt"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/topology"
)

func TestBenchJSON(t *testing.T) {
	for _, size := range []string{"2KiB", "8MiB"} { // `make run` has 512 MiB
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
		if r.Schema != 1 || r.Machine.CPUs < 1 || r.Machine.Arch != runtime.GOARCH || len(r.Config.Kernels) == 0 || len(r.Layers) != 2 || len(r.Digests) != 4 {
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
	r := benchReport{Bench: view.Bench{
		Machine: view.BenchMachine{CPU: "Some CPU", CPUs: 64, OS: "linux", Arch: "amd64", Go: "go1.26"},
		Config: view.BenchConfig{
			Proof: "StackedDrg512MiBV1_1", Sectors: 1, Layers: 2, Kernels: []string{"sha-ni/1"}, Hashers: 1, CPUs: []int{3},
			Staging: "inline", MemoryMode: "two-layers", Memory: 1 << 30, Pages: []string{"transparent huge pages"},
		},
		Steps: []view.BenchStep{{Name: "addpiece", Seconds: 0.5, Rate: 1.073741824e9}, {Name: "tree-d", Seconds: 0.61, Rate: 0.88e9}},
		Layers: []view.BenchLayer{
			{Layer: 1, Seconds: 11.25, Rate: 1.4913e6},
			{Layer: 2, Seconds: 12, Rate: 1.398e6, Wait: map[string]float64{"disk": 1.2, "parents": 0.001}},
		},
		PC1:           24.5,
		PerDay:        10.3,
		ParentsCycles: 543.6,
		MemoryPeak:    1 << 30,
		Correct:       &right,
		Digests:       map[string]string{"sealed": ""},
		Nodes:         16777216,
	}, hashing: [][2]float64{{11.25, 16777216}, {12, 16777216}}}
	r.setClock(3.7e9)
	want := `machine     Some CPU, 64 CPUs, linux/amd64, go1.26
proof       StackedDrg512MiBV1_1: 2 layers of 16,777,216 labels
kernel      sha-ni/1 at 3.70 GHz
hashers     1 on CPU 3; 1 sector, inline staging, two-layers

addpiece        0.500 s       1.07 GB/s
tree-d          0.610 s       0.88 GB/s
layer 1        11.250 s      1.491 M labels/s    2,481 cycles a label
layer 2        12.000 s      1.398 M labels/s    2,646 cycles a label  waited 10.0 % for disk
PreCommit 1    24.500 s
a day       10.3 sectors of 32 GiB, labels only

parents     544 cycles a node
layers in   1 GiB of memory, transparent huge pages
memory      1 GiB at the peak
`
	if diff := cmp.Diff(want+"result      right, as the reference's: comm_d and 1 file\n", r.Text()); diff != "" {
		t.Errorf("right (-want +got):\n%s", diff)
	}
	r.Correct, r.Wrong = &wrong, wrongNames([]wrongFile{{name: "sealed"}})
	if diff := cmp.Diff(want+"result      WRONG, not as the reference's: sealed\n", r.Text()); diff != "" {
		t.Errorf("wrong (-want +got):\n%s", diff)
	}
	r.Correct = nil
	if diff := cmp.Diff(want+"result      not checked: no known digests for StackedDrg512MiBV1_1\n", r.Text()); diff != "" {
		t.Errorf("not checked (-want +got):\n%s", diff)
	}
}

// What the disk had to give, and what it would have to, that nobody waits for it.
func TestBenchDisk(t *testing.T) {
	l := view.BenchLayer{Layer: 2, Seconds: 20, Rate: 0.8e6, Wait: map[string]float64{"disk": 4}}
	l.Disk = view.DiskOf(&l, 320, 350)
	if want := (view.BenchDisk{Read: 320, Written: 350, ReadRate: 256e6, WrittenRate: 280e6, ReadNeeded: 320e6, WrittenNeeded: 350e6}); *l.Disk != want {
		t.Errorf("%+v, want %+v", *l.Disk, want)
	}
	r := view.Bench{Layers: []view.BenchLayer{l}, Config: view.BenchConfig{MemoryMode: "budget", MemoryWay: "forward"}}
	for _, want := range []string{"320 bytes a label read and 350 written, 0.26 and 0.28 GB/s; without waits 0.32 and 0.35 GB/s", "budget, forward"} {
		if !strings.Contains(r.Text(), want) {
			t.Errorf("no %q in %s", want, r.Text())
		}
	}
	if d := view.DiskOf(&l, 0, 0); d != nil {
		t.Errorf("of layers in memory: %+v", d)
	}
	l.Wait["disk"] = 20 // all the time
	if d := view.DiskOf(&l, 1, 1); d.ReadNeeded != l.Rate {
		t.Errorf("%+v", d)
	}
}

// Several sectors, single layers, windows, in every mode: the contract of the JSON.
func TestBenchSectors(t *testing.T) {
	t.Parallel()
	for i, args := range [][]string{
		{"--sectors", "3"},
		{"--sectors", "2", "--full"},
		{"--layers", "1", "--staging", "producers"},
		{"--sectors", "2", "--memory-mode", "one-layer", "--staging", "hybrid", "--policy", "none", "--hashers", "2"},
		{"--window", "80ms", "--sectors", "2"},
		{"--window", "60s", "--layers", "2"}, // the layer is at its end before
		{"--window", "60s", "--memory", "6MiB", "--memory-way", "forward"},
		{"--window", "60s", "--memory", "6MiB", "--memory-way", "passes"},
		{"--layers", "2", "--memory", "6MiB", "--memory-way", "passes"},
	} {
		if !testkit.Long() && i != 3 {
			continue // TestBenchJSON has the plain one
		}
		dir := t.TempDir()
		args = append([]string{"bench", "--json", "--dir", dir, "--proof", "StackedDrg8MiBV1_1"}, args...)
		var r struct {
			Schema int `json:"schema"`
			Layers []struct {
				Layer   int                `json:"layer"`
				Seconds float64            `json:"seconds"`
				Rate    float64            `json:"labels_per_second"`
				Cycles  float64            `json:"cycles_per_label"`
				Wait    map[string]float64 `json:"wait"`
				Disk    *struct {
					Written float64 `json:"written_bytes_per_label"`
					Needed  float64 `json:"written_needed_bytes_per_second"`
				} `json:"disk"`
			} `json:"layers"`
			Correct bool    `json:"correct"`
			PerDay  float64 `json:"sectors_per_day_32GiB"`
			Digest  string  `json:"digest"`
		}
		if err := json.Unmarshal([]byte(mustRun(t, nil, args...)), &r); err != nil {
			t.Fatal(err)
		}
		if r.Schema != 1 || !r.Correct || r.PerDay <= 0 || len(r.Layers) == 0 {
			t.Errorf("%q: %+v", args, r)
		}
		for _, l := range r.Layers {
			if l.Layer < 1 || l.Seconds <= 0 || l.Rate <= 0 || l.Cycles <= 0 || l.Wait == nil {
				t.Errorf("%q: %+v", args, l)
			}
			if less := slices.Contains(args, "--memory"); (l.Disk != nil) != less || less && (l.Disk.Written <= 0 || l.Disk.Needed < l.Disk.Written*l.Rate*0.99) {
				t.Errorf("%q: of the disk %+v", args, l.Disk)
			}
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%q: left behind: %v, %v", args, left, err)
		}
	}
}

// Lines that benchstat reads.
func TestBenchGobench(t *testing.T) {
	out := mustRun(t, nil, "bench", "--gobench", "--proof", "StackedDrg2KiBV1_1", "--dir", t.TempDir())
	r := benchfmt.NewReader(strings.NewReader(out), "bench")
	n := 0
	for r.Scan() {
		result, ok := r.Result().(*benchfmt.Result)
		if !ok {
			t.Fatalf("%v in %s", r.Result(), out)
		}
		if _, ok := result.Value("cycles/label"); !ok || !strings.Contains(string(result.Name), "layer=") {
			t.Errorf("%+v", result)
		}
		n++
	}
	if err := r.Err(); err != nil || n != 2 {
		t.Errorf("%d lines, %v: %s", n, err, out)
	}
}

func TestBenchBadFlags(t *testing.T) {
	for want, args := range map[string][]string{
		"--sectors":           {"--sectors", "0"},
		"--layers":            {"--layers", "3"},
		"--window":            {"--window", "1s", "--full"},
		"lookahead":           {"--lookahead", "1"},
		"avx9/7":              {"--kernel", "avx9/7"},
		"nowhere":             {"--policy", "nowhere"},
		"two-and":             {"--memory-mode", "two-and"},
		"fast":                {"--staging", "fast"},
		"budget":              {"--memory", "1KiB"},
		"--json or -":         {"--json", "--gobench"},
		"--window: \"0s\"":    {"--window", "0s"},
		"part of layer 2":     {"--window", "1s", "--layers", "1"},
		"work for 1":          {"--hashers", "2"},
		"1 to 4096":           {"--sectors", "4097"},
		"1 to 1073741824":     {"--stride", "99999999999999999999"},
		"to measure a part":   {"--window", "1s", "--proof", "StackedDrg2KiBV1"},
		"is not a directory":  {"--dir", os.Args[0]},
		"like 0-3,8, auto":    {"--policy", "elsewhere"},
		"--dir: \"\" is no":   {"--dir", "", "--lock-dir", ""},
		"--lock-dir: \"\" is": {"--dir", "", "--lock-dir", ""},
		"\"2x\" is not":       {"--stride", "2x", "--stride", "3x"},
		"up to 1000h":         {"--window", "9999999h"},
		"--hashers: \"0\"":    {"--hashers", "0"},
		"--producers: \"-1\"": {"--producers", "-1"},
		"--stride: \"x\"":     {"--stride", "x"},
		// All at once.
		"slow\" is not":    {"--policy", "nowhere", "--kernel", "avx9/7", "--staging", "slow"},
		"--kernel: sha256": {"--policy", "nowhere", "--kernel", "avx9/7", "--staging", "slow"},
	} {
		r := sdrbench(t, nil, append([]string{"bench", "--proof", "StackedDrg8MiBV1_1", "--dir", t.TempDir()}, args...)...)
		if r.exit == exitDone || !strings.Contains(r.stderr, want) || r.stdout != "" {
			t.Errorf("%q: exit code %d, %s, want %q", args, r.exit, r.stderr, want)
		}
	}
}

// Whatever can be known is refused before any work, all at once: the directory is not
// even touched.
func TestRefusedBeforeWork(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("locks and huge pages are Linux's")
	}
	m, err := topology.Read()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SDR_KERNEL", "generic/1") // none is timed, which a job on a machine of its own can afford
	work := t.TempDir()
	world := filepath.Join(t.TempDir(), "world")
	if err := errors.Join(os.Mkdir(world, 0o777), os.Chmod(world, 0o777)); err != nil {
		t.Fatal(err)
	}
	locks := filepath.Join(t.TempDir(), "locks")
	d, err := reserve.Open(locks, "/")
	if err != nil {
		t.Fatal(err)
	}
	var all reserve.Request
	for _, core := range m.Cores() {
		all.Cores = append(all.Cores, core.CPUs[0])
	}
	all.Job = "sector 17"
	reservation, err := d.Acquire(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	defer reservation.Release()

	absent := fmt.Sprint(topology.MaxCPUs - 1)
	cache := filepath.Join(work, "cache")
	if err := os.Mkdir(cache, 0o777); err != nil {
		t.Fatal(err)
	}
	zeros := strings.Repeat("00", 32)
	commands := map[string][]string{
		"bench": {"--proof", "StackedDrg8MiBV1_1", "--dir", work},
		"sdr":   {"--proof", "StackedDrg8MiBV1_1", "--cache-dir", cache, "--replica-id", zeros},
		"pc1": {"--proof", "StackedDrg8MiBV1_1", "--cache-dir", cache, "--staged", "/dev/zero", "--sealed", filepath.Join(cache, "sealed"),
			"--miner", "1", "--sector", "1", "--ticket", zeros},
		"tune": {"--proof", "StackedDrg8MiBV1_1", "--dir", work, "--profile", filepath.Join(work, "profile.toml")},
	}
	labels := []string{"bench", "sdr", "pc1"}
	before := time.Now().Add(-time.Hour).Truncate(time.Second)
	for _, c := range []struct {
		commands []string
		exit     int
		want     []string
		args     []string
	}{
		{labels, exitUsage, []string{"--policy: placement: checking request: CPU " + absent + " is listed, want only some of those online"}, []string{"--policy", absent}},
		{labels, exitUsage, []string{`parsing policy "3-1"`, "runs backwards"}, []string{"--policy", "3-1"}},
		{labels, exitFailed, []string{world + ": it is world-writable"}, []string{"--lock-dir", world}},
		{labels, exitFailed, []string{filepath.Join(work, "no", "locks") + ": making it"}, []string{"--lock-dir", filepath.Join(work, "no", "locks")}},
		{labels, exitFailed, []string{"--hugetlbfs: ", work + ": not on a hugetlbfs"}, []string{"--hugetlbfs", work}},
		{labels, exitFailed, []string{"no room", `held: process`, `"sector 17"`}, []string{"--lock-dir", locks}},
		{labels, exitUsage, []string{"lookahead: 1 is not between 128 and"}, []string{"--lookahead", "1"}},
		{labels, exitUsage, []string{"budget: 1 MiB, but"}, []string{"--memory", "1MiB", "--policy", "none"}},
		{labels, exitFailed, []string{filepath.Join(work, "none")}, []string{"--parent-cache", filepath.Join(work, "none")}},
		{labels, exitUsage, []string{"CPU " + absent, world, "lookahead", "--hugetlbfs"}, []string{"--policy", absent, "--lock-dir", world, "--lookahead", "1", "--hugetlbfs", work}},
		{[]string{"bench"}, exitUsage, []string{"--layers: 3", "--json or", "CPU " + absent}, []string{"--layers", "3", "--json", "--gobench", "--policy", absent}},
		{[]string{"pc1"}, exitUsage, []string{"writing output", "CPU " + absent}, []string{"--output", work, "--policy", absent}},
		{[]string{"tune"}, exitFailed, []string{world + ": it is world-writable"}, []string{"--lock-dir", world}},
		{[]string{"tune"}, exitUsage, []string{"too small", world, "none"}, []string{"--lock-dir", world, "--proof", "StackedDrg2KiBV1", "--dir", filepath.Join(work, "none")}},
	} {
		for _, name := range c.commands {
			for _, dir := range []string{work, cache} {
				if err := os.Chtimes(dir, before, before); err != nil {
					t.Fatal(err)
				}
			}
			r := sdrbench(t, nil, slices.Concat([]string{name}, commands[name], c.args)...)
			if r.exit != c.exit || r.stdout != "" {
				t.Errorf("%s %q: exit code %d, want %d: %s%s", name, c.args, r.exit, c.exit, r.stdout, r.stderr)
			}
			for _, want := range c.want {
				if !strings.Contains(r.stderr, want) {
					t.Errorf("%s %q: no %q in %s", name, c.args, want, r.stderr)
				}
			}
			for _, dir := range []string{work, cache} {
				// A directory's time changes when anything in it appears or goes.
				if info, err := os.Stat(dir); err != nil || !info.ModTime().Equal(before) {
					t.Errorf("%s %q: something was made in %s: %v", name, c.args, dir, err)
				}
			}
		}
	}

	// What only all sectors together exceed.
	for _, args := range [][]string{{"--full"}, {"--layers", "1"}, {"--window", "1s"}} {
		args = append(args, "--sectors", "4", "--hashers", "4", "--memory-mode", "two-layers", "--memory", "60MiB", "--policy", "none", "--kernel", "generic/1")
		r := sdrbench(t, nil, slices.Concat([]string{"bench"}, commands["bench"], args)...)
		if r.exit != exitUsage || !strings.Contains(r.stderr, "budget: 60 MiB, but 4 sectors") {
			t.Errorf("%q, a budget for three of four sectors: exit code %d: %s", args, r.exit, r.stderr)
		}
	}
	wantFiles(t, work, "cache")
	wantFiles(t, cache)
}
