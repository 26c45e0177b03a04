package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

var peak = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// TestBudgetOfProcess: a process of its own never has more in memory than the budget and 64 MiB.
func TestBudgetOfProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("a sector of 8 MiB")
	}
	const child = "SDR_TEST_BUDGET"
	budgets := map[porep.SealProof]uint64{porep.StackedDrg8MiBV1_1: 6 << 20, porep.StackedDrg512MiBV1_1: 128 << 20}
	type job struct {
		proof porep.SealProof
		way   engine.MemoryWay
		lanes int // each with the budget, on one hasher, or two
	}
	jobs := []job{{porep.StackedDrg8MiBV1_1, engine.Forward, 1}, {porep.StackedDrg8MiBV1_1, engine.Passes, 1}}
	if testkit.Long() {
		for _, way := range []engine.MemoryWay{engine.Forward, engine.Passes} {
			jobs = append(jobs, job{porep.StackedDrg512MiBV1_1, way, 1}, job{porep.StackedDrg512MiBV1_1, way, 4})
		}
	}
	if names := strings.Fields(os.Getenv(child)); len(names) == 3 {
		proof, err := porep.ParseSealProof(names[0])
		if err != nil {
			t.Fatal(err)
		}
		way, err := engine.ParseMemoryWay(names[1])
		if err != nil {
			t.Fatal(err)
		}
		lanes, err := strconv.Atoi(names[2])
		if err != nil {
			t.Fatal(err)
		}
		// Of a large sector an eighth of the first layer, or of two hashers' together, of a small one that
		// of the second: all memory is in use by then.
		until := uint64(1<<24) / 8
		if nodes := proof.SectorSize().Nodes(); nodes < 1<<24 {
			until = nodes + nodes/8
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var spans atomic.Int64
		hooks := engine.Hooks{Stage: func(int, uint64) {
			if spans.Add(1) == int64(until/128) {
				cancel()
			}
		}}
		c := engine.Config{Proof: proof, Sectors: sectors(t, lanes), Hashers: min(lanes, 2), MemoryMode: engine.Budget, MemoryWay: way, Budget: uint64(lanes) * budgets[proof]}
		if _, err := hooks.Run(ctx, c); err != nil && ctx.Err() == nil {
			t.Fatal(err)
		}
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("%s\n", peak.Find(status))
		return
	}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector's memory is several times the program's")
	}
	for _, j := range jobs {
		budget := uint64(j.lanes) * budgets[j.proof]
		cmd := exec.Command(os.Args[0], "-test.run=^TestBudgetOfProcess$", "-test.count=1")
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%v %v %d", child, j.proof, j.way, j.lanes))
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.ENOEXEC) {
			t.Skip("an emulated program cannot be begun by its own name")
		}
		m := peak.FindSubmatch(out)
		if err != nil || m == nil {
			t.Fatalf("%v: %s", err, out)
		}
		took, _ := strconv.ParseUint(string(m[1]), 10, 64)
		t.Logf("%d of %v with %d MiB, %v: %d KiB", j.lanes, j.proof, budget>>20, j.way, took)
		if took<<10 > budget+64<<20 {
			t.Errorf("%d of %v, %v: %d KiB at the peak, want %d MiB and 64 MiB at most: %s", j.lanes, j.proof, j.way, took, budget>>20, bytes.TrimSpace(out))
		}
	}
}

// TestBudgetNoRoom: a disk that has no room for the scratch file, or takes none, is found before a
// label is made.
func TestBudgetNoRoom(t *testing.T) {
	r, _ := testkit.Seeded(t)
	for kind, errno := range map[durable.Kind]syscall.Errno{durable.OpReserve: syscall.ENOSPC, durable.OpCreate: syscall.EROFS} {
		for _, which := range []int{1, 2} { // the index's file, the batch's
			c := oneSector(t.TempDir())
			c.Kernel, c.Progress = "generic/1", new(engine.Progress)
			hooks := engine.Hooks{Cut: randomCut(r)}
			hooks.Cut.Block = 144
			i := &scratchRefused{kind: kind, which: which, err: errno}
			_, err := hooks.Run(durable.WithInjector(t.Context(), i), c)
			if !errors.Is(err, errno) || errno == syscall.ENOSPC && !errors.Is(err, engine.ErrNoSpace) {
				t.Errorf("%v of file %d: %v", kind, which, err)
			}
			if done, _ := c.Progress.Labels(); done != 0 {
				t.Errorf("%v of file %d: %d labels were made", kind, which, done)
			}
			if left := fileNames(t, c.Sectors[0].CacheDir); len(left) > 0 {
				t.Errorf("%v of file %d: left %q", kind, which, left)
			}
		}
	}
}

// scratchRefused lets the n-th operation of a kind on scratch files fail.
type scratchRefused struct {
	kind  durable.Kind
	which int
	n     atomic.Int64
	err   error
}

func (i *scratchRefused) Before(op *durable.Op) error {
	if op.Kind == i.kind && isScratch(op) && int(i.n.Add(1)) == i.which {
		return i.err
	}
	return nil
}

func (i *scratchRefused) After(*durable.Op) error { return nil }
