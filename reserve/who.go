package reserve

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sdr-engine/sdr/internal/linux"
)

// How long a call waits for the guard before it tells, and at most by default.
const (
	tellAfter   = time.Second / 2
	defaultMost = 30 * time.Second
)

// Patience says how a call waits for the guard, which jobs hold for moments. Its zero
// value is ready.
type Patience struct {
	// Most is how long to wait. Default: 30 s.
	Most time.Duration
	// Tell is called, if it is not nil, when the guard was not had within half a second:
	// once for each time that it is waited for, while the call goes on waiting.
	Tell func(*GuardError)

	now bool // who does not get it at once gives up
}

// A GuardError says who has the guard of a lock directory, and how long it was waited for.
type GuardError struct {
	Path string // the guard's file
	// Holders are those that have its lock, as far as the kernel names them here: not
	// those in other containers.
	Holders []Process
	Waited  time.Duration
	// Ended is false for who is told while the call goes on waiting.
	Ended bool
}

// Is reports whether target says that others are at work.
func (e *GuardError) Is(target error) bool { return target == linux.ErrLocked }

func (e *GuardError) Error() string {
	who := "by a process that the kernel does not name here, in another container perhaps"
	if len(e.Holders) > 0 {
		var all []string
		for _, p := range e.Holders {
			all = append(all, p.String())
		}
		who = "by " + strings.Join(all, " and ")
	}
	verb := "waiting"
	if e.Ended {
		verb = "waited"
	}
	return fmt.Sprintf("reserve: locking %s: held %s, %s for %v; jobs hold it for moments: see what that process does, and end it", e.Path, who, verb, e.Waited.Round(100*time.Millisecond))
}

// A Process is one that holds a lock, as the kernel says.
type Process struct {
	PID     int
	Command string // its name in the process list; "" if that is not known
}

func (p Process) String() string {
	if p.Command == "" {
		return fmt.Sprintf("process %d", p.PID)
	}
	return fmt.Sprintf("process %d, %q", p.PID, p.Command)
}

func processOf(pid int) Process {
	name, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
	return Process{pid, strings.TrimSuffix(string(name), "\n")}
}

// lockers are the processes that took the lock of a file, alone or shared, as the kernel
// lists them: those in other process namespaces than ours and those below it are
// missing. One that has ended is still named if a child has its descriptor.
func lockers(info fs.FileInfo) (pids []int) {
	id, ok := linux.LockID(info)
	if !ok {
		return nil
	}
	// The list comes page by page: what others unlock in between makes it skip lines.
	for attempt := 0; attempt < 10 && len(pids) == 0; attempt++ {
		text, err := os.ReadFile("/proc/locks")
		if err != nil {
			return nil
		}
		pids = lockersOf(text, id)
	}
	return pids
}

func lockersOf(locks []byte, id string) (pids []int) {
	for line := range strings.Lines(string(locks)) {
		// 1: FLOCK ADVISORY WRITE 4711 fd:01:12345 0 EOF; with -> behind the number, it waits.
		f := strings.Fields(line)
		if len(f) < 6 || f[1] != "FLOCK" || f[5] != id {
			continue
		}
		if pid, err := strconv.Atoi(f[4]); err == nil && pid > 0 && !slices.Contains(pids, pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// wrote reports whether the process that the kernel names may be the one that a lock file's
// record names, by number and start. The record's number may be that of another process
// namespace, below ours.
func wrote(h *Holder, pid int) bool {
	start, ok := startOf(strconv.Itoa(pid))
	if !ok {
		return h.PID == pid // it has ended; what it started has its lock
	}
	return slices.Contains(pidsOf(pid), h.PID) && (h.Start == 0 || start == 0 || h.Start == start)
}

// pidsOf are a process's numbers, in our process namespace and those below.
func pidsOf(pid int) []int {
	pids := []int{pid}
	status, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	for line := range strings.Lines(string(status)) {
		if list, found := strings.CutPrefix(line, "NSpid:"); found {
			for _, word := range strings.Fields(list) {
				if n, err := strconv.Atoi(word); err == nil {
					pids = append(pids, n)
				}
			}
		}
	}
	return pids
}

// startOf is when a process, a number or "self", started, in the kernel's clock ticks
// since boot; 0 if that is not known, and not ok if there is no such process.
func startOf(process string) (start uint64, ok bool) {
	stat, err := os.ReadFile(filepath.Join("/proc", process, "stat"))
	if err != nil {
		return 0, false
	}
	// The second field, the name, may hold spaces and parentheses.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	const startTime = 22 - 3 // counted behind the name
	if len(fields) > startTime {
		start, _ = strconv.ParseUint(fields[startTime], 10, 64)
	}
	return start, true
}
