package view

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/topology"
)

// A Bench is what bench found. Its JSON is a contract with scripts:
// whatever changes the meaning of a field changes Schema.
type Bench struct {
	Schema  int          `json:"schema"`
	Machine BenchMachine `json:"machine"`
	Config  BenchConfig  `json:"config"`
	GHz     float64      `json:"ghz"`   // the core's clock, 0 where it cannot be measured
	Steps   []BenchStep  `json:"steps"` // besides labels; empty if there were none
	Layers  []BenchLayer `json:"layers"`
	Window  *BenchWindow `json:"window"` // null but for --window
	// PC1 is PreCommit 1, or as much of it as was done, from call to return.
	PC1           float64      `json:"pc1_seconds"`
	ParentsCycles float64      `json:"parents_cycles_per_node"`
	MemoryPeak    uint64       `json:"memory_peak_bytes"` // without huge pages that were reserved at boot; 0 where unknown
	Rechecked     BenchRecheck `json:"rechecked"`
	// PerDay is how many 32 GiB sectors' labels these sectors' rates make in a day.
	PerDay float64 `json:"sectors_per_day_32GiB"`

	CommD   string            `json:"comm_d"`  // of the only sector; "" if it has no data
	Correct *bool             `json:"correct"` // null where nothing was checked
	Digest  string            `json:"digest"`  // of the only sector's last layer, or of the digests of all sectors'; "" if none was made
	Digests map[string]string `json:"digests"` // SHA-256 by file, of the only sector

	Nodes uint64 `json:"-"` // in a layer
	Wrong string `json:"-"` // what is not as it should be, if Correct is false
}

type BenchMachine struct {
	CPU  string `json:"cpu"`
	CPUs int    `json:"cpus"`
	OS   string `json:"os"`
	Arch string `json:"arch"`
	Go   string `json:"go"`
}

type BenchConfig struct {
	Proof      string   `json:"proof"`
	Sectors    int      `json:"sectors"`
	Layers     int      `json:"layers"`
	Kernels    []string `json:"kernels"` // those that ran
	Hashers    int      `json:"hashers"`
	CPUs       []int    `json:"cpus"` // of the hashers; empty if they were not bound
	Staging    string   `json:"staging"`
	Producers  int      `json:"producers"`
	Sharing    int      `json:"hashers_per_producer"`
	Stride     int      `json:"stride"`
	Lookahead  int      `json:"lookahead"`
	MemoryMode string   `json:"memory_mode"`
	MemoryWay  string   `json:"memory_way"` // of budget mode; "" in others
	Memory     uint64   `json:"memory_bytes"`
	Writing    string   `json:"writing"`
	Pages      []string `json:"pages"`   // by hasher
	Profile    string   `json:"profile"` // the file; "" for none
	Bare       bool     `json:"bare"`    // no manifest, and no labels recomputed meanwhile
}

// A BenchRecheck is what was recomputed of labels while they were made.
type BenchRecheck struct {
	Labels  uint64  `json:"labels"`
	Seconds float64 `json:"cpu_seconds"`
}

