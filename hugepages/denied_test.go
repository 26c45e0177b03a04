//go:build linux

package hugepages_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

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
	runtime.LockOSThread()
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_MBIND},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	if err == nil {
		_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
		if errno != 0 {
			err = errno
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(noFilter)
	}
	runtime.UnlockOSThread()

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
		if l := r.Locality(); !errors.As(l.Err, &refused) || !errors.Is(l.Err, unix.EPERM) {
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
