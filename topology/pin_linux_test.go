package topology

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/sdr-engine/sdr/internal/linux"
)

// mask is the calling thread's, as /proc shows it: not by the call that Pin uses.
func mask(t *testing.T) string {
	t.Helper()
	status, err := os.ReadFile("/proc/thread-self/status")
	for name, value := range fields(string(status)) {
		if name == "Cpus_allowed_list" {
			return value
		}
	}
	t.Errorf("no Cpus_allowed_list (%v)", err)
	return ""
}

func live(t *testing.T) *Machine {
	t.Helper()
	m, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestPin(t *testing.T) {
	m := live(t)
	for cpu := range m.Allowed().All() {
		done := make(chan struct{})
		go func() {
			defer close(done)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			before := mask(t)
			p, err := Pin(m, cpu)
			if err != nil {
				t.Error(err)
				return
			}
			if got := mask(t); got != fmt.Sprint(int(cpu)) || p.CPU() != cpu {
				t.Errorf("pinned to %d, the thread's mask is %s", cpu, got)
			}
			// Another goroutine's thread is another one.
			other := make(chan string)
			go func() { other <- mask(t) }()
			if got := <-other; got != before {
				t.Errorf("the mask of another thread is %s, was %s", got, before)
			}
			// A Machine read meanwhile does not take this thread for the process.
			if again, err := Read(); err != nil || !again.Allowed().Equal(m.Allowed()) {
				t.Errorf("read on a pinned thread: allowed are %s, want %s (%v)", again.Allowed(), m.Allowed(), err)
			}
			if err := p.Release(); err != nil {
				t.Error(err)
			}
			if got := mask(t); got != before {
				t.Errorf("released, the mask is %s, was %s", got, before)
			}
			if err := p.Release(); err != nil {
				t.Errorf("a second Release: %v", err)
			}
		}()
		<-done
	}
}

func TestPinsNest(t *testing.T) {
	m := live(t)
	cpus := m.Allowed().Slice()
	outer, err := Pin(m, cpus[0])
	if err != nil {
		t.Fatal(err)
	}
	inner, err := Pin(m, cpus[len(cpus)-1])
	if err != nil {
		t.Fatal(err)
	}
	if err := inner.Release(); err != nil {
		t.Error(err)
	}
	if got := mask(t); got != fmt.Sprint(int(cpus[0])) {
		t.Errorf("the mask is %s, want the outer pin's, %d", got, cpus[0])
	}
	if err := outer.Release(); err != nil {
		t.Error(err)
	}
}

// KeepOff leaves the CPUs of other cores, where there are any.
func TestKeepOff(t *testing.T) {
	m := live(t)
	all := m.Allowed()
	for _, core := range m.Cores() {
		before := mask(t)
		p, err := KeepOff(m, core.CPUs[0])
		want := all.Minus(NewCPUSet(core.CPUs...))
		if want.Len() == 0 {
			wantReason(t, err, PinAffinity)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := mask(t); got != want.String() {
			t.Errorf("off CPU %d's core, the thread's mask is %s, want %s", core.CPUs[0], got, want)
		}
		if err := p.Release(); err != nil {
			t.Error(err)
		}
		if got := mask(t); got != before {
			t.Errorf("released, the mask is %s, was %s", got, before)
		}
	}
	_, err := KeepOff(m, all.Slice()...)
	wantReason(t, err, PinAffinity, "no other core is allowed")
}

func wantReason(t *testing.T, err error, reason PinReason, words ...string) {
	t.Helper()
	var pin *PinError
	if !errors.As(err, &pin) || pin.Reason != reason {
		t.Errorf("%v, want reason %d", err, reason)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}

func TestPinRefused(t *testing.T) {
	before := mask(t)
	m := live(t)
	dump, err := ReadDump(filepath.Join("testdata", "uneven-l3.txt"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Pin(dump, 0)
	wantReason(t, err, PinDump, "CPU 0", "dump", dump.Root())
	_, err = Pin(m, MaxCPUs-1)
	wantReason(t, err, PinOffline, "CPU 8191", "not online", m.CPUs().String())
	_, err = Pin(m, -1)
	wantReason(t, err, PinOffline, "CPU -1")

	// A machine as it was before it lost a CPU: the kernel's answer is explained.
	lost := *m
	lost.online = m.online.union(NewCPUSet(MaxCPUs - 1))
	lost.cgroup, lost.affinity = lost.online, lost.online
	_, err = Pin(&lost, MaxCPUs-1)
	wantReason(t, err, PinOffline, "CPU 8191", "not online", "invalid argument")
	if !errors.Is(err, syscall.EINVAL) {
		t.Errorf("%v hides the system's error", err)
	}
	wantReason(t, m.explain(0, syscall.EPERM), PinPermission, "not permitted")
	wantReason(t, m.explain(0, syscall.ENOMEM), PinOther, "cannot allocate memory")
	if got := mask(t); got != before {
		t.Errorf("after refusals, the mask is %s, was %s", got, before)
	}
}

func TestReleaseElsewhere(t *testing.T) {
	m := live(t)
	p, err := Pin(m, m.Allowed().first())
	if err != nil {
		t.Fatal(err)
	}
	errs := make(chan error)
	go func() { errs <- p.Release() }()
	wantReason(t, <-errs, PinThread, "another thread")
	if err := p.Release(); err != nil {
		t.Errorf("released where it was pinned: %v", err)
	}
}

// Where the mask cannot be restored, no other goroutine gets the thread.
func TestThreadEnds(t *testing.T) {
	m := live(t)
	thread := os.Getpid()
	for thread == os.Getpid() { // the main thread cannot end: the runtime parks it
		thread = <-pinForEver(t, m)
	}
	for { // until it has ended; go test's time limit is the limit
		_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", thread))
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		runtime.Gosched()
	}
}

// pinForEver pins a goroutine that cannot restore its mask, and tells its thread.
func pinForEver(t *testing.T, m *Machine) <-chan int {
	thread := make(chan int, 1)
	go func() {
		defer func() { thread <- linux.ThreadID() }()
		p, err := Pin(m, m.Allowed().first())
		if err != nil {
			t.Error(err)
			return
		}
		p.before = []int{MaxCPUs - 1}
		wantReason(t, p.Release(), PinOther, "restoring")
	}()
	return thread
}

// Under SDR_TOPOLOGY_HELPER, this test binary is a process for the tests below to run:
// in a cgroup or with a mask that leaves it only one of several CPUs.
func TestMain(m *testing.M) {
	switch os.Getenv("SDR_TOPOLOGY_HELPER") {
	case "affinity":
		tellMachine()
	case "cgroup":
		before, err := Read()
		if err == nil {
			err = os.WriteFile(os.Getenv("SDR_TOPOLOGY_CGROUP")+"/cgroup.procs", []byte(strconv.Itoa(os.Getpid())), 0)
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		// The cpuset shrank after the machine was read: the kernel refuses.
		_, err = Pin(before, before.Allowed().first())
		fmt.Printf("late=%v\n", err)
		tellMachine()
	default:
		os.Exit(m.Run())
	}
}

func tellMachine() {
	m, err := Read()
	if err != nil {
		fmt.Println("error", err)
		return
	}
	_, err = Pin(m, m.CPUs().first())
	fmt.Printf("allowed=%s mems=%v first=%v degraded=%q\n", m.Allowed(), m.AllowedMems(), err, m.Degraded())
	p, err := Pin(m, m.Allowed().first())
	fmt.Printf("pinned=%v\n", err)
	if err == nil {
		fmt.Printf("released=%v\n", p.Release())
	}
}

func helper(t *testing.T, what string, env ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, "SDR_TOPOLOGY_HELPER="+what)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return string(out)
}

func wantOutput(t *testing.T, out string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(out, word) {
			t.Errorf("no %q in\n%s", word, out)
		}
	}
}

// lastOfSeveral is the highest CPU that this process may use, if it may use others, and
// the lowest of the machine is another.
func lastOfSeveral(t *testing.T) CPU {
	m := live(t)
	cpus := m.Allowed().Slice()
	if len(cpus) < 2 {
		t.Skip("this process may use one CPU only")
	}
	return cpus[len(cpus)-1]
}

// A mask that the process was started with limits it.
func TestAffinityOfTheProcess(t *testing.T) {
	last := lastOfSeveral(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := linux.Affinity(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := linux.SetAffinity(0, []int{int(last)}); err != nil {
		t.Fatal(err)
	}
	out := helper(t, "affinity") // a child has its parent's mask
	if err := linux.SetAffinity(0, before); err != nil {
		t.Fatal(err)
	}
	wantOutput(t, out, fmt.Sprintf("allowed=%d ", last), fmt.Sprintf("the affinity mask of this process does not have it (it has %d)", last), "pinned=<nil>", "released=<nil>")
}

// A cgroup's cpuset limits it, too. This needs root and a hierarchy with the cpuset controller.
func TestCgroup(t *testing.T) {
	last := lastOfSeveral(t)
	if os.Getuid() != 0 {
		t.Skip("making a cgroup needs root")
	}
	dir, err := makeCgroup(t, last)
	if err != nil {
		t.Skipf("no cgroup with a cpuset can be made here: %v", err)
	}
	out := helper(t, "cgroup", "SDR_TOPOLOGY_CGROUP="+dir)
	wantOutput(t, out, "late=topology: pinning to CPU 0: the cgroup's cpuset does not have it: invalid argument", fmt.Sprintf("allowed=%d mems=[0]", last), fmt.Sprintf("the cgroup's cpuset does not have it (it has %d)", last), "pinned=<nil>", "released=<nil>", `degraded=[]`)
}

func makeCgroup(t *testing.T, cpu CPU) (dir string, err error) {
	r := &reader{src: liveSource{}, m: &Machine{live: true}}
	m, _, ok := r.findCgroup()
	if !ok {
		return "", errors.New("none is mounted")
	}
	// At the top: below it, version 2 has no controllers where there are processes.
	top := "/" + m.point
	dir = filepath.Join(top, fmt.Sprintf("sdr-topology-test-%d", os.Getpid()))
	if m.fstype == version2.fstype {
		if err := os.WriteFile(filepath.Join(top, "cgroup.subtree_control"), []byte("+cpuset"), 0); err != nil {
			return "", err
		}
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		return "", err
	}
	t.Cleanup(func() {
		for { // a process that ended may still be in it
			err := os.Remove(dir)
			if err == nil || errors.Is(err, fs.ErrNotExist) {
				return
			}
			if !errors.Is(err, syscall.EBUSY) {
				t.Error(err)
				return
			}
			runtime.Gosched()
		}
	})
	for name, text := range map[string]string{"cpuset.cpus": fmt.Sprint(int(cpu)), "cpuset.mems": "0"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0); err != nil {
			return "", err
		}
	}
	return dir, nil
}
