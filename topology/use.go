package topology

import (
	"os"
	"strconv"
	"strings"
)

// A CPUUse is how some CPUs spent their time since boot, in the kernel's ticks.
type CPUUse struct {
	All  uint64 // whatever they did
	Work uint64 // programs, and what a hypervisor took from them
	Own  uint64 // what this process used, anywhere
}

// ReadCPUUse reads it from a system's proc directory. Not ok is not known.
func ReadCPUUse(proc string, cpus CPUSet) (u CPUUse, ok bool) {
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
		if !isCPU || err != nil || !cpus.Contains(CPU(n)) {
			continue
		}
		found++
		for i, text := range f[1:9] {
			ticks, err := strconv.ParseUint(text, 10, 63)
			if err != nil {
				return u, false
			}
			u.All += ticks
			switch i {
			case 0, 1, 2, 7: // interrupts are left out: our disk's are among them
				u.Work += ticks
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
		u.Own += ticks
	}
	return u, true
}

// OthersSince is how many CPUs, of so many, others kept busy on average.
func (u CPUUse) OthersSince(before CPUUse, cpus int) float64 {
	passed := float64(u.All) - float64(before.All)
	if passed <= 0 {
		return 0
	}
	others := float64(u.Work) - float64(before.Work) - (float64(u.Own) - float64(before.Own))
	return max(0, others/passed) * float64(cpus)
}
