package view

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sdr-engine/sdr/internal/profile"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/sha256"
)

// A Tune is what tune found. Its JSON is a contract with scripts: whatever
// changes the meaning of a field changes Schema.
type Tune struct {
	Schema       int                `json:"schema"`
	Machine      profile.Machine    `json:"machine"`
	Fingerprint  string             `json:"fingerprint"`
	Proof        string             `json:"proof"`
	Seconds      float64            `json:"seconds"`
	Window       float64            `json:"window_seconds"` // of each measurement
	Measurements int                `json:"measurements"`
	Complete     bool               `json:"complete"` // nothing was left out for want of time
	Notes        []string           `json:"notes"`
	Cycles       map[string]float64 `json:"cycles"` // a node with all lanes, on one core, by kernel
	Latency      TuneFinding        `json:"latency"`
	Throughput   TuneFinding        `json:"throughput"`
	Profile      string             `json:"profile"` // the file; "" for none
}

// A TuneFinding is the best for one purpose, and what that is worth.
type TuneFinding struct {
	profile.Settings
	Samples int         `json:"samples"`
	Worth   []TuneWorth `json:"worth"`
}

// A TuneWorth is what the best loses with one thing changed.
type TuneWorth struct {
	Setting string  `json:"setting"`
	Value   string  `json:"value"`
	Cycles  float64 `json:"cycles_per_label"`
	Rate    float64 `json:"labels_per_second"`
	Spread  float64 `json:"spread"`
	Samples int     `json:"samples"`
	Lost    float64 `json:"lost"` // a share of the best's rate
}

// header is what the report and the plan begin with.
func header(b *strings.Builder, m profile.Machine, notes []string) {
	fmt.Fprintf(b, "%-12s%s, %s, %s\n", "machine", m.Model, strings.Join(m.Complexes, "; "), m.Memory)
	for i, note := range notes {
		name := ""
		if i == 0 {
			name = "notes"
		}
		fmt.Fprintf(b, "%-12s%s\n", name, note)
	}
}

// Text is the report for people.
func (r *Tune) Text() string {
	var b strings.Builder
	header(&b, r.Machine, r.Notes)
	fmt.Fprintf(&b, "%-12s%s for %v each, in %v, sectors of %s", "measured", words.Count(r.Measurements, "time"),
		time.Duration(r.Window*float64(time.Second)).Round(time.Millisecond), time.Duration(r.Seconds*float64(time.Second)).Round(time.Second), r.Proof)
	if !r.Complete {
		b.WriteString("; the time was too short for all that there is (--time)")
	}
	b.WriteString("\n\nkernels, on one core\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, name := range slices.Sorted(maps.Keys(r.Cycles)) {
		if k, err := sha256.ByName(name); err == nil {
			fmt.Fprintf(w, "  %s\t%s cycles a node\t%s a label\t\n", name, Thousands(uint64(r.Cycles[name]+0.5)), Thousands(uint64(r.Cycles[name]/float64(k.Lanes)+0.5)))
		}
	}
	w.Flush()
	r.Latency.text(&b, "best for latency")
	r.Throughput.text(&b, "best for throughput")
	if r.Profile != "" {
		fmt.Fprintf(&b, "\n%-12s%s, used from now on (--profile none goes without)\n", "profile", r.Profile)
	}
	return b.String()
}

func (f *TuneFinding) text(b *strings.Builder, heading string) {
	fmt.Fprintf(b, "\n%s: %s on %s\n", heading, words.Count(f.Sectors, "sector"), words.Count(f.Hashers, "core"))
	fmt.Fprintf(b, "  %s cycles a label, %s, spread %.1f %% of %s\n", Thousands(uint64(f.Cycles+0.5)), PerSecond(f.Rate, "labels"), 100*f.Spread, words.Count(f.Samples, "measurement"))
	fmt.Fprintf(b, "  kernel %s, staging %s, producers %d, hashers per producer %d, stride %d, lookahead %d, siblings %s, pages %s, policy %s\n",
		f.Kernel, f.Staging, f.Producers, f.HashersPerProducer, f.Stride, f.Lookahead, f.SMT, f.Pages, f.Policy)
	if len(f.Worth) == 0 {
		return
	}
	b.WriteString("  with one thing changed\n")
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, x := range f.Worth {
		change := fmt.Sprintf("%5.1f %% lost", 100*x.Lost)
		if x.Lost < 0 {
			change = fmt.Sprintf("%5.1f %% won, which is in the noise", -100*x.Lost)
		}
		fmt.Fprintf(w, "    %s\t%s\t%7s cycles a label\t%s\n", x.Setting, x.Value, Thousands(uint64(x.Cycles+0.5)), change)
	}
	w.Flush()
}

// A TunePlan is what tune would do. Its JSON is a contract with scripts.
type TunePlan struct {
	Schema  int             `json:"schema"`
	Machine profile.Machine `json:"machine"`
	Print   string          `json:"fingerprint"`
	Proof   string          `json:"proof"`
	Time    float64         `json:"seconds"`
	Window  float64         `json:"window_seconds"`
	Notes   []string        `json:"notes"`
	Choices TuneChoices     `json:"choices"`
	Profile string          `json:"profile"`

	AtMost time.Duration `json:"-"` // Time
	Order  []string      `json:"-"` // of the kernels
}

// TuneChoices are what tune chooses from.
type TuneChoices struct {
	Kernels   map[string][]TuneShape `json:"kernels"`
	Staging   []string               `json:"staging"`
	Producers []int                  `json:"producers"`
	Sharing   []int                  `json:"hashers_per_producer"`
	Strides   []int                  `json:"strides"`
	Lookahead []int                  `json:"lookaheads"`
	SMT       []string               `json:"smt"`
	Pages     []string               `json:"pages"`
	Policies  []string               `json:"policies"`
}

// A TuneShape is so many sectors on so many hashers.
type TuneShape struct {
	Hashers int `json:"hashers"`
	Sectors int `json:"sectors"`
}

// Text is the plan for people.
func (r *TunePlan) Text() string {
	c := &r.Choices
	var b strings.Builder
	header(&b, r.Machine, r.Notes)
	line := func(name string, values any) {
		fmt.Fprintf(&b, "%-12s%s\n", name, strings.ReplaceAll(strings.Trim(fmt.Sprint(values), "[]"), " ", ", "))
	}
	fmt.Fprintf(&b, "%-12s%v at most, %v for each measurement, sectors of %s\n", "time", r.AtMost, time.Duration(r.Window*float64(time.Second)).Round(time.Millisecond), r.Proof)
	for _, name := range r.Order {
		var shapes []string
		for _, shape := range c.Kernels[name] {
			shapes = append(shapes, fmt.Sprintf("%s on %s", words.Count(shape.Sectors, "sector"), words.Count(shape.Hashers, "core")))
		}
		fmt.Fprintf(&b, "%-12s%s\n", name, strings.Join(shapes, ", "))
	}
	line("staging", c.Staging)
	line("producers", c.Producers)
	line("sharing", c.Sharing)
	line("stride", c.Strides)
	line("lookahead", c.Lookahead)
	line("siblings", c.SMT)
	line("pages", c.Pages)
	line("policy", c.Policies)
	if r.Profile != "" {
		fmt.Fprintf(&b, "%-12s%s\n", "profile", r.Profile)
	}
	return b.String()
}
