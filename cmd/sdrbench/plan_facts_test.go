package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/porep"
)

// TestSpeedOf: times are for the CPU that a machine has, if it is one that was measured, and who reads them is
// told which that was.
func TestSpeedOf(t *testing.T) {
	for _, test := range []struct {
		name, vendor, family, model string
		hz, one                     float64 // the clock, and a node's cycles with sha-ni/1
		source                      string
	}{
		{"an EPYC 9004", "AuthenticAMD", "25", "17", 3.69e9, 2573, "AMD Zen 4: docs/benchmarks.md; not known of it: sha-ni/16, which a job measures when it starts"},
		{"an EPYC 7003", "AuthenticAMD", "25", "1", 3.24e9, 2522, "AMD Zen 3: docs/benchmarks.md; not known of it: sha-ni/16, sha-ni/4, which a job measures when it starts"},
		{"an EPYC 9005", "AuthenticAMD", "26", "2", 3.8e9, 2600, "AMD Zen 5: its clock; cycles: typical"},
		{"a Xeon of the fifth generation", "GenuineIntel", "6", "207", 2.99e9, 2754, "Intel Emerald Rapids: docs/benchmarks.md; not known of it: sha-ni/16, sha-ni/4, sha-ni/8, which a job measures when it starts"},
		// Family 25 has Zen 3 and Zen 4 in turn; 0x44 is neither's server, which were measured.
		{"a Ryzen 6000", "AuthenticAMD", "25", "68", 3e9, 2600, "typical, at a clock that nobody measured; a job measures its kernels when it starts"},
		{"another vendor's 25, 17", "HygonGenuine", "25", "17", 3e9, 2600, "typical, at a clock that nobody measured; a job measures its kernels when it starts"},
		{"no number", "AuthenticAMD", "x", "", 3e9, 2600, "typical, at a clock that nobody measured; a job measures its kernels when it starts"},
	} {
		path := filepath.Join(t.TempDir(), "machine.txt")
		text := "# topology dump 1\n\n[proc]\ncpuinfo =\n\tvendor_id\t: " + test.vendor + "\n\tcpu family\t: " + test.family + "\n\tmodel\t\t: " + test.model +
			"\n\tmodel name\t: Made up\n\tflags\t\t: sha_ni\n\n[sys/devices/system/cpu]\nonline = 0-3\n"
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		m, err := readMachine(path)
		if err != nil {
			t.Fatal(err)
		}
		s := speedOf(m, nil)
		if s.hz != test.hz || s.cycles["sha-ni/1"] != test.one || s.source != test.source {
			t.Errorf("%s: %.0f Hz, %.0f cycles, %q; want %.0f, %.0f, %q", test.name, s.hz, s.cycles["sha-ni/1"], s.source, test.hz, test.one, test.source)
		}
		// What nobody measured on that design does not compete with what was.
		if _, known := s.cycles["sha-ni/8"]; known == (test.vendor == "GenuineIntel") {
			t.Errorf("%s: sha-ni/8 takes %.0f", test.name, s.cycles["sha-ni/8"])
		}
		// What was measured here is believed before what was measured elsewhere.
		own := aProfile()
		own.Cycles["sha-ni/1"] = 2700
		if s := speedOf(m, written(t, own)); s.cycles["sha-ni/1"] != 2700 || math.Abs(s.hz-2600*1.4e6) > 1 || !strings.HasPrefix(s.source, "measured, ") {
			t.Errorf("%s, with a profile: %.0f Hz, %.0f cycles, %q", test.name, s.hz, s.cycles["sha-ni/1"], s.source)
		}
	}
}

// TestCPUFacts: each fact is about a kernel that there is, a label takes between a fifth and three times of what is typical,
// is in the table of benchmarks, and no two designs are the same CPU's.
func TestCPUFacts(t *testing.T) {
	typical := engine.CyclesByKernel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "benchmarks.md"))
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range cpuFacts {
		for name, label := range f.labels {
			_, lanes, err := kernelLanes(name)
			if node := label.cycles * float64(lanes); err != nil || node < typical[name]/5 || node > 3*typical[name] {
				t.Errorf("%s: %s takes %.0f cycles a node, typically %.0f", f.name, name, node, typical[name])
			}
			if label.run == "" || !strings.Contains(string(text), fmt.Sprintf("%d,%03d", int(label.cycles)/1000, int(label.cycles)%1000)) {
				t.Errorf("%s: %s takes %.0f cycles a label by %q, which docs/benchmarks.md does not have", f.name, name, label.cycles, label.run)
			}
		}
		for _, other := range cpuFacts[:i] {
			if f.vendor == other.vendor && f.family == other.family && f.first <= other.last && other.first <= f.last {
				t.Errorf("%s and %s have models in common", f.name, other.name)
			}
		}
	}
}

// TestHoursOfSharedProducers: a producer that has more hashers than it can feed makes a plan slower, and one that can
// feed them does not.
func TestHoursOfSharedProducers(t *testing.T) {
	at := func(hashers int) float64 {
		m := planModel{proof: porep.StackedDrg32GiBV1_1, speed: speed{hz: 3e9}}
		c := view.Choice{Lanes: 1, Producers: 1, HashersPerProducer: hashers, Sectors: 4}
		m.time(&c, 2600)
		return c.Hours
	}
	if at(1) != at(2) || at(3) != at(2) || at(4) <= at(3) || at(7) <= at(4) {
		t.Errorf("hours with 1, 2, 3, 4 and 7 hashers: %.2f, %.2f, %.2f, %.2f, %.2f", at(1), at(2), at(3), at(4), at(7))
	}
}
