package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/topology"
)

// A Choice is a plan that could be, without its places.
type Choice struct {
	Lanes, Producers   int
	HashersPerProducer int
	Mode               placement.MemoryMode
	Kernel             string
	Sectors, Max       int
	Hours              float64 // that its sectors take
	Bound              Bound   // why there are not more of them a day

	// Of Budget mode: a sector's part of the memory in bytes, a job's Requirements, and how it gets the parents that
	// are not there.
	SectorBudget, JobMemory uint64
	Feed                    engine.Feed

	Label     Rates   // bytes on the disk for each label
	Full      Rates   // what would keep the disk from being what bounds it
	Disk      Rates   // what it asks of the disk as it is
	FullSpeed *int    // sectors that the disk can feed at full speed; nil: nobody says what it gives
	Written   float64 // bytes written for a sector

	HelperCycles float64 // of cores that do not hash, for each label, besides parents
	HelperCores  float64
}

// A Bound is why a plan does not seal more sectors a day.
type Bound string

// What may bound a plan.
const (
	BoundCores   Bound = "cores"
	BoundMemory  Bound = "memory"
	BoundDisk    Bound = "disk"
	BoundHelpers Bound = "helper cores"
	BoundAsked   Bound = "what is asked for"
)

// PerDay is how many sectors a plan seals in a day.
func (c Choice) PerDay() float64 { return float64(c.Sectors) * 24 / c.Hours }

func (c Choice) String() string {
	return fmt.Sprintf("%s a day: %d at a time, in %.1f h; %s on each hasher with %s, %v, %s",
		amount(c.PerDay()), c.Sectors, c.Hours, words.Count(c.Lanes, "sector"), c.Kernel, c.Mode, producersText(c.Producers, c.HashersPerProducer))
}

// producersText says who produces for whom.
func producersText(producers, hashers int) string {
	if producers > 0 && hashers > 1 {
		return fmt.Sprintf("a producer for every %d hashers", hashers)
	}
	return words.Count(producers, "producer") + " for each hasher"
}

func amount(sectors float64) string { return fmt.Sprintf("%.1f sectors", sectors) }

// An Other is another engine's layout on the same machine.
type Other struct {
	Name           string
	Sectors, Cores int
	Memory         uint64 // bytes
	PerDay         float64
}

// Best is what a plan was chosen from.
type Best struct {
	Purpose string
	Choices []Choice // the best first; none if nothing was chosen
	Cycles  string   // where kernels' cycles are from
	Hz      float64  // the cores' clock
	Others  []Other
	Gives   Rates   // what the disk gives; 0: nobody says
	LeftOut bool    // budget mode was not looked at
	Faster  *Choice // what would be best if the disk bounded nothing; nil if it does not
}

// Without is how many sectors a day there would be if there were no such limit. Not ok is not known.
func (b *Best) Without(l placement.Limit) (perDay float64, ok bool) {
	if len(b.Choices) == 0 || l.Sectors == placement.MaxSectors {
		return 0, false
	}
	c := b.Choices[0]
	if c.Bound == BoundDisk || c.Bound == BoundHelpers || c.Bound == BoundAsked {
		return 0, false // more would be as many a day
	}
	c.Sectors = l.Sectors
	return c.PerDay(), true
}

// Modes are the best choice of each memory mode, the best mode first.
func (b *Best) Modes() (all []Choice) {
	for _, c := range b.Choices {
		if !slices.ContainsFunc(all, func(o Choice) bool { return o.Mode == c.Mode }) {
			all = append(all, c)
		}
	}
	return all
}

// DiskLimit is what the disk keeps from being, for people; "" if it does not.
func (b *Best) DiskLimit() string {
	if b.Faster == nil {
		return ""
	}
	return fmt.Sprintf("disk: %v; without it %s a day", b.Gives.Equalled(), amount(b.Faster.PerDay()))
}

// lines are the choices' and the other layouts', for people.
func (b *Best) lines() (chosen, others []string) {
	for i, c := range b.Choices[:min(2, len(b.Choices))] {
		chosen = append(chosen, []string{"best         ", "second best  "}[i]+c.String())
	}
	if modes := b.Modes(); len(modes) > 0 {
		var why []string
		for _, c := range modes {
			why = append(why, fmt.Sprintf("%v %s, limited by %s", c.Mode, amount(c.PerDay()), c.Bound))
		}
		if b.LeftOut {
			why = append(why, "budget not looked at: nobody says what the disk gives (--disk-read, --disk-write)")
		}
		chosen = append(chosen, "why          "+strings.Join(why, "; "))
	}
	for _, o := range b.Others {
		text := fmt.Sprintf("%s: %s on %s", o.Name, words.Count(o.Sectors, "sector"), words.Count(o.Cores, "core"))
		if o.Memory > 0 {
			text += ", " + topology.SizeText(o.Memory)
		}
		others = append(others, text+", "+amount(o.PerDay)+" a day")
	}
	return chosen, others
}

// asks is what the best choice asks of the disk and of cores that do not hash: in budget mode, or where somebody says what
// the disk gives.
func (b *Best) asks() (lines []string) {
	if len(b.Choices) == 0 || b.Choices[0].Sectors == 0 {
		return nil
	}
	c, gives := b.Choices[0], b.Gives.Equalled()
	if c.Mode != placement.Budget && gives == (Rates{}) {
		return nil
	}
	if f := c.Feed; c.Mode == placement.Budget {
		job := strings.ReplaceAll(topology.SizeText(c.SectorBudget*uint64(c.Lanes)), " ", "")
		lines = append(lines, fmt.Sprintf("memory   --memory %s for each job, which takes %s of it", job, topology.SizeText(c.JobMemory)),
			fmt.Sprintf("window   a layer in %s of %s nodes, whose parents come by way of %v", words.Count(f.Segments, "segment"), Thousands(f.Nodes), f.Way))
	}
	lines = append(lines, fmt.Sprintf("disk     %v at full speed; %s written for a sector", c.Full, topology.SizeText(uint64(c.Written))))
	if c.Feed.Scratch > 0 {
		lines[len(lines)-1] += fmt.Sprintf(", %s of scratch at a time", topology.SizeText(c.Feed.Scratch))
	}
	if gives != (Rates{}) {
		text := fmt.Sprintf("it gives %v, which is enough", gives)
		if busy := gives.Busy(c.Full); busy > 1 {
			lacks := gives.Times(busy - 1)
			text = fmt.Sprintf("it gives %v, in turn, and lacks %v: so sectors take %.1f h", gives, lacks, c.Hours)
		}
		lines = append(lines, fmt.Sprintf("         %s; at full speed it can feed %s", text, words.Count(*c.FullSpeed, "sector")))
	}
	if c.Mode == placement.Budget {
		lines = append(lines, fmt.Sprintf("helpers  %s cycles for each label, besides parents: %.1f cores", Thousands(uint64(c.HelperCycles)), c.HelperCores))
	}
	return lines
}
