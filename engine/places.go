package engine

import (
	"fmt"

	"github.com/sdr-engine/sdr/topology"
)

// bind binds the calling goroutine to one of the CPUs, until release. Without
// CPUs it does nothing. Where the system does not let it, Progress says so: labels are as
// right anywhere.
func (j *job) bind(cpus []topology.CPU, i int) (release func() error, err error) {
	if len(cpus) == 0 {
		return func() error { return nil }, nil
	}
	p, err := topology.Pin(j.c.Machine, cpus[i%len(cpus)])
	if err == nil {
		return p.Release, nil
	}
	why := fmt.Errorf("engine: binding to a CPU: %w", err)
	j.c.Progress.unbound.CompareAndSwap(nil, &why)
	return func() error { return nil }, nil
}

// keepOff keeps the calling goroutine off the cores that hash, until release, if there
// are others.
func (j *job) keepOff() (release func()) {
	var hashing []topology.CPU
	for _, p := range j.c.Places {
		hashing = append(hashing, p.Hasher)
	}
	if len(hashing) > 0 {
		if p, err := topology.KeepOff(j.c.Machine, hashing...); err == nil {
			return func() { _ = p.Release() } // if it fails, the thread ends with its goroutine
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
