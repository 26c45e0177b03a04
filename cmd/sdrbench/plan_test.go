package main

import (
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/topology"
)

// TestHeldCores: cores that a job of another process holds are not planned with,
// and shown with who holds them.
func TestHeldCores(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("locks are Linux's")
	}
	m, err := topology.Read()
	if err != nil {
		t.Fatal(err)
	}
	core, ok := m.CoreNumber(m.Allowed().Slice()[0])
	if !ok {
		t.Fatal("this machine has no core")
	}
	locks := filepath.Join(t.TempDir(), "locks")
	d, err := reserve.Open(locks, "/")
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.Acquire(t.Context(), reserve.Request{Cores: []topology.CPU{core}, Job: "sector 17"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()

	plan := func() (p planJSON) {
		t.Helper()
		// On one core alone nothing is left to fit, which is no failure here.
		run := sdrbench(t, nil, "plan", "--sectors", "max", "--proof", "StackedDrg2KiBV1", "--producers", "0", "--lock-dir", locks, "--json")
		if err := json.Unmarshal([]byte(run.stdout), &p); err != nil {
			t.Fatalf("%v: exit code %d: %s", err, run.exit, run.stderr)
		}
		return p
	}
	p := plan()
	if len(p.Held) != 1 || p.Held[0].PID != os.Getpid() || p.Held[0].Job != "sector 17" {
		t.Errorf("held: %+v", p.Held)
	}
	uses := func(p planJSON) bool {
		return slices.ContainsFunc(p.Jobs, func(j planJob) bool { return slices.Contains(j.Cores, core) })
	}
	if uses(p) {
		t.Errorf("a core that is held is planned with: %+v", p.Jobs)
	}
	who := fmt.Sprintf(`process %d, "sector 17"`, os.Getpid())
	text := sdrbench(t, nil, "plan", "--sectors", "max", "--proof", "StackedDrg2KiBV1", "--lock-dir", locks).stdout
	if want := fmt.Sprintf("core %d: %s, since 20", core, who); !strings.Contains(text, want) {
		t.Errorf("plan says\n%s\nwant %q", text, want)
	}
	if text := mustRun(t, nil, "topo", "--lock-dir", locks); !strings.Contains(text, "held: CPU") || !strings.Contains(text, who) {
		t.Errorf("topo says\n%s\nwant %q", text, who)
	}
	r.Release()
	if p := plan(); len(p.Held) != 0 || !uses(p) {
		t.Errorf("after the release: held %+v, jobs %+v", p.Held, p.Jobs)
	}
	if text := mustRun(t, nil, "topo", "--lock-dir", locks); strings.Contains(text, "held: CPU") {
		t.Errorf("after the release topo says\n%s", text)
	}
}

// TestMemoryNodes: memory that is not the CPUs' own is used when it is asked for, and the plan says
// what it left out.
func TestMemoryNodes(t *testing.T) {
	dump := filepath.Join("..", "..", "topology", "testdata", "accelerated.txt")
	args := []string{"plan", "--root", dump, "--sectors", "max", "--proof", "StackedDrg512MiBV1_1", "--producers", "0", "--json"}
	var p planJSON
	if err := json.Unmarshal([]byte(mustRun(t, nil, args...)), &p); err != nil {
		t.Fatal(err)
	}
	// Node 1 is a GPU's, 2 an NVDIMM, 3 an expander, 4 HBM.
	var out []string
	for _, l := range p.LeftOut {
		out = append(out, fmt.Sprintf("%d %s %d", l.NUMANode, l.Kind, l.Free>>30))
	}
	if got := strings.Join(out, ", "); got != "1 gpu 16, 2 nvdimm 16, 3 cxl 16, 4 hbm 16" || p.MemoryNodes != "dram" {
		t.Errorf("left out: %s; used: %s", got, p.MemoryNodes)
	}
	if err := json.Unmarshal([]byte(mustRun(t, nil, append(args, "--memory-nodes", "2,4")...)), &p); err != nil {
		t.Fatal(err)
	}
	for _, j := range p.Jobs {
		for _, s := range j.Memory {
			if s.NUMANode != 2 && s.NUMANode != 4 {
				t.Errorf("memory on node %d, asked for 2 and 4", s.NUMANode)
			}
		}
	}
	if len(p.Jobs) == 0 || len(p.LeftOut) != 3 || p.MemoryNodes != "2,4" {
		t.Errorf("%d jobs, left out %+v, used %s", len(p.Jobs), p.LeftOut, p.MemoryNodes)
	}
	for nodes, want := range map[string]string{"1": "is a GPU's memory", "5-6": "is none of this machine's, which are 0-4", "4-2": "runs backwards", "some": "neither a number nor a range"} {
		if run := sdrbench(t, nil, append(args, "--memory-nodes", nodes)...); run.exit != 2 || !strings.Contains(run.stderr, want) {
			t.Errorf("--memory-nodes %s: exit code %d: %s; want 2 and %q", nodes, run.exit, run.stderr, want)
		}
	}
}

// TestBestPlan: what is chosen is as good as anything that can be asked for; the second best is not better; no
// limit has a price below nothing; and what is asked for is not chosen.
func TestBestPlan(t *testing.T) {
	dumps := filepath.Join("..", "..", "topology", "testdata")
	ask := func(dump string, args ...string) (p planJSON) {
		t.Helper()
		args = append([]string{"plan", "--root", filepath.Join(dumps, dump), "--proof", "StackedDrg32GiBV1_1", "--json"}, args...)
		if err := json.Unmarshal([]byte(mustRun(t, nil, args...)), &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	// SHA-NI, and memory for few sectors in relation to its 192 cores: one layer in memory seals more of
	// them, and each faster with a hasher for itself.
	const few = "epyc-2s-24ccx-smt.txt"
	p := ask(few)
	if len(p.Choices) != 2 || p.Choices[0].Kernel != "sha-ni/1" || p.MemoryMode != "one-layer" || p.Lanes != 1 || p.Sectors != p.Choices[0].Sectors || !strings.HasPrefix(p.Cycles, "typical") || p.Hz != 3e9 {
		t.Fatalf("chosen: %+v", p)
	}
	if p.Choices[1].PerDay > p.Choices[0].PerDay {
		t.Errorf("the second best is better: %+v", p.Choices)
	}
	fast := ask(few, "--for", "latency")
	if fast.MemoryMode != "two-layers" || fast.Lanes != 1 || fast.Choices[0].Hours > p.Choices[0].Hours {
		t.Errorf("for latency: %+v", fast.Choices)
	}
	for _, lanes := range []string{"1", "2", "16"} {
		for _, mode := range []string{"two-layers", "one-layer"} {
			o := ask(few, "--lanes", lanes, "--memory-mode", mode, "--producers", "1")
			if fmt.Sprint(o.Lanes) != lanes || o.MemoryMode != mode || o.Choices[0].PerDay > p.Choices[0].PerDay || o.Choices[0].Hours < fast.Choices[0].Hours {
				t.Errorf("%s lanes, %s: %+v; chosen %+v", lanes, mode, o.Choices, p.Choices)
			}
		}
	}
	for _, l := range p.Limits {
		if l.PerDay == nil || *l.PerDay <= p.Choices[0].PerDay || l.Sectors <= p.Max {
			t.Errorf("the price of %+v", l)
		}
	}
	// A budget is as dear as what else there is room for.
	if l := ask(few, "--memory", "400GiB").Limits; len(l) != 1 || l[0].Sectors != p.Max || *l[0].PerDay != p.Choices[0].PerDay {
		t.Errorf("the price of a budget: %+v, without it %+v", l, p.Choices)
	}
	for _, n := range []string{"5", "max"} {
		if o := ask(few, "--sectors", n); len(o.Choices) != 0 || o.Lanes != 1 || o.MemoryMode != "two-layers" {
			t.Errorf("--sectors %s chooses: %+v", n, o)
		}
	}
	if o := ask(few, "--sectors", "30", "--for", "throughput"); o.Sectors != 30 || o.MemoryMode != "one-layer" {
		t.Errorf("30 sectors, of which 23 have room with two layers: %+v", o.Choices)
	}
	// 23 groups of a hasher and three producers, of which memory has no more: 23 · 86,400 s · 3 GHz /
	// (3,840 · 11 · 2^30 labels). Two pairs on each of half of 192 cores: 192 · 1.87 M/s.
	var others []string
	for _, o := range ask(few, "--compare").Others {
		others = append(others, fmt.Sprintf("%d on %d cores: %.1f", o.Sectors, o.Cores, o.PerDay))
	}
	if got := strings.Join(others, ", "); got != "23 on 92 cores: 131.4, 384 on 192 cores: 2626.4" {
		t.Errorf("other layouts: %s", got)
	}
	if run := sdrbench(t, nil, "plan", "--for", "speed", "--proof", "StackedDrg2KiBV1"); run.exit != 2 || !strings.Contains(run.stderr, `"speed" is not latency or throughput`) {
		t.Errorf("exit code %d: %s", run.exit, run.stderr)
	}
}

// TestSharedDumps: plan finds, in dumps of real machines and of made-up ones, what is expected beside them. See
// CONTRIBUTING.md for where those are.
func TestSharedDumps(t *testing.T) {
	testkit.NeedsLong(t, "dumps take seconds to unpack")
	dirs := []string{os.Getenv("SDR_SHARED")}
	// In CI both are there, so that this test cannot be skipped for ever.
	missing := func(format string, args ...any) {
		if os.Getenv("CI") == "true" && dirs[0] != "none" {
			t.Fatalf(format, args...)
		}
		t.Skipf(format, args...)
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		missing("no python3, which the dumps' own check is for: %v", err)
	}
	if dirs[0] == "" {
		at, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for dirs = nil; filepath.Dir(at) != at; at = filepath.Dir(at) {
			dirs = append(dirs, filepath.Join(at, "shared"))
		}
	}
	for _, dir := range dirs {
		if dir, err = filepath.Abs(filepath.Join(dir, "topologies")); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "check_plan.py")); err != nil {
			continue
		}
		// What is expected of topo alone, topology's tests hold it to.
		planned := t.TempDir()
		expected, err := filepath.Glob(filepath.Join(dir, "*.expect.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, expect := range expected {
			text, err := os.ReadFile(expect)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), `"plan"`) {
				continue
			}
			for _, file := range []string{expect, strings.TrimSuffix(expect, ".expect.json") + ".tar.bz2"} {
				if err := os.Symlink(file, filepath.Join(planned, filepath.Base(file))); err != nil {
					t.Fatal(err)
				}
			}
		}
		out, err := exec.CommandContext(t.Context(), python, filepath.Join(dir, "check_plan.py"), "sdrbench", planned).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, " BAD ") {
				t.Error(strings.TrimSpace(line))
			}
		}
		if !strings.Contains(string(out), " OK") {
			t.Errorf("nothing was checked: %s", out)
		}
		return
	}
	missing("no check_plan.py in topologies below any of %q: put it into ../shared beside the project, or name its directory's parent in SDR_SHARED", dirs)
}

