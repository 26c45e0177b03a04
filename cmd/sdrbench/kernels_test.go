package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/fr32"
	"github.com/sdr-engine/sdr/internal/coreclock"
	"github.com/sdr-engine/sdr/internal/portlimits"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/sha256"
	"github.com/sdr-engine/sdr/topology"
)

// What is not known is null: all that was measured of a kernel which cannot run here,
// and the limit of one that has none.
func TestKernelsReport(t *testing.T) {
	took := coreclock.Sample{Median: 2458.04, Low: 2457, High: 2469.3, Hz: 3.24e9}
	limit := portlimits.Limit{Bounds: []portlimits.Bound{{Cycles: 2432, Text: "latency: 19 × 32 × 4.00"}, {Cycles: 640, Text: "units: 20 × 32"}}}
	report := view.Kernels{
		Instructions: portlimits.Figures{
			{Name: "sha256rnds2, latency", Cycles: 4, Low: 3.9, High: 4.1},
			{Name: "zmm rotate, latency", Unknown: "this CPU lacks AVX512F"},
			{Name: "zmm rotate, rate", Unknown: "this CPU lacks AVX512F"},
		},
		Rows: []view.Kernel{
			{Kernel: &sha256.Kernel{Name: "wide/16", Lanes: 16}, Layer: 1, Limit: limit, Err: &sha256.KernelError{Name: "wide/16", Missing: []string{"WIDE"}}},
			{Kernel: &sha256.Kernel{Name: "wide/16", Lanes: 16}, Layer: 0, Limit: limit, Err: &sha256.KernelError{Name: "wide/16", Missing: []string{"WIDE"}}},
			{Kernel: &sha256.Kernel{Name: "sha/1", Lanes: 1}, Layer: 2, Limit: limit, Took: took},
			{Kernel: &sha256.Kernel{Name: "plain/1", Lanes: 1}, Layer: 2, Limit: portlimits.Limit{Unknown: "a reason"}, Took: took},
		},
		FR32: []view.Padding{
			{Name: "copy", Size: 64 << 20, Median: 10e9, Low: 9.9e9, High: 10.1e9},
			{Name: "wide pad", Size: 64 << 20, Median: 9.1e9, Low: 9e9, High: 9.1e9},
		},
	}
	text, err := json.Marshal(kernelsJSON(&report))
	if err != nil {
		t.Fatal(err)
	}
	want := `[` +
		`{"kernel":"wide/16","lanes":16,"usable":false,"layer":1,"cycles_per_label":null,"limit_cycles_per_label":null,"ratio":null,"labels_per_second":null,"ghz":null},` +
		`{"kernel":"sha/1","lanes":1,"usable":true,"layer":2,"cycles_per_label":2458,"limit_cycles_per_label":2432,"ratio":1.0107,"labels_per_second":1318123,"ghz":3.24},` +
		`{"kernel":"plain/1","lanes":1,"usable":true,"layer":2,"cycles_per_label":2458,"limit_cycles_per_label":null,"ratio":null,"labels_per_second":1318123,"ghz":3.24}]`
	if string(text) != want {
		t.Errorf("JSON is\n%s\nwant\n%s", text, want)
	}

	people := strings.Join(strings.Fields(report.Text("", 3)), " ")
	for _, want := range []string{
		"CPU 3: unknown model",
		"wide/16 16 1 - - - - - -",
		"wide/16 cannot run here: this CPU lacks WIDE",
		"sha/1 1 2 2458.0 0.5 % 2432.0 1.011 1318123 3.240",
		"sha/1 2 2432.0 latency: 19 × 32 × 4.00 640.0 units: 20 × 32",
		"plain/1 2 no limit: a reason",
		"4.000 (3.900 to 4.100) sha256rnds2, latency",
		"2 figures not known: this CPU lacks AVX512F",
		"fr32, of 64 MiB of padded data",
		"copy 10.00 2.0 % 1.00",
		"wide pad 9.10 1.1 % 0.91",
	} {
		if !strings.Contains(people, want) {
			t.Errorf("the report lacks %q:\n%s", want, report.Text("", 3))
		}
	}
	if n := strings.Count(people, "cannot run here"); n != 1 {
		t.Errorf("it is said %d times that a kernel cannot run here, want once", n)
	}
}

