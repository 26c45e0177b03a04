package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
	"github.com/sdr-engine/sdr/topology"
)

// aMachine has so many cores of two CPUs, in one core complex, and so much free memory.
func aMachine(t testing.TB, cores int, freeKiB uint64) *topology.Machine {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "# topology dump 1\n\n[proc]\ncpuinfo =\n\tvendor_id\t: AuthenticAMD\n\tcpu family\t: 25\n\tmodel\t\t: 17\n\tflags\t\t: sha_ni avx512f avx512bw\n\n[sys/devices/system/cpu]\nonline = 0-%d\n", 2*cores-1)
	for cpu := range 2 * cores {
		fmt.Fprintf(&b, "\n[sys/devices/system/cpu/cpu%d/topology]\ncore_cpus_list = %d,%d\ncore_id = %d\nphysical_package_id = 0\n", cpu, cpu%cores, cpu%cores+cores, cpu%cores)
		fmt.Fprintf(&b, "\n[sys/devices/system/cpu/cpu%d/cache/index3]\nlevel = 3\ntype = Unified\nsize = 32768K\nshared_cpu_list = 0-%d\n", cpu, 2*cores-1)
	}
	fmt.Fprintf(&b, "\n[sys/devices/system/node]\nonline = 0\n\n[sys/devices/system/node/node0]\ncpulist = 0-%d\ndistance = 10\nmeminfo =\n\tNode 0 MemTotal:       %d kB\n\tNode 0 MemFree:        %d kB\n", 2*cores-1, freeKiB, freeKiB)
	path := filepath.Join(t.TempDir(), "machine.txt")
	if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	m, err := readMachine(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func chooserOn(m *topology.Machine, proof porep.SealProof, disk view.Rates) *chooser {
	return &chooser{planModel: newPlanModel(m, placement.Reserved{}, proof, placement.Request{}, speedOf(m, nil), disk), m: m, purpose: forThroughput}
}

// TestBudgetPlanIsTheEngines: the memory of a plan in budget mode, and what it asks of the disk, is what a job says that it
// takes with that budget.
func TestBudgetPlanIsTheEngines(t *testing.T) {
	m := aMachine(t, 4, 1<<32)
	for _, proof := range []porep.SealProof{porep.StackedDrg8MiBV1_1, porep.StackedDrg32GiBV1_1} {
		for _, k := range sha256.Kernels() {
			if !k.Usable() || k.Lanes == 2 || k.Lanes == 8 || k.Lanes == 32 {
				continue
			}
			for _, way := range []engine.MemoryWay{engine.AutoWay, engine.Forward, engine.Passes} {
				c := chooserOn(m, proof, view.Rates{})
				c.way = way
				all := c.sizes(placement.Request{SectorSize: uint64(proof.SectorSize()), Lanes: k.Lanes, Producers: 1})
				for i, s := range all {
					if i%7 != 0 {
						continue
					}
					job := engine.Config{Proof: proof, Kernel: k.Name, Hashers: 1, Sectors: make([]engine.Sector, k.Lanes), MemoryMode: engine.Budget, Budget: s.sectorBudget * uint64(k.Lanes), MemoryWay: way}
					var takes uint64
					for _, need := range job.Requirements() {
						takes += need.Total()
					}
					feed, _ := job.Feed()
					if takes != s.demand.Memory || takes > job.Budget || feed != s.demand.Feed {
						t.Errorf("%v, %s, %v, %d bytes a sector: %+v, want %d bytes, %+v", proof, k.Name, way, s.sectorBudget, s.demand, takes, feed)
					}
				}
				if len(all) < 2 {
					t.Errorf("%v, %s, %v: only %d sizes", proof, k.Name, way, len(all))
				}
			}
		}
	}
}

// TestMoreMemoryNeverLess: with more memory a plan has no fewer sectors a day, with a faster disk neither; and no plan takes more
// memory than there is.
func TestMoreMemoryNeverLess(t *testing.T) {
	r, _ := testkit.Seeded(t)
	sizes := map[view.Rates]map[int][]sized{}
	best := func(q placement.Request, cores int, kib uint64, gives view.Rates) view.Choice {
		m := aMachine(t, cores, kib)
		c := chooserOn(m, porep.StackedDrg32GiBV1_1, gives)
		if sizes[gives] == nil {
			sizes[gives] = map[int][]sized{}
		}
		c.byLanes = sizes[gives] // they take most of the time, and are the same for every machine
		all, err := c.choices(q, open{true, true, true, true})
		if err != nil {
			t.Fatal(err)
		}
		b := all[0]
		q.Lanes, q.Mode, q.Producers, q.HashersPerProducer, q.SectorBudget = b.Lanes, b.Mode, b.Producers, b.HashersPerProducer, b.SectorBudget
		q.FewerProducers = true
		if q.Sectors = b.Sectors; q.Sectors > 0 {
			p, err := placement.New(m, placement.Reserved{}, q)
			if err != nil || p.Sectors != b.Sectors || p.Memory > kib<<10 {
				t.Errorf("%v, of %d KiB: %v, %+v", b, kib, err, p)
			}
		}
		return b
	}
	for range testkit.Rounds(12, 100) {
		cores, kib := 1+r.IntN(6), uint64(1)<<(18+r.IntN(10))
		kib += r.Uint64N(kib)
		more := kib + r.Uint64N(1<<27)
		gives := []view.Rates{{Read: 2e8, Written: 1e8}, {Read: 3e9, Written: 2e9}}[r.IntN(2)]
		q := placement.Request{SectorSize: 32 << 30, Lanes: 1, Producers: 1, Sectors: max(0, r.IntN(40)-20)}
		less := best(q, cores, kib, gives)
		for what, c := range map[string]view.Choice{
			fmt.Sprintf("%d KiB more", more-kib): best(q, cores, more, gives),
			"a disk five times as fast":          best(q, cores, kib, gives.Times(5)),
		} {
			if q.Sectors > 0 && c.Sectors < less.Sectors || q.Sectors == 0 && c.PerDay() < less.PerDay()*(1-1e-9) {
				t.Errorf("%d cores, %d KiB, %v, %d sectors: %s: %v\nwithout: %v", cores, kib, gives, q.Sectors, what, c, less)
			}
		}
	}
}

// TestPlanBudget: what a budget lets be is planned as jobs do it: two layers, one, or neither.
func TestPlanBudget(t *testing.T) {
	dump := filepath.Join("..", "..", "topology", "testdata", "accelerated.txt")
	plan := func(args ...string) (p planJSON) {
		t.Helper()
		args = append([]string{"plan", "--root", dump, "--proof", "StackedDrg512MiBV1_1", "--json"}, args...)
		if err := json.Unmarshal([]byte(mustRun(t, nil, args...)), &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for memory, want := range map[string]string{"2GiB": "two-layers", "1GiB": "one-layer", "700MiB": "budget", "128MiB": "budget"} {
		if p := plan("--sectors", "1", "--memory", memory); p.MemoryMode != want || !p.Fits || p.Memory > *p.Budget {
			t.Errorf("%s: %s, %d bytes", memory, p.MemoryMode, p.Memory)
		}
	}
	slow := plan("--sectors", "1", "--memory", "128MiB", "--disk-write", "100MiB").Choices[0]
	fast := plan("--sectors", "1", "--memory", "128MiB", "--disk-read", "20GiB", "--disk-write", "20GiB").Choices[0]
	if slow.Bound != "disk" || *slow.FullSpeed != 0 || fast.Bound == "disk" || *fast.FullSpeed < 1 || slow.Hours < 2*fast.Hours {
		t.Errorf("a slow disk: %+v; a fast one: %+v", slow, fast)
	}
	if b := fast.Budget; b == nil || b.JobMemory > 128<<20 || b.SectorMemory != 128<<20 || b.Segments < 2 || uint64(b.Segments)*b.SegmentNodes < 1<<24 {
		t.Errorf("%+v", b)
	}
	if forward := plan("--sectors", "1", "--memory", "128MiB", "--memory-way", "forward").Choices[0]; forward.Budget.Way != "forward" || forward.Budget.Scratch < 4<<30 || forward.Written < 5<<30 {
		t.Errorf("%+v", forward)
	}
	r := sdrbench(t, nil, "plan", "--root", dump, "--proof", "StackedDrg32GiBV1_1", "--memory", "100MiB")
	if r.exit != exitUsage || !strings.Contains(r.stderr, "the memory budget is 100 MiB, the smallest job, one sector in mode budget, takes ") {
		t.Errorf("%d: %s", r.exit, r.stderr)
	}
}

// TestSlowDiskIsTold: who says that a disk gives less than a job takes is told what it lacks, and has the job all the same.
func TestSlowDiskIsTold(t *testing.T) {
	commands := [][]string{{"sdr", "--proof", "StackedDrg8MiBV1_1", "--replica-id", benchTicket.String(), "--cache-dir", t.TempDir()}}
	if testkit.Long() {
		commands = append(commands, []string{"bench", "--proof", "StackedDrg8MiBV1_1", "--layers", "1", "--dir", t.TempDir()})
	}
	for _, args := range commands {
		r := sdrbench(t, nil, append(args, "--memory", "6MiB", "--disk-read", "1GiB", "--disk-write", "1MiB")...)
		if r.exit != 0 || !strings.Contains(r.stderr, "it may be slow: engine: looking at the disk of ") || !strings.Contains(r.stderr, "it gives 1.07 GB/s and 1.0 MB/s, in turn, and lacks ") {
			t.Errorf("%q: exit code %d: %s", args, r.exit, r.stderr)
		}
	}
}
