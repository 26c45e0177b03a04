package view

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/internal/profile"
)

func TestTuneText(t *testing.T) {
	s := profile.Settings{
		Kernel: "generic/1", Sectors: 1, Hashers: 1, Staging: "producers", Producers: 1, HashersPerProducer: 1, Stride: 128, Lookahead: 8192,
		SMT: "produce", Pages: "any", Policy: "spread", Cycles: 2481.4, Rate: 1.4913e6, Spread: 0.0123,
	}
	r := &Tune{
		Machine: profile.Machine{Model: "Some CPU", Complexes: []string{"2 × 4 cores"}, Memory: "16 GiB"}, Proof: "StackedDrg512MiBV1_1",
		Seconds: 300.4, Window: 1.5, Measurements: 120, Notes: []string{"one", "two"}, Cycles: map[string]float64{"generic/1": 20000.6},
		Latency:    TuneFinding{s, 3, []TuneWorth{{"stride", "32", 2500, 1.48e6, 0.01, 3, 0.0075}, {"pages", "2MiB", 2480, 1.492e6, 0.01, 3, -0.0005}}},
		Throughput: TuneFinding{s, 1, nil}, Profile: "profile.toml",
	}
	want := `machine     Some CPU, 2 × 4 cores, 16 GiB
notes       one
            two
measured    120 times for 1.5s each, in 5m0s, sectors of StackedDrg512MiBV1_1; the time was too short for all that there is (--time)

kernels, on one core
    generic/1  20,001 cycles a node  20,001 a label

best for latency: 1 sector on 1 core
  2,481 cycles a label, 1.49 M labels/s, spread 1.2 % of 3 measurements
  kernel generic/1, staging producers, producers 1, hashers per producer 1, stride 128, lookahead 8192, siblings produce, pages any, policy spread
  with one thing changed
    stride  32      2,500 cycles a label    0.8 % lost
    pages   2MiB    2,480 cycles a label    0.1 % won, which is in the noise

best for throughput: 1 sector on 1 core
  2,481 cycles a label, 1.49 M labels/s, spread 1.2 % of 1 measurement
  kernel generic/1, staging producers, producers 1, hashers per producer 1, stride 128, lookahead 8192, siblings produce, pages any, policy spread

profile     profile.toml, used from now on (--profile none goes without)
`
	if diff := cmp.Diff(want, r.Text()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestTunePlanText(t *testing.T) {
	p := &TunePlan{
		Machine: profile.Machine{Model: "Some CPU", Complexes: []string{"2 × 4 cores"}, Memory: "16 GiB"}, Proof: "StackedDrg512MiBV1_1",
		Time: 90, AtMost: 90 * time.Second, Window: 0.45, Order: []string{"wide/16", "plain/1"},
		Choices: TuneChoices{
			Kernels: map[string][]TuneShape{"plain/1": {{1, 1}, {2, 2}}, "wide/16": {}}, Staging: []string{"inline", "hybrid"},
			Producers: []int{1, 2}, Sharing: []int{1, 3}, Strides: []int{32}, Lookahead: []int{256, 4096}, SMT: []string{"idle"}, Pages: []string{"any"}, Policies: []string{"spread", "pack"},
		},
	}
	want := `machine     Some CPU, 2 × 4 cores, 16 GiB
time        1m30s at most, 450ms for each measurement, sectors of StackedDrg512MiBV1_1
wide/16     
plain/1     1 sector on 1 core, 2 sectors on 2 cores
staging     inline, hybrid
producers   1, 2
sharing     1, 3
stride      32
lookahead   256, 4096
siblings    idle
pages       any
policy      spread, pack
`
	if diff := cmp.Diff(want, p.Text()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
