//go:build linux

package hugepages_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/sdr-engine/sdr/hugepages"
)

// Tests that need a process of their own start the test binary again, with the
// name of what it is to do.

const childVariable = "SDR_HUGEPAGES_CHILD"

var children = map[string]func() error{
	"address space": func() error { return limited(syscall.RLIMIT_AS, 1<<30, hugepages.LimitAddressSpace) },
	"data":          func() error { return limited(syscall.RLIMIT_DATA, 1<<30, hugepages.LimitData) },
	"cgroup":        inCgroup,
	"huge cgroup":   inHugeCgroup,
	"cpuset":        inCpuset,
	"before guard":  func() error { return touch(-1) },
	"after guard":   func() error { return touch(checkedSize) },
	"after free":    afterFree,
	"killed":        killed,
	"race":          race,
	"switched off":  switchedOff,
	"denied":        denied,
}

func TestMain(m *testing.M) {
	if name := os.Getenv(childVariable); name != "" {
		runChild(name)
	}
	os.Exit(m.Run())
}

func runChild(name string) {
	if err := children[name](); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child(t *testing.T, name string, environment ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self)
	c.Env = slices.Concat(os.Environ(), []string{childVariable + "=" + name, "GOTRACEBACK=single"}, environment)
	return c
}

// wantLimit says what is wrong with an error that should be of one limit, for
// want bytes at least.
func wantLimit(err error, limit hugepages.Limit, want uint64) error {
	var e *hugepages.LimitError
	if !errors.As(err, &e) || e.Limit != limit || e.Want < want || e.Max-min(e.Max, e.Used) >= e.Want {
		return fmt.Errorf("%d bytes: got error %v, want one of %s", want, err, limit)
	}
	return nil
}

func limited(resource int, room uint64, limit hugepages.Limit) error {
	now := map[int]string{syscall.RLIMIT_AS: "VmSize:", syscall.RLIMIT_DATA: "VmData:"}[resource]
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	_, text, _ := strings.Cut(string(status), now)
	used, err := strconv.ParseUint(strings.Fields(text)[0], 10, 64)
	if err != nil {
		return err
	}
	bound := used<<10 + room
	if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: bound, Max: bound}); err != nil {
		return err
	}
	for _, p := range []hugepages.Pages{hugepages.Transparent, hugepages.Small} {
		_, err := hugepages.Alloc(context.Background(), hugepages.Options{Size: 2 * room, Pages: []hugepages.Pages{p}})
		if err := wantLimit(err, limit, 2*room); err != nil {
			return err
		}
	}
	r, err := hugepages.Alloc(context.Background(), hugepages.Options{Size: room / 16})
	if err != nil {
		return fmt.Errorf("below the limit: %w", err)
	}
	return errors.Join(r.Populate(context.Background()), r.Free())
}

