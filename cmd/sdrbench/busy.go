package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/sdr-engine/sdr/topology"
)

// A cpuUse is how some CPUs spent their time since boot, in the kernel's ticks.
type cpuUse struct {
	all  uint64 // whatever they did
	work uint64 // programs, and what a hypervisor took from them
	own  uint64 // what this process used, anywhere
}

// readCPUUse reads it from a system's proc folder. Not ok is not known.
func readCPUUse(proc string, cpus topology.CPUSet) (u cpuUse, ok bool) {
	stat, err := os.ReadFile(proc + "/stat")
	if err != nil {
		return u, false
	}
	self, err := os.ReadFile(proc + "/self/stat")
	if err != nil {
		return u, false
	}
	found := 0
	for line := range strings.Lines(string(stat)) {
		f := strings.Fields(line)
		if len(f) < 9 { // cpuN user nice system idle iowait irq softirq steal
			continue
		}
		digits, isCPU := strings.CutPrefix(f[0], "cpu")
		n, err := strconv.ParseUint(digits, 10, 31)
		if !isCPU || err != nil || !cpus.Contains(topology.CPU(n)) {
			continue
		}
		found++
		for i, text := range f[1:9] {
			ticks, err := strconv.ParseUint(text, 10, 63)
			if err != nil {
				return u, false
			}
			u.all += ticks
			switch i {
			case 0, 1, 2, 7: // interrupts are left out: our disk's are among them
				u.work += ticks
			}
		}
	}
	// The name, in parentheses, may hold anything.
	f := strings.Fields(string(self[strings.LastIndexByte(string(self), ')')+1:]))
	const user, system = 14 - 3, 15 - 3 // fields are counted from 1, the first behind the name is 3
	if found == 0 || len(f) <= system {
		return u, false
	}
	for _, text := range f[user : system+1] {
		ticks, err := strconv.ParseUint(text, 10, 63)
		if err != nil {
			return u, false
		}
		u.own += ticks
	}
	return u, true
}

// othersSince is how many CPUs, of so many, others kept busy on average.
func (u cpuUse) othersSince(before cpuUse, cpus int) float64 {
	passed := float64(u.all) - float64(before.all)
	if passed <= 0 {
		return 0
	}
	others := float64(u.work) - float64(before.work) - (float64(u.own) - float64(before.own))
	return max(0, others/passed) * float64(cpus)
}

// mostOthers is how many CPUs others may keep busy while tune measures. A program
// that never rests takes more, even beside hashers; what a machine does by itself,
// and for our files, takes less.
const mostOthers = 0.25

// A busyError says why no profile was written.
type busyError struct{ reasons []string }

func (e *busyError) Error() string {
	return fmt.Sprintf("tuning: no profile is written, the machine is busy: %s (--force writes one all the same, --profile none goes without)", strings.Join(e.reasons, "; "))
}
