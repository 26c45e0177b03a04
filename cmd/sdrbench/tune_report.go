package main

import (
	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/profile"
	"github.com/sdr-engine/sdr/internal/tune"
)

// setFound puts what a search found into a report.
func setFound(r *view.Tune, s *tune.Search, latency, throughput tune.Finding) {
	r.Latency, r.Throughput = newTuneFinding(latency), newTuneFinding(throughput)
	r.Cycles, r.Complete = s.CyclesByKernel(), !s.Short
	for _, all := range s.Readings {
		r.Measurements += len(all)
	}
}

func newTuneFinding(f tune.Finding) view.TuneFinding {
	all := view.TuneFinding{Settings: settingsOf(f.Trial, f.Figure), Samples: f.Samples, Worth: []view.TuneWorth{}}
	for _, w := range f.Worth {
		all.Worth = append(all.Worth, view.TuneWorth{
			Setting: w.Setting, Value: w.Value, Cycles: w.Cycles, Rate: w.Rate, Spread: w.Spread, Samples: w.Samples, Lost: w.Lost,
		})
	}
	return all
}

func settingsOf(t tune.Trial, f tune.Figure) profile.Settings {
	return profile.Settings{
		Kernel: t.Kernel, Sectors: t.Sectors, Hashers: t.Hashers,
		Staging: t.Staging.String(), Producers: t.Producers, HashersPerProducer: t.HashersPerProducer, Stride: t.Stride, Lookahead: t.Lookahead,
		SMT: t.SMT.String(), Pages: profile.PagesName(t.Pages), Policy: t.Policy.String(),
		Cycles: f.Cycles, Rate: f.Rate, Spread: f.Spread,
	}
}

// printTunePlan prints what tune would do.
func (a *app) printTunePlan(r *view.Tune, s *tune.Space, f tuneFlags) error {
	c := view.TuneChoices{
		Kernels: map[string][]view.TuneShape{}, Staging: []string{engine.Inline.String(), engine.Producers.String(), engine.Hybrid.String()},
		Producers: s.Producers, Strides: s.Strides, Lookahead: s.Ahead,
	}
	for _, share := range s.Sharing {
		c.Sharing = append(c.Sharing, share.HashersPerProducer)
	}
	for _, use := range s.SMT {
		c.SMT = append(c.SMT, use.String())
	}
	for _, kind := range s.Pages {
		c.Pages = append(c.Pages, profile.PagesName(kind))
	}
	for _, p := range s.Policies {
		c.Policies = append(c.Policies, p.String())
	}
	p := &view.TunePlan{
		Schema: r.Schema, Machine: r.Machine, Print: r.Fingerprint, Proof: r.Proof, Time: f.time.Seconds(), AtMost: f.time,
		Window: r.Window, Notes: r.Notes, Profile: r.Profile,
	}
	for _, k := range s.Kernels {
		p.Order = append(p.Order, k.Name)
		c.Kernels[k.Name] = []view.TuneShape{}
		for _, shape := range k.Shapes {
			c.Kernels[k.Name] = append(c.Kernels[k.Name], view.TuneShape{Hashers: shape.Hashers, Sectors: shape.Sectors})
		}
	}
	p.Choices = c
	if f.json {
		return a.printJSON(p)
	}
	return a.printText("%s", p.Text())
}