// TestPlanKernels: every kernel whose cycles the engine knows has its features here, or no plan would use it.
func TestPlanKernels(t *testing.T) {
	for name := range engine.CyclesByKernel() {
		kind, _, _ := strings.Cut(name, "/")
		if _, ok := kernelNeeds[kind]; !ok {
			t.Errorf("what does %s need of a machine?", name)
		}
	}
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "4096": 4096, "256GiB": 256 << 30, "1.5TiB": 3 << 39, "0.5k": 512, "1.0": 1, "1.9": 1, " 2.25 MiB ": 9 << 18,
		"0.000000000001T": 1, "16777215.9999999T": 1<<64 - 1<<40 + 1099511517824,
	} {
		if got, err := parseBytes(text); got != want || err != nil {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", ".", "1.", ".5", "1.5.5", "1.5QiB", "-1.5", "1e3", "1.5e3", "+1.5G", "1.G", "16777216.0T", "1.0000000000000000000000000000001", "0x1.8"} {
		if n, err := parseBytes(text); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", text)) {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
}

// FuzzParseBytes: what is read is a number with a unit, and the number of bytes it is
// says so too when it is read.
func FuzzParseBytes(f *testing.F) {
	for _, text := range []string{"0", "1.5TiB", "256GiB", "1.", ".5", "16777216.0T", "1.5 kb", "0.1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := parseBytes(text)
		if err != nil {
			return
		}
		if again, err := parseBytes(fmt.Sprint(n)); again != n || err != nil {
			t.Errorf("%q is %d, which is %d, %v", text, n, again, err)
		}
		text = strings.Trim(text, " \t\r\n\x00") // topology.ParseSize reads files, too
		digits := strings.TrimSuffix(text, strings.TrimLeft(text, "0123456789."))
		value, ok := new(big.Rat).SetString(digits)
		if !ok {
			t.Fatalf("%q is %d, but %q is no number", text, n, digits)
		}
		if least, _ := value.Float64(); float64(n) < least*0.999-1 || float64(n) > least*(1<<40)*1.001+1 {
			t.Errorf("%q is %d", text, n)
		}
	})
}
