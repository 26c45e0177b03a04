//go:build linux

package hugepages_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"github.com/sdr-engine/sdr/hugepages"
)

// noFilter is the exit code of a child that could not get itself a filter.
const noFilter = 3

// TestPolicyDenied: a container may forbid to say where memory goes. Regions are had all the same, and say
// so; in strict mode it is an error.
func TestPolicyDenied(t *testing.T) {
	c := child(t, "denied")
	out, err := c.CombinedOutput()
	if c.ProcessState.ExitCode() == noFilter {
		t.Skipf("this system lets no process filter its system calls: %s", out)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// denied has the kernel refuse this process mbind, as a container does that lacks CAP_SYS_NICE.
func denied() error {
	const (
		noNewPrivileges     = 38 // PR_SET_NO_NEW_PRIVS
		filterMode          = 2  // SECCOMP_MODE_FILTER
		refuse, allow       = 0x5_0000 | uint32(syscall.EPERM), 0x7fff_0000
		load, equal, answer = syscall.BPF_LD | syscall.BPF_W | syscall.BPF_ABS, syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K, syscall.BPF_RET | syscall.BPF_K
	)
	runtime.LockOSThread() // the filter is this thread's, and of those that it starts
	filter := []syscall.SockFilter{
		{Code: load}, // the number of the call
		{Code: equal, Jf: 1, K: syscall.SYS_MBIND},
		{Code: answer, K: refuse},
		{Code: answer, K: allow},
	}
	program := syscall.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, noNewPrivileges, 1, 0, 0, 0, 0)
	if errno == 0 {
		_, _, errno = syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_SECCOMP, filterMode, uintptr(unsafe.Pointer(&program)))
	}
	if errno != 0 {
		fmt.Println(errno)
		os.Exit(noFilter)
	}

	ctx := context.Background()
	for _, binding := range []hugepages.Binding{{}, hugepages.OnNUMANode(0)} {
		o := hugepages.Options{Size: 4 << 20, Pages: only(hugepages.Small), Binding: binding, Among: []int{0}}
		r, err := hugepages.Alloc(ctx, o)
		if err != nil {
			return err
		}
		if err := r.Populate(ctx); err != nil {
			return err
		}
		var refused *hugepages.BindError
		if l := r.Locality(); !errors.As(l.Err, &refused) || !errors.Is(l.Err, syscall.EPERM) {
			return fmt.Errorf("%+v: %v, want that memory could not be bound", binding, l)
		}
		if err := r.Free(); err != nil {
			return err
		}
		o.Strict = true
		if _, err := hugepages.Alloc(ctx, o); !errors.As(err, &refused) {
			return fmt.Errorf("%+v, strict: %v", binding, err)
		}
	}
	return nil
}
