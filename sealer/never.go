package sealer

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/workers"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/topology"
)

// never is why sectors can never have their memory, whichever jobs end: it is more than the budget, or than
// the machine has. Nil means that they may, or that it cannot be told.
func (m *Machine) never(p porep.SealProof, sectors int) error {
	s := m.setup(p, sectors)
	machine, err := topology.Read()
	if err != nil {
		machine = nil
	}
	if s.policy == PolicyNone {
		return m.neverAnywhere(machine, s, sectors)
	}
	if machine == nil {
		return nil
	}
	files, refused := hugepages.LookAtFiles(m.options.HugeFiles)
	plan, err := (&View{Machine: machine.Unused(), files: files}).plan(s, sectors)
	over, none := (*placement.BudgetError)(nil), (*NoRoomError)(nil)
	switch {
	case err == nil && s.config.MemoryMode == engine.Budget:
		c := s.config
		setPlaces(&c, machine, plan)
		return c.CheckSettings(sectors)
	case errors.As(err, &over):
		return err
	case errors.As(err, &none) && slices.ContainsFunc(none.Limits, isBudget):
		return err
	case errors.As(err, &none) && slices.ContainsFunc(none.Limits, ofMemory):
		if !slices.ContainsFunc(refused, func(r hugepages.FileRefusal) bool { return errors.Is(r.Err, hugepages.ErrFileInUse) }) {
			return err
		}
	}
	return nil
}

// neverAnywhere is never where no cores are chosen.
func (m *Machine) neverAnywhere(machine *topology.Machine, s *setup, sectors int) error {
	c := s.anywhere(sectors)
	if c.Budget > 0 {
		if err := c.CheckSettings(sectors); err != nil {
			return err
		}
	}
	if machine == nil || len(m.options.HugeFiles) > 0 {
		return nil
	}
	var has uint64
	for _, bytes := range machine.Unused().FreeMemory(s.memory) {
		has += bytes
	}
	if need := bytesOf(&c); need > has {
		return &NoRoomError{sectors, []placement.Limit{{Kind: placement.LimitMemory, Text: fmt.Sprintf("memory: the machine has %s, and %s are needed", topology.SizeText(has), topology.SizeText(need))}}}
	}
	return nil
}

// anywhere is what the engine is told of so many sectors where no cores are chosen.
func (s *setup) anywhere(sectors int) engine.Config {
	c := s.config
	c.Sectors = make([]engine.Sector, sectors)
	if c.Hashers == 0 {
		c.Hashers = min(sectors, workers.Most())
	}
	return c
}

// bytesOf is the memory that a job takes.
func bytesOf(c *engine.Config) (bytes uint64) {
	for _, need := range c.Requirements() {
		bytes += need.Total()
	}
	return bytes
}
