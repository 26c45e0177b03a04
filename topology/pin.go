package topology

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"

	"github.com/sdr-engine/sdr/internal/linux"
)

// A PinReason is why a thread could not be bound.
type PinReason int

// The reasons.
const (
	PinOther      PinReason = iota // the error of the system says
	PinDump                        // the Machine is not the one that we run on
	PinOffline                     // the CPU is not online, or there is none
	PinCgroup                      // the cgroup's cpuset does not have it
	PinAffinity                    // the process may not use it: the mask it was started with does not have it
	PinPermission                  // the system forbids it
	PinUnverified                  // the system reported success, but the mask is another
	PinThread                      // Release was called by another goroutine than Pin
)

// A PinError says why a thread could not be bound, or be given its mask back.
type PinError struct {
	CPU    CPU
	Reason PinReason
	Detail string // "" or which CPUs there are
	Err    error  // the system's, or nil
}

func (e *PinError) Error() string {
	text := fmt.Sprintf("topology: pinning to CPU %d: ", e.CPU)
	switch e.Reason {
	case PinDump:
		text += "the machine was read from a dump"
	case PinOffline:
		text += "it is not online"
	case PinCgroup:
		text += "the cgroup's cpuset does not have it"
	case PinAffinity:
		text += "the affinity mask of this process does not have it"
	case PinPermission:
		text += "not permitted"
	case PinUnverified:
		text += "the thread's mask is another afterwards"
	case PinThread:
		text += "released on another thread"
	default:
		text += "failed"
	}
	if e.Detail != "" {
		text += " (" + e.Detail + ")"
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap is the system's error.
func (e *PinError) Unwrap() error { return e.Err }

// A Pinned is a goroutine's thread, bound to one CPU.
type Pinned struct {
	cpu    CPU
	thread int
	before []int // the thread's mask
	done   atomic.Bool
}

// Pin locks the calling goroutine to its thread and binds the thread to cpu, which it
// verifies by reading the mask back. All errors are *PinError; after one, the
// thread is as it was, or will end with its goroutine. Pins nest.
func Pin(m *Machine, cpu CPU) (*Pinned, error) {
	if err := m.refusal(cpu); err != nil {
		return nil, err
	}
	return m.bind(cpu, []int{int(cpu)})
}

// KeepOff is Pin to all CPUs that the process may use but those of the cores that
// busy CPUs belong to. The error is a *PinError, also if there are no others.
func KeepOff(m *Machine, busy ...CPU) (*Pinned, error) {
	others := m.Allowed()
	for _, core := range m.Cores() {
		if slices.ContainsFunc(core.CPUs, func(cpu CPU) bool { return slices.Contains(busy, cpu) }) {
			others = others.Minus(NewCPUSet(core.CPUs...))
		}
	}
	switch first := others.first(); {
	case others.Len() == 0:
		return nil, &PinError{CPU: NewCPUSet(busy...).first(), Reason: PinAffinity, Detail: "no other core is allowed; allowed are " + m.Allowed().String()}
	case !m.live:
		return nil, &PinError{CPU: first, Reason: PinDump, Detail: m.root}
	default:
		var cpus []int
		for cpu := range others.All() {
			cpus = append(cpus, int(cpu))
		}
		return m.bind(first, cpus)
	}
}

// PinNode is Pin to all CPUs of a NUMA node that the process may use. The error is a *PinError,
// also if there are none.
func PinNode(m *Machine, node NUMAIndex) (*Pinned, error) {
	n := m.NUMANodes()[node]
	cpus := n.CPUs.Intersect(m.Allowed())
	switch {
	case cpus.Len() == 0:
		return nil, &PinError{CPU: n.CPUs.first(), Reason: PinAffinity, Detail: fmt.Sprintf("no CPU of NUMA node %d is allowed; allowed are %v", n.ID, m.Allowed())}
	case !m.live:
		return nil, &PinError{CPU: cpus.first(), Reason: PinDump, Detail: m.root}
	}
	var all []int
	for cpu := range cpus.All() {
		all = append(all, int(cpu))
	}
	return m.bind(cpus.first(), all)
}

// bind is Pin to any of some CPUs; cpu stands for them.
func (m *Machine) bind(cpu CPU, cpus []int) (*Pinned, error) {
	runtime.LockOSThread()
	before, err := linux.Affinity(0)
	if err != nil {
		runtime.UnlockOSThread()
		return nil, m.explain(cpu, err)
	}
	p := &Pinned{cpu: cpu, thread: linux.ThreadID(), before: before}
	if err := linux.SetAffinity(0, cpus); err != nil {
		runtime.UnlockOSThread()
		return nil, m.explain(cpu, err)
	}
	if after, err := linux.Affinity(0); err != nil || !slices.Equal(after, cpus) {
		_ = p.Release() // if it fails, the thread stays locked, which is what its error would say
		return nil, &PinError{CPU: cpu, Reason: PinUnverified, Detail: fmt.Sprint(after), Err: err}
	}
	return p, nil
}

// refusal is what is known without asking the system.
func (m *Machine) refusal(cpu CPU) error {
	switch {
	case !m.live:
		return &PinError{CPU: cpu, Reason: PinDump, Detail: m.root}
	case !m.online.Contains(cpu):
		return &PinError{CPU: cpu, Reason: PinOffline, Detail: "online are " + m.online.String()}
	case !m.cgroup.Contains(cpu):
		return &PinError{CPU: cpu, Reason: PinCgroup, Detail: "it has " + m.cgroup.String()}
	case !m.affinity.Contains(cpu):
		return &PinError{CPU: cpu, Reason: PinAffinity, Detail: "it has " + m.affinity.String()}
	}
	return nil
}

// explain finds the reason for an error of the system. "Invalid" says that the thread
// may have no such CPU now: it went offline, or out of the cpuset, after m was read.
func (m *Machine) explain(cpu CPU, err error) error {
	e := &PinError{CPU: cpu, Reason: PinOther, Err: err}
	switch {
	case errors.Is(err, fs.ErrPermission):
		e.Reason = PinPermission
	case errors.Is(err, syscall.EINVAL):
		e.Reason = PinCgroup
		if now, readErr := Read(); readErr == nil && !now.online.Contains(cpu) {
			e.Reason, e.Detail = PinOffline, "online are "+now.online.String()
		}
	}
	return e
}

// Release gives the thread the mask back that it had before Pin, verified as
// there, and unlocks the goroutine from it. Only the goroutine that pinned may call it;
// a second call does nothing. If the mask cannot be restored, the error says
// so, and the thread stays locked: it ends with its goroutine.
func (p *Pinned) Release() error {
	if p.done.Load() {
		return nil
	}
	if linux.ThreadID() != p.thread {
		return &PinError{CPU: p.cpu, Reason: PinThread}
	}
	p.done.Store(true)
	if err := linux.SetAffinity(0, p.before); err != nil {
		return &PinError{CPU: p.cpu, Reason: PinOther, Detail: "restoring the thread's mask", Err: err}
	}
	if after, err := linux.Affinity(0); err != nil || !slices.Equal(after, p.before) {
		return &PinError{CPU: p.cpu, Reason: PinUnverified, Detail: "restoring the thread's mask", Err: err}
	}
	runtime.UnlockOSThread()
	return nil
}

// CPU is the one that the thread is bound to.
func (p *Pinned) CPU() CPU { return p.cpu }