// All kernels are in the report, in both layers and above pairs, measured if usable.
func TestMeasureKernels(t *testing.T) {
	report, err := measureKernels(t.Context(), 1, 5)
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	trees := map[string]coreclock.Sample{} // by instruction set
	for _, k := range sha256.Kernels() {
		want = append(want, k.Name, k.Name, k.Name)
	}
	for _, r := range report.Rows {
		got = append(got, r.Kernel.Name)
		if set, _, _ := strings.Cut(r.Kernel.Name, "/"); r.Layer == 0 && r.Err == nil {
			if one, ok := trees[set]; ok && one != r.Took {
				t.Errorf("%s: a tree node takes %v, another kernel's %v, which is the same", r.Kernel.Name, r.Took, one)
			}
			trees[set] = r.Took
		}
		if usable := r.Kernel.Usable(); usable != (r.Err == nil) || usable != (r.Took.Median > 0) {
			t.Errorf("%s, layer %d: usable %v, but error %v and %v cycles", r.Kernel.Name, r.Layer, usable, r.Err, r.Took.Median)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("kernels are %v, want %v", got, want)
	}

	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := measureKernels(canceled, 1, 5); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled, it ends with %v", err)
	}
}

// Padding is measured beside a copy.
func TestMeasureFR32(t *testing.T) {
	const size = 1 << 20
	all, err := measureFR32(t.Context(), 3, size)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range all {
		names = append(names, p.Name)
		if p.Size != size || !(0 < p.Low && p.Low <= p.Median && p.Median <= p.High) {
			t.Errorf("%s: %+v is no median between quartiles", p.Name, p)
		}
	}
	if want := []string{"copy", fr32.Kernel() + " pad", fr32.Kernel() + " unpad"}; !slices.Equal(names, want) {
		t.Errorf("measured are %v, want %v", names, want)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := measureFR32(canceled, 3, size); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled, it ends with %v", err)
	}
}

// What is measured labels every node of the layer, and each differently.
func TestKernelTaskLabels(t *testing.T) {
	for _, k := range sha256.Kernels() {
		if !k.Usable() {
			continue
		}
		for layer := uint32(1); layer <= 2; layer++ {
			task, err := newKernelTask(k, layer)
			if err != nil {
				t.Fatal(err)
			}
			for range layerNodes(k) / kernelNodes {
				if err := task.step(); err != nil {
					t.Fatal(err)
				}
			}
			l := task.layer
			lane := make([]byte, len(l.Labels)/k.Lanes)
			if err := k.Unpack(lane, l.Labels, k.Lanes-1); err != nil {
				t.Fatal(err)
			}
			seen := map[[32]byte]bool{}
			for ; len(lane) > 0; lane = lane[32:] {
				seen[[32]byte(lane)] = true
			}
			if want := layerNodes(k) + 1; len(seen) != want { // node 0 and those past the spans are zeros
				t.Errorf("%s, layer %d: %d different labels, want %d", k.Name, layer, len(seen), want)
			}
		}
	}
}

func TestCPUToMeasure(t *testing.T) {
	nobody := func(topology.CPU) (string, bool) { return "", false }
	everybody := func(topology.CPU) (string, bool) { return "a job", true }
	for _, c := range []struct {
		dump string
		held []topology.CPU // a CPU of each core that a job holds
		want topology.CPU
	}{
		{"hybrid", nil, 7}, // 8 to 15 are efficiency cores
		{"hybrid", []topology.CPU{6}, 5},
		{"hybrid", []topology.CPU{0, 2, 4, 6}, 15},
		{"hybrid", []topology.CPU{0, 2, 4, 6, 15}, 14},
	} {
		m, err := topology.ReadDump("../../topology/testdata/" + c.dump + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		got, err := cpuToMeasure(m, heldCores(m, []reserve.Holder{{Cores: c.held}}))
		if err != nil || got != c.want {
			t.Errorf("%s, %v held: CPU %d (%v), want %d", c.dump, c.held, got, err, c.want)
		}
		var none *noCPUError
		if _, err := cpuToMeasure(m, everybody); !errors.As(err, &none) || !strings.Contains(err.Error(), "jobs hold all") {
			t.Errorf("%s, all held: got error %v, want a *noCPUError", c.dump, err)
		}
	}
	m, err := topology.ReadRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var none *noCPUError
	if _, err := cpuToMeasure(m, nobody); !errors.As(err, &none) || !strings.Contains(err.Error(), "no CPU is known") {
		t.Errorf("of no CPU: got error %v, want a *noCPUError", err)
	}
}

func TestRefusedCPU(t *testing.T) {
	var usage usageError
	for reason, want := range map[topology.PinReason]bool{
		topology.PinOffline: true, topology.PinCgroup: true, topology.PinAffinity: true,
		topology.PinOther: false, topology.PinPermission: false, topology.PinUnverified: false,
	} {
		pin := &topology.PinError{CPU: 5, Reason: reason}
		if err := refusedCPU(pin); errors.As(err, &usage) != want || !errors.Is(err, pin) {
			t.Errorf("%v: wrong usage is %v, want %v", err, !want, want)
		}
	}
}
