package sealer

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/profile"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/topology"
)

const dumpOfServer = "../topology/testdata/epyc-2s-24ccx-smt.txt"

// aProfile is a good one, for whatever machine.
func aProfile() *Profile {
	return &Profile{&profile.Profile{
		Latency: profile.Settings{Kernel: "generic/1", Sectors: 1, Hashers: 1, Staging: "hybrid", Producers: 2, HashersPerProducer: 1, Stride: 64, Lookahead: 2048,
			SMT: "idle", Pages: "2MiB", Policy: "pack", Cycles: 2600, Rate: 1.4e6, Spread: 0.01},
		Throughput: profile.Settings{Kernel: "generic/1", Sectors: 12, Hashers: 6, Staging: "producers", Producers: 1, HashersPerProducer: 1, Stride: 256, Lookahead: 8192,
			SMT: "produce", Pages: "any", Policy: "spread", Cycles: 1400, Rate: 8e6, Spread: 0.02},
		Cycles: map[string]float64{"generic/1": 19000},
	}}
}

func aMachine(t *testing.T) *View {
	t.Helper()
	m, err := topology.ReadDump(dumpOfServer)
	if err != nil {
		t.Fatal(err)
	}
	return &View{Machine: m}
}

// Where hashers run is said by the options, then the profile, then by default.
func TestPolicyPrecedence(t *testing.T) {
	untuned := Options{Profile: aProfile()}
	untuned.Untuned.Policy = true
	for i, c := range []struct {
		o       Options
		sectors int
		policy  Policy
		smt     placement.SMTUse
	}{
		{Options{}, 1, PolicySpread, placement.ProduceOnSiblings},
		{Options{Profile: aProfile()}, 1, PolicyPack, placement.IdleSiblings},
		{Options{Profile: aProfile()}, 12, PolicySpread, placement.ProduceOnSiblings},
		{untuned, 1, PolicySpread, placement.IdleSiblings},
		{Options{Profile: aProfile(), Settings: Settings{Policy: PolicySpread}}, 1, PolicySpread, placement.IdleSiblings},
		{Options{Profile: aProfile(), Settings: Settings{Policy: PolicyNone}}, 1, PolicyNone, placement.IdleSiblings},
	} {
		if s := c.o.setup(porep.StackedDrg8MiBV1_1, c.sectors); s.policy != c.policy || s.smt != c.smt {
			t.Errorf("%d: policy %v, siblings %v, want %v, %v", i, s.policy, s.smt, c.policy, c.smt)
		}
	}
}

// A profile's kernel and hashers are for a machine that is free. On one that is
// not, the job goes where there is room.
func TestProfileGivesWay(t *testing.T) {
	v := aMachine(t)
	o := Options{Profile: aProfile(), Settings: Settings{Policy: PolicyList, CPUs: topology.NewCPUSet(v.Machine.Cores()[0].CPUs[0])}}
	s := o.setup(porep.StackedDrg8MiBV1_1, 12)
	if _, err := v.planShape(s, 12); err == nil {
		t.Error("six hashers on one core")
	}
	plan, err := v.plan(s, 12)
	if err != nil || len(plan.Jobs) != 1 {
		t.Errorf("%+v, %v", plan, err)
	}
	if s.forgetShape() || s.config.Kernel != "" || s.config.Hashers != 0 {
		t.Errorf("the shape is still there: %+v", s.config)
	}
}

