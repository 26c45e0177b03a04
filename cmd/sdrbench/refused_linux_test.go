package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/topology"
)

func init() {
	programs["sdrbench-unbound"] = mainUnbound
	programs["sdrbench-beside"] = mainBeside
}

// mainUnbound is the command where the system refuses to bind threads:
// sdrbench-unbound ERRNO ARGS... A seccomp filter, as containers have them, answers
// sched_setaffinity with that error.
func mainUnbound() {
	number, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fatalf("%v", err)
	}
	const (
		setSeccomp, filterMode = 22, 2 // PR_SET_SECCOMP, SECCOMP_MODE_FILTER
		noNewPrivs             = 38    // PR_SET_NO_NEW_PRIVS
		allow, refuse          = 0x7fff_0000, 0x0005_0000
	)
	filter := []syscall.SockFilter{
		{Code: syscall.BPF_LD | syscall.BPF_W | syscall.BPF_ABS, K: 0}, // the call's number
		{Code: syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K, K: syscall.SYS_SCHED_SETAFFINITY, Jf: 1},
		{Code: syscall.BPF_RET | syscall.BPF_K, K: refuse | uint32(number)},
		{Code: syscall.BPF_RET | syscall.BPF_K, K: allow},
	}
	program := syscall.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread() // the filter is the thread's, and goes with it into exec
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, noNewPrivs, 1, 0, 0, 0, 0); errno != 0 {
		fatalf("no new privileges: %v", errno)
	}
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, setSeccomp, filterMode, uintptr(unsafe.Pointer(&program)), 0, 0, 0); errno != 0 {
		fatalf("setting a filter: %v", errno)
	}
	runtime.KeepAlive(filter)
	path, err := exec.LookPath("sdrbench")
	if err == nil {
		err = syscall.Exec(path, append([]string{"sdrbench"}, os.Args[2:]...), os.Environ())
	}
	fatalf("%v", err)
}

func fatalf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(exitNoMount)
}

// TestUnbound: where threads may not be bound to CPUs, a job runs anywhere, says so before
// and after, and makes the same layers.
func TestUnbound(t *testing.T) {
	sector := golden.Sectors()[0]
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.EINVAL, syscall.ENOSYS} {
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), "sdrbench-unbound", strconv.Itoa(int(errno)),
			"sdr", "--proof", sector.RegisteredProof, "--cache-dir", dir, "--replica-id", sector.ReplicaID)
		cmd.Env = append(os.Environ(), "SDR_LOCK_DIR="+filepath.Join(t.TempDir(), "locks"))
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		err := cmd.Run()
		if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == exitNoMount {
			t.Skip(stderr.String())
		}
		if err != nil || !strings.Contains(stderr.String(), "threads are not bound to the CPUs that were chosen: topology: pinning to CPU") ||
			!strings.Contains(stderr.String(), "threads ran wherever the system put them: engine: binding to a CPU") {
			t.Errorf("%v: %v, standard error %q", errno, err, stderr.String())
		}
		wantLayers(t, dir, sector, manifest.Name)
	}
}

// TestGuardHeldByAnother: who waits for the lock directory's guard says whom for, and goes on
// when it is free.
func TestGuardHeldByAnother(t *testing.T) {
	locks := t.TempDir()
	guard, err := os.Create(filepath.Join(locks, "guard.lock"))
	if err = errors.Join(err, os.Chmod(locks, 0o755)); err != nil { // whatever the umask
		t.Fatal(err)
	}
	defer guard.Close()
	if err := syscall.Flock(int(guard.Fd()), syscall.LOCK_EX); err != nil { // as flock(1) would
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sdrbench", "sdr", "--proof", "StackedDrg2KiBV1_1", "--cache-dir", t.TempDir(),
		"--replica-id", benchTicket.String(), "--lock-dir", locks)
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(pipe).ReadString('\n')
	want := fmt.Sprintf("sdrbench: reserve: locking %s: held by process %d, ", guard.Name(), os.Getpid())
	if err != nil || !strings.HasPrefix(line, want) {
		t.Errorf("said %q (%v), want %q", line, err, want)
	}
	guard.Close()
	_, _ = io.Copy(io.Discard, pipe)
	if err := cmd.Wait(); err != nil {
		t.Errorf("the guard is free: %v", err)
	}
}

// mainBeside is a command of a user who may not lock cores, beside one who holds the first:
// sdrbench-beside MODE PROGRAM ARGS... MODE is the permissions of the machine's lock directory.
func mainBeside() {
	mode, err := strconv.ParseUint(os.Args[1], 8, 32)
	if err == nil {
		err = syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	}
	if err == nil {
		err = syscall.Mount("none", "/run", "tmpfs", 0, "mode=755")
	}
	if err != nil {
		fatalf("mounting: %v", err)
	}
	const dir = "/run/sdrbench"
	core, coreErr := func() (*os.File, error) {
		if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(dir+"/guard.lock", nil, 0o644)); err != nil {
			return nil, err
		}
		return os.Create(dir + "/core-" + os.Getenv("SDRBENCH_TEST_CORE") + ".lock")
	}()
	if coreErr != nil {
		fatalf("%v", coreErr)
	}
	if err := errors.Join(syscall.Flock(int(core.Fd()), syscall.LOCK_EX), os.Chmod(dir, os.FileMode(mode))); err != nil {
		fatalf("%v", err)
	}
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	err = cmd.Run()
	runtime.KeepAlive(core)
	if cmd.ProcessState == nil {
		fatalf("%v", err)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

// TestWhoMayNotLock: a user who may look at the lock directory, but not take locks in it,
// keeps off the cores that are held, and says that others do not see his own. If he may not
// even look he says that.
func TestWhoMayNotLock(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be another user")
	}
	m, err := topology.Read()
	if err != nil {
		t.Skip(err)
	}
	if m.Allowed().Len() != m.CPUs().Len() || len(m.Cores()) < 2 {
		t.Skip("needs two cores")
	}
	program, err := exec.LookPath("sdrbench")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(program) // it lies where only root may go
	if err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(sharedDir(t), "sdrbench")
	if err := os.WriteFile(program, data, 0o755); err != nil {
		t.Fatal(err)
	}
	held, next := m.Cores()[0].CPUs[0], m.Cores()[1].CPUs[0]
	for mode, wants := range map[string][]string{
		"755": {fmt.Sprintf("cores are not reserved, so other jobs do not see that this one takes %d: ", next), "as root, 'install -d -m 1777 /run/sdrbench'"},
		"700": {"those that other jobs hold cannot be seen: ", "as root, 'install -d -m 1777 /run/sdrbench'"},
	} {
		dir := sharedDir(t)
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "sdrbench-beside", mode, program, "sdr", "--proof", "StackedDrg2KiBV1_1",
			"--cache-dir", dir, "--replica-id", benchTicket.String(), "--hashers", "1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		cmd.Env = append(os.Environ(), fmt.Sprintf("SDRBENCH_TEST_CORE=%d", held), "HOME="+dir, "SDR_LOCK_DIR=") // where it is by default
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == exitNoMount {
			t.Skipf("%s", out)
		}
		for _, want := range wants {
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("directory of mode %s: %v, output %q, want %q", mode, err, out, want)
			}
		}
	}
}
