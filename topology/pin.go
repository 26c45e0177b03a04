package topology

import "errors"

// A PinReason is why a thread could not be bound.
type PinReason int

// The reasons.
const (
	PinOther      PinReason = iota // the system's error says
	PinDump                        // the Machine is not the one that we run on
	PinOffline                     // the CPU is not online
	PinCgroup                      // the cgroup's cpuset has no such CPU
	PinAffinity                    // the process was started with a mask that has no such CPU
	PinPermission                  // the system forbids it
	PinThread                      // Release was called on another thread
)

// A PinError says why a thread could not be bound, or set free again.
type PinError struct {
	CPU    CPU
	Reason PinReason
	Err    error // the system's, or nil
}

func (e *PinError) Error() string { return "topology: pinning" }

// Unwrap is the system's error.
func (e *PinError) Unwrap() error { return e.Err }

// A Pinned is a goroutine's thread, bound to one CPU.
type Pinned struct{}

// Pin locks the calling goroutine to its thread and binds the thread to cpu,
// verified by reading the mask back. Errors are *PinError; the thread is then as
// it was.
func Pin(m *Machine, cpu CPU) (*Pinned, error) {
	return nil, &PinError{CPU: cpu, Err: errors.ErrUnsupported}
}

// Release gives the thread its old mask and unlocks it. It is called by the
// goroutine that pinned. If the mask cannot be restored, the error says so, and the thread
// stays locked, so that it ends with its goroutine. A second call does nothing.
func (p *Pinned) Release() error { return nil }
