package main

import (
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

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
