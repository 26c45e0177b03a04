package cabi

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/input"
	"github.com/sdr-engine/sdr/lockstep"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sealer"
	"github.com/sdr-engine/sdr/sha256"
	"github.com/sdr-engine/sdr/topology"
)

// A machine seals, and knows the calls that are at work on it.
type machine struct {
	*sealer.Machine
	joiner *lockstep.Joiner // nil: none are joined

	mu    sync.Mutex
	calls map[*Call]struct{}
}

const maxNumber = 1 << 30 // sums stay far from overflow

// openMachine opens a machine with the options that a text has.
func openMachine(ctx context.Context, request []byte) (*machine, error) {
	var o sealer.Options
	var joined lockstep.Options
	var profile string
	number := input.NumberFrom(1, maxNumber)
	given := map[string]bool{}
	fields := map[string]field{
		"kernel":     text(&o.Kernel, parseKernel),
		"hashers":    text(&o.Hashers, number),
		"staging":    text(&o.Staging, engine.ParseStaging),
		"producers":  text(&o.Producers, number),
		"stride":     text(&o.Stride, number),
		"lookahead":  text(&o.Lookahead, number),
		"memory":     text(&o.Budget, parseBudget),
		"writing":    text(&o.Writing, engine.ParseWriting),
		"resume":     text(&o.Resume, engine.ParseResume),
		"lock-dir":   text(&o.LockDir, asText),
		"hugetlbfs":  text(&o.HugeTLBFS, asText),
		"profile":    text(&profile, asText),
		"batch":      text(&joined.Sectors, input.NumberFrom(1, engine.MaxSectors)),
		"batch-wait": text(&joined.Wait, parseWait),

		"hashers-per-producer": text(&o.HashersPerProducer, number),

		"memory-mode": text(&o.MemoryMode, engine.ParseMemoryMode),
		"memory-way":  text(&o.MemoryWay, engine.ParseMemoryWay),
		"policy": text(&o.Policy, func(text string) (p sealer.Policy, err error) {
			p, o.CPUs, err = sealer.ParsePolicy(text)
			return p, err
		}),
		"raise-huge-pages":  flag(&o.RaisePages),
		"strict-numa":       flag(&o.StrictNUMA),
		"parent-cache":      text(&o.ParentCache, asText),
		"parents-in-memory": flag(&o.ParentsInMemory),
	}
	for name, read := range fields {
		fields[name] = func(r *reader, at string, raw json.RawMessage) {
			given[name] = true
			read(r, at, raw)
		}
	}
	r := &reader{}
	r.request(request, fields)
	if given["batch"] && !given["batch-wait"] {
		r.at("batch", "it needs batch-wait, how long a job's first sector waits for others")
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	if profile != "" && profile != "none" {
		var err error
		if o.Profile, err = sealer.ReadProfile(profile); err != nil {
			return nil, err
		}
	}
	o.Untuned.Kernel, o.Untuned.Staging, o.Untuned.Policy = given["kernel"], given["staging"], given["policy"]
	m := &machine{calls: map[*Call]struct{}{}}
	o.Notes = m.note
	// What is wrong with settings shows here, not with the first sector; only what room there
	// is depends on its size.
	c := o.Config(porep.StackedDrg32GiBV1_1, 1)
	c.Hashers, c.Budget = 0, 0
	if err := c.CheckSettings(1); err != nil {
		return nil, &RequestError{[]string{err.Error()}}
	}
	var err error
	if m.Machine, err = sealer.Open(ctx, o); err != nil {
		return nil, err
	}
	if joined.Wait > 0 {
		if m.joiner, err = lockstep.New(m.Machine, joined); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func parseKernel(name string) (string, error) {
	if name == "auto" {
		return "", nil
	}
	_, err := sha256.ByName(name)
	return name, err
}

func parseBudget(text string) (uint64, error) {
	bytes, err := topology.ParseSize(text)
	if err == nil && bytes == 0 {
		err = fmt.Errorf("%q is no memory", text)
	}
	return bytes, err
}

// note tells the calls that a note is about.
func (m *machine) note(n sealer.Note) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for c := range m.calls {
		if n.Job == "" || n.Job == c.name || c.joined {
			c.note(n.String())
		}
	}
}

// add makes a call one of those at work, until it has ended.
func (m *machine) add(c *Call) (end func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls[c] = struct{}{}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.calls, c)
	}
}
