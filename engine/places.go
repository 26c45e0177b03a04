package engine

import (
	"fmt"

	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/topology"
)

// bind binds the calling goroutine to one of the CPUs, until release, and gives its thread a
// name meanwhile. Without CPUs it does nothing. Where the system does not let it, Progress says
// so: labels are as right anywhere.
func (j *job) bind(cpus []topology.CPU, i int, name string) (release func()) {
	if len(cpus) == 0 {
		return func() {}
	}
	p, err := topology.Pin(j.c.Machine, cpus[i%len(cpus)])
	if err == nil {
		return named(p, name)
	}
	why := fmt.Errorf("engine: binding to a CPU: %w", err)
	j.c.Progress.unbound.CompareAndSwap(nil, &why)
	return func() {}
}

// named gives a bound thread a name, until release.
func named(p *topology.Pinned, name string) (release func()) {
	restore := linux.NameThread(name)
	return func() {
		restore()
		_ = p.Release() // if it fails, the thread ends with its goroutine
	}
}

// keepOff keeps the calling goroutine, which reads or writes files, off the cores that hash,
// until release, if there are others.
func (j *job) keepOff() (release func()) {
	var hashing []topology.CPU
	for _, p := range j.c.Places {
		hashing = append(hashing, p.Hasher)
	}
	if len(hashing) > 0 {
		if p, err := topology.KeepOff(j.c.Machine, hashing...); err == nil {
			return named(p, "sdr-files")
		}
	}
	return func() {}
}

func (j *job) producerCPUs(h int) []topology.CPU {
	if len(j.c.Places) == 0 {
		return nil
	}
	return j.c.Places[h].Producers
}

func (j *job) hasherCPU(h int) []topology.CPU {
	if len(j.c.Places) == 0 {
		return nil
	}
	return []topology.CPU{j.c.Places[h].Hasher}
}
