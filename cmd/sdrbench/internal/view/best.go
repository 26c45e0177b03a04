package view

import (
	"fmt"

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
}

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
}

// Without is how many sectors a day there would be if there were no such limit. Not ok is not known.
func (b *Best) Without(l placement.Limit) (perDay float64, ok bool) {
	if len(b.Choices) == 0 || l.Sectors == placement.MaxSectors {
		return 0, false
	}
	c := b.Choices[0]
	c.Sectors = l.Sectors
	return c.PerDay(), true
}

// lines are the choices' and the other layouts', for people.
func (b *Best) lines() (chosen, others []string) {
	for i, c := range b.Choices[:min(2, len(b.Choices))] {
		chosen = append(chosen, []string{"best         ", "second best  "}[i]+c.String())
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