type BenchStep struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"bytes_per_second"` // bytes of the sectors
}

type BenchLayer struct {
	Layer   int                `json:"layer"`
	Seconds float64            `json:"seconds"`           // of the hasher that took longest
	Rate    float64            `json:"labels_per_second"` // all lanes of all hashers
	Cycles  float64            `json:"cycles_per_label"`  // core cycles of the hashing cores
	Pause   float64            `json:"pause_seconds"`     // before it, the longest
	Wait    map[string]float64 `json:"wait"`              // seconds that hashers waited, by what for; the mean of all
	Disk    *BenchDisk         `json:"disk"`              // null if whole layers are in memory
}

// A BenchDisk is what went from and to files, when layers are not in memory as a whole. Needed is the
// rate with which no hasher would have waited for the disk.
type BenchDisk struct {
	Read          float64 `json:"read_bytes_per_label"`
	Written       float64 `json:"written_bytes_per_label"`
	ReadRate      float64 `json:"read_bytes_per_second"`
	WrittenRate   float64 `json:"written_bytes_per_second"`
	ReadNeeded    float64 `json:"read_needed_bytes_per_second"`
	WrittenNeeded float64 `json:"written_needed_bytes_per_second"`
}

// DiskOf is that of a layer of which so many bytes a label were read and written, if any.
func DiskOf(l *BenchLayer, read, written float64) *BenchDisk {
	if read+written == 0 {
		return nil
	}
	needed := l.Rate
	if waited := l.Wait["disk"]; waited < l.Seconds {
		needed *= l.Seconds / (l.Seconds - waited)
	}
	return &BenchDisk{read, written, read * l.Rate, written * l.Rate, read * needed, written * needed}
}

// A BenchWindow is what --window adds: an estimate, and between what it lies with a
// confidence of 95 %.
type BenchWindow struct {
	Seconds  float64    `json:"seconds"`           // taken, less than asked for if the layer was at its end
	PC1      float64    `json:"pc1_seconds_32GiB"` // of all sectors together, labels only
	PC1Range [2]float64 `json:"pc1_seconds_32GiB_range"`
	PerDay   [2]float64 `json:"sectors_per_day_32GiB_range"`
}

// Text is the report for people.
func (r *Bench) Text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s", name)
		fmt.Fprintf(&b, format, args...)
		b.WriteByte('\n')
	}
	cpu := r.Machine.CPU
	if cpu == "" {
		cpu = "unknown CPU"
	}
	c := &r.Config
	line("machine", "%s, %s, %s/%s, %s", cpu, words.Count(r.Machine.CPUs, "CPU"), r.Machine.OS, r.Machine.Arch, r.Machine.Go)
	line("proof", "%s: %s of %s labels", c.Proof, words.Count(c.Layers, "layer"), Thousands(r.Nodes))
	line("kernel", "%s at %.2f GHz", strings.Join(c.Kernels, ", "), r.GHz)
	where := "not bound to cores"
	if len(c.CPUs) > 0 {
		where = fmt.Sprintf("on %s %s", Verb(len(c.CPUs), "CPU", "CPUs"), strings.Trim(fmt.Sprint(c.CPUs), "[]"))
	}
	mode := c.MemoryMode
	if c.MemoryWay != "" {
		mode += ", " + c.MemoryWay
	}
	line("hashers", "%d %s; %s, %s staging, %s", c.Hashers, where, words.Count(c.Sectors, "sector"), c.Staging, mode)
	b.WriteByte('\n')
	for _, s := range r.Steps {
		line(s.Name, "%9.3f s  %9.2f GB/s", s.Seconds, s.Rate/1e9)
	}
	for _, l := range r.Layers {
		name := fmt.Sprintf("layer %d", l.Layer)
		if r.Window != nil {
			name = "window"
		}
		waited := ""
		for _, w := range slices.Sorted(maps.Keys(l.Wait)) {
			if share := l.Wait[w] / l.Seconds; share >= 0.001 {
				waited += fmt.Sprintf("  waited %.1f %% for %s", 100*share, w)
			}
		}
		if l.Pause >= 0.001 {
			waited += fmt.Sprintf("  after a pause of %.3f s", l.Pause)
		}
		line(name, "%9.3f s  %9.3f M labels/s  %7s cycles a label%s", l.Seconds, l.Rate/1e6, Thousands(uint64(l.Cycles+0.5)), waited)
		if d := l.Disk; d != nil {
			more := ""
			if l.Wait["disk"]/l.Seconds >= 0.001 {
				more = fmt.Sprintf("; without waits %.2f and %.2f GB/s", d.ReadNeeded/1e9, d.WrittenNeeded/1e9)
			}
			line("  disk", "%.0f bytes a label read and %.0f written, %.2f and %.2f GB/s%s", d.Read, d.Written, d.ReadRate/1e9, d.WrittenRate/1e9, more)
		}
	}
	if r.PC1 > 0 {
		name := "PreCommit 1"
		if len(r.Steps) == 0 {
			name = "all layers"
		}
		line(name, "%9.3f s", r.PC1)
	}
	if w := r.Window; w != nil {
		line("32 GiB", "%s for all labels of %s (%s to %s)", hours(w.PC1), words.Count(c.Sectors, "sector"), hours(w.PC1Range[0]), hours(w.PC1Range[1]))
	}
	if c.Bare {
		line("guards", "none: no manifest, no labels recomputed meanwhile")
	} else if n := r.Rechecked.Labels; n > 0 {
		line("guards", "%s recomputed meanwhile, in %.3f s of a CPU", words.Count(int(n), "label"), r.Rechecked.Seconds)
	}
	line("a day", "%.1f sectors of 32 GiB, labels only", r.PerDay)
	b.WriteByte('\n')
	line("parents", "%s cycles a node", Thousands(uint64(r.ParentsCycles+0.5)))
	line("layers in", "%s of memory, %s", topology.SizeText(c.Memory), strings.Join(slices.Compact(slices.Clone(c.Pages)), ", "))
	if r.MemoryPeak > 0 {
		line("memory", "%s at the peak", topology.SizeText(r.MemoryPeak))
	}
	switch {
	case r.Correct == nil:
		line("result", "not checked: no known digests for %s", c.Proof)
	case !*r.Correct:
		line("result", "WRONG, not as the reference's: %s", r.Wrong)
	case r.Digests != nil:
		line("result", "right, as the reference's: comm_d and %s", words.Count(len(r.Digests), "file"))
	default:
		line("result", "right: a sample of the labels was recomputed another way")
	}
	return b.String()
}

// hours writes a time of some hours.
func hours(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}