func TestResourceLimits(t *testing.T) {
	if hugepages.RaceEnabled {
		t.Skip("the race detector's own memory is beyond any limit")
	}
	for _, name := range []string{"address space", "data"} {
		if out, err := child(t, name).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

const (
	cgroupVariable = "SDR_HUGEPAGES_CGROUP"
	cgroupLimit    = 192 << 20
)

// inCgroup joins a cgroup that allows cgroupLimit bytes. Alloc refuses more than
// that; what others of the group take after Alloc is found by Populate. The test is
// that nobody is killed.
func inCgroup() error {
	if err := joinCgroup(); err != nil {
		return err
	}
	ctx := context.Background()
	pages := []hugepages.Pages{hugepages.Transparent, hugepages.Small}
	_, err := hugepages.Alloc(ctx, hugepages.Options{Size: cgroupLimit, Pages: pages})
	if err := wantLimit(err, hugepages.LimitMemoryCgroup, cgroupLimit); err != nil {
		return err
	}
	var regions [2]*hugepages.Region
	for i := range regions {
		if regions[i], err = hugepages.Alloc(ctx, hugepages.Options{Size: cgroupLimit / 2, Pages: pages}); err != nil {
			return err
		}
		defer regions[i].Free()
	}
	if err := regions[0].Populate(ctx); err != nil {
		return err
	}
	err = regions[1].Populate(ctx)
	var e *hugepages.PopulateError
	if !errors.As(err, &e) || e.Size != cgroupLimit/2 {
		return fmt.Errorf("populating what is not there any more: %v", err)
	}
	if err := wantLimit(err, hugepages.LimitMemoryCgroup, 1); err != nil {
		return err
	}
	if err := regions[0].Free(); err != nil {
		return err
	}
	return regions[1].Populate(ctx)
}

func joinCgroup() error {
	return os.WriteFile(filepath.Join(os.Getenv(cgroupVariable), "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0)
}

// inHugeCgroup joins a cgroup that allows four huge pages.
func inHugeCgroup() error {
	if err := joinCgroup(); err != nil {
		return err
	}
	o := hugepages.Options{Size: 3 << 21, Pages: []hugepages.Pages{hugepages.Huge2M}, Raise: true}
	r, err := hugepages.Alloc(context.Background(), o)
	if err != nil {
		return err
	}
	o.Size = 2 << 21
	_, err = hugepages.Alloc(context.Background(), o)
	return errors.Join(wantLimit(err, hugepages.LimitHugeCgroup, o.Size), r.Free())
}

// memoryCgroup makes a memory cgroup, version 1 or 2, that allows cgroupLimit bytes.
func memoryCgroup(t *testing.T) string {
	t.Helper()
	for root, file := range map[string]string{"/sys/fs/cgroup/memory": "memory.limit_in_bytes", "/sys/fs/cgroup": "memory.max"} {
		directory := filepath.Join(root, fmt.Sprintf("sdr-hugepages-%d", os.Getpid()))
		if os.Mkdir(directory, 0o755) != nil {
			continue
		}
		t.Cleanup(func() {
			if err := os.Remove(directory); err != nil {
				t.Error(err)
			}
		})
		f, err := os.OpenFile(filepath.Join(directory, file), os.O_WRONLY, 0)
		if err != nil {
			continue
		}
		_, err = f.WriteString(strconv.Itoa(cgroupLimit))
		if err := errors.Join(err, f.Close()); err != nil {
			continue
		}
		return directory
	}
	t.Skip("no memory cgroup can be made here: not permitted, or no such controller")
	return ""
}

func TestMemoryCgroup(t *testing.T) {
	if hugepages.RaceEnabled {
		t.Skip("the race detector takes memory of its own")
	}
	c := child(t, "cgroup", cgroupVariable+"="+memoryCgroup(t))
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// switchedOff is a process that has transparent huge pages switched off: none is said to be
// there, neither where they may be nor where nothing else will do.
func switchedOff() error {
	const setTHPDisable = 41 // PR_SET_THP_DISABLE
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, setTHPDisable, 1, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	ctx := context.Background()
	o := hugepages.Options{Size: 16 << 20, Pages: []hugepages.Pages{hugepages.Transparent, hugepages.Small}}
	r, err := hugepages.Alloc(ctx, o)
	if err != nil {
		return err
	}
	defer r.Free()
	if err := r.Populate(ctx); err != nil {
		return err
	}
	const want = "small pages: no transparent huge pages: the process has them switched off (PR_SET_THP_DISABLE)"
	if b := r.Backing(); r.Pages() != hugepages.Small || b.Huge != 0 || b.Bytes != o.Size || b.String() != want {
		return fmt.Errorf("%v, %+v: %q, want %q", r.Pages(), b, b.String(), want)
	}
	o.Pages = o.Pages[:1]
	if _, err := hugepages.Alloc(ctx, o); err == nil || !strings.Contains(err.Error(), "PR_SET_THP_DISABLE") {
		return fmt.Errorf("nothing but transparent huge pages: error %v", err)
	}
	return nil
}

func TestSwitchedOff(t *testing.T) {
	if out, err := child(t, "switched off").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

const checkedSize = 2 * 4096

// touch writes to a byte that is not of the region, or not any more.
func touch(at int) error {
	r, err := hugepages.Alloc(context.Background(), hugepages.Options{Size: checkedSize}.WithChecks(true))
	if err != nil {
		return err
	}
	r.Bytes()[0], r.Bytes()[checkedSize-1] = 1, 1
	*(*byte)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(r.Bytes())), at)) = 1
	return fmt.Errorf("byte %d of %d could be written", at, checkedSize)
}

func afterFree() error {
	r, err := hugepages.Alloc(context.Background(), hugepages.Options{Size: checkedSize}.WithChecks(true))
	if err != nil {
		return err
	}
	b := r.Bytes()
	if err := r.Free(); err != nil {
		return err
	}
	b[1] = 1
	return errors.New("a freed byte could be written")
}

func TestChecked(t *testing.T) {
	if page := os.Getpagesize(); checkedSize%page != 0 {
		t.Skipf("pages of %d bytes: the guard does not follow at once", page)
	}
	for _, name := range []string{"before guard", "after guard", "after free"} {
		out, err := child(t, name).CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("SIGSEGV")) {
			t.Errorf("%s: %v, want SIGSEGV\n%s", name, err, out)
		}
	}
}

// race writes to a region from two goroutines, which only checked mode shows to
// the race detector.
func race() error {
	r, err := hugepages.Alloc(context.Background(), hugepages.Options{Size: checkedSize}.WithChecks(true))
	if err != nil {
		return err
	}
	done := make(chan bool)
	go func() {
		r.Bytes()[100] = 1
		close(done)
	}()
	r.Bytes()[100] = 2
	<-done
	return nil
}

func TestRaceDetector(t *testing.T) {
	if !hugepages.RaceEnabled {
		t.Skip("only in a test binary that was built with -race")
	}
	out, err := child(t, "race", "GORACE=exitcode=66").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 66 || !bytes.Contains(out, []byte("DATA RACE")) {
		t.Errorf("%v, want a data race\n%s", err, out)
	}
}

// killed takes pages that the pool has to be enlarged for, half of them touched, and waits.
func killed() error {
	r, err := hugepages.Alloc(context.Background(), hugepages.Options{Size: 8 << 20, Pages: []hugepages.Pages{hugepages.Huge2M}, Raise: true})
	if err != nil {
		return err
	}
	r.Bytes()[0], r.Bytes()[2<<20] = 1, 1
	fmt.Println("ready")
	_, err = os.Stdin.Read(make([]byte, 1))
	return err
}
