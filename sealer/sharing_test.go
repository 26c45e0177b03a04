package sealer

import (
	"errors"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/topology"
)

// TestSharingPrecedence: options come before the profile, and what one says of producers goes with what it says of
// the hashers of each.
func TestSharingPrecedence(t *testing.T) {
	tuned := aProfile()
	tuned.p.Throughput.HashersPerProducer = 3
	for _, test := range []struct {
		settings           Settings
		sectors            int
		producers, hashers int
	}{
		{Settings{}, 12, 1, 3},
		{Settings{}, 1, 2, 1},
		{Settings{Producers: 4}, 12, 4, 0},
		{Settings{Producers: 1}, 12, 1, 3},
		{Settings{HashersPerProducer: 5}, 12, 0, 5},
		{Settings{HashersPerProducer: 5}, 1, 0, 5}, // the profile's two producers are for hashers of their own
		{Settings{HashersPerProducer: 1}, 1, 2, 1},
	} {
		o := Options{Profile: tuned, Settings: test.settings}
		c := o.Config(porep.StackedDrg8MiBV1_1, test.sectors)
		if c.Producers != test.producers || c.HashersPerProducer != test.hashers {
			t.Errorf("%+v, %d sectors: %d producers, %d hashers for each, want %d and %d", test.settings, test.sectors, c.Producers, c.HashersPerProducer, test.producers, test.hashers)
		}
	}
}

// TestSharingPlan: hashers that share a producer are told the same CPU for it, and its core is taken once.
func TestSharingPlan(t *testing.T) {
	v := aMachine(t)
	p, err := v.Plan(porep.StackedDrg8MiBV1_1, 14, Settings{Kernel: "generic/1", Hashers: 14, HashersPerProducer: 7, Policy: PolicyPack})
	if err != nil {
		t.Fatal(err)
	}
	hashers, cores := map[topology.CPU]int{}, map[topology.CPU]int{}
	for _, j := range p.Jobs {
		if len(j.Producers) != 1 {
			t.Fatalf("CPU %d: producers %d", j.Hasher, j.Producers)
		}
		hashers[j.Producers[0]]++
		for _, core := range j.Cores {
			cores[core]++
		}
	}
	if len(hashers) != 2 || len(cores) != 16 {
		t.Errorf("producers' hashers %v, cores %v, want two of 7 and 16 cores", hashers, cores)
	}
	for core, n := range cores {
		if n > 1 {
			t.Errorf("core %d is taken %d times", core, n)
		}
	}
}

// TestSharingBeyondComplex: nobody can mean more hashers than a complex has cores; a profile's number gives way, since
// it was made when more CPUs could be used.
func TestSharingBeyondComplex(t *testing.T) {
	v := aMachine(t)
	wrong := (*placement.RequestError)(nil)
	if _, err := v.Plan(porep.StackedDrg8MiBV1_1, 2, Settings{HashersPerProducer: 99}); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "for each producer is 99, want 1 to 8") {
		t.Errorf("99 hashers for a producer: %v", err)
	}
	tuned := aProfile()
	tuned.p.Throughput.HashersPerProducer = 99
	o := Options{Profile: tuned}
	s := o.setup(porep.StackedDrg8MiBV1_1, 12)
	if p, err := v.plan(s, 12); err != nil || p.Request.HashersPerProducer != 1 || s.config.HashersPerProducer != 1 {
		t.Errorf("a profile's 99: %v, %+v", err, s.config)
	}
	for _, policy := range []Policy{PolicyAuto, PolicySpread, PolicyNone} {
		_, err := Open(t.Context(), Options{LockDir: t.TempDir(), Settings: Settings{HashersPerProducer: topology.MaxCPUs, Policy: policy}})
		if option := (*OptionError)(nil); !errors.As(err, &option) || option.Option != "HashersPerProducer" {
			t.Errorf("%v: %v, want the option refused", policy, err)
		}
	}
}