// Layers that lie in files take nothing from the machine's free memory, if the files suffice
// for all of a call; who must wait for files that others use is busy.
func TestPlanInFiles(t *testing.T) {
	v := aMachine(t)
	free := v.Machine.FreeMemory(topology.MemoryNodes{})
	held := reserve.Holder{PID: 1}
	for pool, bytes := range free { // but for what a job takes besides
		if pool.PageSize == 0 {
			bytes -= 1 << 30
		}
		held.Memory = append(held.Memory, reserve.Memory{Node: pool.NUMANode, PageSize: pool.PageSize, Planned: bytes})
	}
	v.Held = []reserve.Holder{held}
	node := v.Machine.NUMANodes()[1].ID
	for range 2 {
		v.files = append(v.files, hugepages.FileInfo{File: hugepages.File{NUMANode: hugepages.OnNUMANode(int(node))}, Size: 64 << 30, Pages: hugepages.Huge1G})
	}
	for sectors := 1; sectors <= 3; sectors++ {
		s := new(Options).setup(porep.StackedDrg32GiBV1_1, sectors)
		s.config.Kernel, s.config.Hashers = "generic/1", sectors
		plan, err := v.plan(s, sectors)
		if sectors == 3 {
			if busy := (*BusyError)(nil); !errors.As(err, &busy) || len(s.inFiles) > 0 {
				t.Errorf("%d sectors: %v", sectors, err)
			}
			continue
		}
		if err != nil || s.inFiles[node] != 128<<30 {
			t.Fatalf("%d sectors: in files %v, %v", sectors, s.inFiles, err)
		}
		for _, j := range plan.Jobs {
			if j.NUMANode != node || j.Bytes() != plan.Request.JobOverhead() {
				t.Errorf("on NUMA node %d, with %d bytes", j.NUMANode, j.Bytes())
			}
		}
	}
	// Nobody has cores or memory that we know of, but the files are in use.
	s := new(Options).setup(porep.StackedDrg64GiBV1_1, 64)
	s.config.Kernel, s.config.Hashers = "generic/1", 48
	none, busy := (*NoRoomError)(nil), (*BusyError)(nil)
	if _, err := (&View{Machine: v.Machine}).plan(s, 64); !errors.As(err, &none) {
		t.Errorf("without files: %v", err)
	}
	if _, err := (&View{Machine: v.Machine, filesInUse: true}).plan(s, 64); !errors.As(err, &busy) || !strings.Contains(err.Error(), "; huge page files: other jobs use them") {
		t.Errorf("with files in use: %v", err)
	}
}

// SMT siblings produce for all hashers, unless they are to idle.
func TestPlanUsesSiblings(t *testing.T) {
	v := aMachine(t)
	cores := len(v.Machine.Cores())
	for use, want := range map[placement.SMTUse]int{placement.ProduceOnSiblings: 1, placement.IdleSiblings: 0} {
		plan, err := v.Plan(porep.StackedDrg512MiBV1_1, cores, Settings{Kernel: "generic/1", Hashers: cores, SMT: use})
		if err != nil {
			t.Fatal(err)
		}
		for _, j := range plan.Jobs {
			if len(j.Producers) != want {
				t.Fatalf("%v: job %+v, want %d producers", use, j, want)
			}
		}
	}
}

// A profile is read whole, or not at all.
func TestParseProfile(t *testing.T) {
	m, err := topology.Read()
	if err != nil {
		t.Skip(err)
	}
	p := aProfile().p
	p.Schema, p.Machine = profile.Schema, profile.MachineOf(m)
	p.Fingerprint = p.Machine.Fingerprint()
	var text bytes.Buffer
	if err := p.Write(&text); err != nil {
		t.Fatal(err)
	}
	good := text.String()
	read, err := ParseProfile(&text, "x.toml")
	if err != nil || read.Path() != "x.toml" {
		t.Fatalf("%v, %v", read, err)
	}
	o := Options{Profile: read}
	if c := o.Config(porep.StackedDrg8MiBV1_1, 1); c.Staging != engine.Hybrid || c.Cycles["generic/1"] != 19000 {
		t.Errorf("%+v", c)
	}
	for _, bad := range []string{"", good + "x = 1\n", "schema = 2", good + fmt.Sprintf("# %0*d", profile.MaxBytes, 0)} {
		if _, err := ParseProfile(bytes.NewBufferString(bad), "x.toml"); err == nil {
			t.Errorf("a bad profile was read: %.40q", bad)
		}
	}
}

// Kernels that could not be timed the first time are timed again, and then no more, until there
// are more sectors.
func TestKeptOnce(t *testing.T) {
	calls := 0
	cycles := keptOnce(func(sectors int) map[string]float64 {
		if calls++; calls < 3 || calls == 4 {
			return nil
		}
		return map[string]float64{"generic/1": float64(100*sectors + calls)}
	})
	for i, tt := range []struct {
		sectors int
		want    float64
	}{{2, 0}, {2, 0}, {2, 203}, {2, 203}, {1, 203}, {3, 0}, {2, 203}, {3, 305}, {1, 305}, {2, 305}} {
		if got := cycles(tt.sectors)["generic/1"]; got != tt.want {
			t.Errorf("call %d, %d sectors: %v, want %v", i, tt.sectors, got, tt.want)
		}
	}
}
