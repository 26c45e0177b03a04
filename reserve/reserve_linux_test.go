package reserve_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/topology"
)

// TestMain makes this test binary other processes, too.
func TestMain(m *testing.M) {
	switch arg := os.Getenv("SDR_RESERVE_TEST"); os.Getenv("SDR_RESERVE_TEST_DO") {
	case "hold":
		os.Exit(exitCode(hold(arg)))
	case "compete":
		os.Exit(exitCode(compete(arg)))
	}
	syscall.Umask(0o022) // a directory that anybody may write to is refused
	os.Exit(m.Run())
}

func exitCode(err error) int {
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// An order is what a process is told to do.
type order struct {
	Dir, Root string
	Cores     []topology.CPU
	Memory    []reserve.Memory
	Job       string

	// To compete:
	Seed    uint64
	Rounds  int
	Witness string // directory
	Free    uint64 // bytes on NUMA node 0
}

func pools(memory []reserve.Memory) map[topology.MemoryPool]uint64 {
	m := map[topology.MemoryPool]uint64{}
	for _, e := range memory {
		m[topology.MemoryPool{NUMANode: e.Node, PageSize: e.PageSize}] = e.Planned
	}
	return m
}

// hold takes cores, says so, and holds them until standard input ends.
func hold(arg string) error {
	var o order
	if err := json.Unmarshal([]byte(arg), &o); err != nil {
		return err
	}
	d, err := reserve.Open(o.Dir, o.Root)
	if err != nil {
		return err
	}
	r, err := d.Acquire(context.Background(), reserve.Request{Cores: o.Cores, Memory: pools(o.Memory), Job: o.Job})
	if err != nil {
		return err
	}
	fmt.Println("holding")
	_, err = io.Copy(io.Discard, os.Stdin)
	r.Release()
	return err
}

func process(t *testing.T, do string, o order) *exec.Cmd {
	t.Helper()
	arg, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), "SDR_RESERVE_TEST_DO="+do, "SDR_RESERVE_TEST="+string(arg), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// A holder is another process that holds cores.
type holder struct {
	cmd  *exec.Cmd
	in   io.Closer
	pid  int
	gone bool
}

func startHolder(t *testing.T, o order) *holder {
	t.Helper()
	return startProcess(t, process(t, "hold", o))
}

func startProcess(t *testing.T, cmd *exec.Cmd) *holder {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h := &holder{cmd: cmd, in: in, pid: cmd.Process.Pid}
	t.Cleanup(h.kill)
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "holding\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	return h
}

// end lets the process release and end by itself.
func (h *holder) end(t *testing.T) {
	t.Helper()
	h.in.Close()
	h.gone = true
	if err := h.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

// kill ends the process with SIGKILL.
func (h *holder) kill() {
	if !h.gone {
		h.gone = true
		_ = h.cmd.Process.Kill()
		_ = h.cmd.Wait()
	}
}

func open(t *testing.T, dir, root string) *reserve.Dir {
	t.Helper()
	d, err := reserve.Open(dir, root)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func acquire(t *testing.T, d *reserve.Dir, q reserve.Request) *reserve.Reservation {
	t.Helper()
	r, err := d.Acquire(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Release)
	return r
}

func held(t *testing.T, dir string) []reserve.Holder {
	t.Helper()
	holders, err := reserve.Held(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return holders
}

func cores(c ...topology.CPU) []topology.CPU { return c }

// TestTwoProcesses: what another process holds cannot be had, the error says who
// it is, and nothing else is kept; when it has ended it can.
func TestTwoProcesses(t *testing.T) {
	for _, end := range []string{"release", "SIGKILL"} {
		t.Run(end, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "locks")
			d := open(t, dir, "/")
			other := startHolder(t, order{Dir: dir, Root: "/", Cores: cores(12, 2, 7), Job: "the other's"})

			_, err := d.Acquire(t.Context(), reserve.Request{Cores: cores(1, 2, 3, 12), Job: "ours"})
			var e *reserve.HeldError
			if !errors.As(err, &e) || len(e.Holders) != 1 {
				t.Fatalf("cores that another process holds: %v", err)
			}
			if h := e.Holders[0]; h.PID != other.pid || h.Job != "the other's" || h.Start == 0 || !slices.Equal(h.Cores, cores(2, 12)) {
				t.Errorf("the error names %+v", h)
			}
			want := fmt.Sprintf("reserve: taking cores: held already: cores 2,12 by process %d, \"the other's\"", other.pid)
			if err.Error() != want {
				t.Errorf("the error is %q, want %q", err, want)
			}
			holders := held(t, dir)
			if len(holders) != 1 || holders[0].PID != other.pid || !slices.Equal(holders[0].Cores, cores(2, 7, 12)) {
				t.Errorf("held: %+v", holders)
			}
			acquire(t, d, reserve.Request{Cores: cores(1, 3)})

			if end == "SIGKILL" {
				other.kill()
			} else {
				other.end(t)
			}
			if text, err := os.ReadFile(filepath.Join(dir, "core-2.lock")); err != nil || !strings.Contains(string(text), strconv.Itoa(other.pid)) {
				t.Fatalf("the stale file is %q, %v: this test shows nothing", text, err)
			}
			for _, h := range held(t, dir) {
				if h.PID == other.pid {
					t.Errorf("an ended process holds cores: %+v", h)
				}
			}
			acquire(t, d, reserve.Request{Cores: cores(2, 7, 12)})
		})
	}
}

// TestFile: a held core's file tells people who holds it.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	root := machine(t, map[int]uint64{0: 100, 3: 100})
	memory := map[topology.MemoryPool]uint64{{NUMANode: 3}: 40 << 10, {NUMANode: 0}: 50 << 10}
	acquire(t, open(t, dir, root), reserve.Request{Cores: cores(5, 4), Memory: memory, Job: "sector\n17"})
	for _, name := range []string{"core-4.lock", "core-5.lock"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%s: %v in %q", name, err, text)
		}
		if got["id"] == "" || got["since"] == "" || got["process_start"] == 0.0 {
			t.Errorf("%s: %s", name, text)
		}
		for _, key := range []string{"id", "since", "process_start"} {
			delete(got, key)
		}
		want := map[string]any{
			"job": "sector\n17", "pid": float64(os.Getpid()), "cores": []any{4.0, 5.0},
			"memory": []any{
				map[string]any{"numa_node": 0.0, "page_size": 0.0, "planned": 50.0 * 1024, "touched": 0.0},
				map[string]any{"numa_node": 3.0, "page_size": 0.0, "planned": 40.0 * 1024, "touched": 0.0},
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode() != 0o644 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

// TestStale: what a file says is believed only while its lock is held, and then
// only if it makes sense.
func TestStale(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, "/")
	r := acquire(t, d, reserve.Request{Cores: cores(3), Job: "real"})
	real, err := os.ReadFile(filepath.Join(dir, "core-3.lock"))
	if err != nil {
		t.Fatal(err)
	}
	r.Release()
	r.Release()
	contents := map[string]string{
		"nothing":       "",
		"rubbish":       "\x00\xff{",
		"another core":  strings.Replace(string(real), "[3]", "[4]", 1),
		"no process":    `{"pid":-1,"cores":[3]}`,
		"a torn record": string(real[:len(strings.TrimSpace(string(real)))/2]),
		"real":          string(real),
	}
	for name, content := range contents {
		path := filepath.Join(dir, "core-3.lock")
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		if got := held(t, dir); len(got) != 0 {
			t.Errorf("%s, not locked: %+v", name, got)
		}
		// As flock(1) would hold it.
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := linux.TryLock(f); err != nil {
			t.Fatal(err)
		}
		got := held(t, dir)
		if len(got) != 1 || !slices.Equal(got[0].Cores, cores(3)) || (got[0].PID != 0) != (name == "real") {
			t.Errorf("%s, locked: %+v", name, got)
		}
		var e *reserve.HeldError
		if _, err := d.Acquire(t.Context(), reserve.Request{Cores: cores(3)}); !errors.As(err, &e) {
			t.Errorf("%s, locked: %v", name, err)
		} else if name != "real" && !strings.HasSuffix(err.Error(), fmt.Sprintf("core 3 by a process that does not say who it is (process %d, %q)", os.Getpid(), command(t))) {
			t.Errorf("%s, locked: %v", name, err)
		}
		f.Close()
		acquire(t, d, reserve.Request{Cores: cores(3)}).Release()
	}
	// Other files are nobody's business.
	for _, name := range []string{"core-03.lock", "core-.lock", "core-9999999.lock", "core--1.lock", "notes"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if got := held(t, dir); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// command is this process's name in the process list.
func command(t *testing.T) string {
	t.Helper()
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(name))
}

// TestStranger: the record of a job that is gone is not believed of a process that has
// locked its file since, even if that has its number.
func TestStranger(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, "/")
	h := startHolder(t, order{Dir: dir, Root: "/", Cores: cores(2, 3), Job: "gone"})
	if got := held(t, dir); len(got) != 1 || got[0].PID != h.pid || got[0].Locker.PID != 0 {
		t.Fatalf("%+v", got)
	}
	h.kill()
	var record reserve.Holder
	text, err := os.ReadFile(filepath.Join(dir, "core-3.lock"))
	if err == nil {
		err = json.Unmarshal(text, &record)
	}
	if err != nil || record.PID != h.pid {
		t.Fatalf("left behind: %s (%v)", text, err)
	}
	record.PID = os.Getpid() // the same number, of another process
	reused, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	for _, content := range [][]byte{text, reused} {
		var files []*os.File
		for _, name := range []string{"core-2.lock", "core-3.lock"} {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, content, 0o666); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := linux.TryLock(f); err != nil { // as flock(1) would
				t.Fatal(err)
			}
			files = append(files, f)
		}
		want := fmt.Sprintf("cores 2-3 by a process that does not say who it is (process %d, %q)", os.Getpid(), command(t))
		if got := held(t, dir); len(got) != 1 || got[0].PID != 0 || got[0].Job != "" || got[0].Locker.PID != os.Getpid() {
			t.Errorf("%s: %+v", content, got)
		}
		if _, err := d.Acquire(t.Context(), reserve.Request{Cores: cores(2, 3)}); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", content, err, want)
		}
		for _, f := range files {
			f.Close()
		}
	}
}

// TestProcessNamespace: the record of a job in a container has another number than the
// kernel gives it here, and is believed all the same.
func TestProcessNamespace(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("making a process namespace needs root")
	}
	dir := t.TempDir()
	open(t, dir, "/")
	cmd := process(t, "hold", order{Dir: dir, Root: "/", Cores: cores(1), Job: "in a container"})
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	h := startProcess(t, cmd)
	if got := held(t, dir); len(got) != 1 || got[0].PID != 1 || got[0].Job != "in a container" || got[0].Locker.PID != 0 {
		t.Errorf("held by %+v", got)
	}
	h.kill()
	if got := held(t, dir); len(got) != 0 {
		t.Errorf("held by %+v", got)
	}
}

// TestDirectories: a directory in which a lock would prove nothing is refused, by name.
func TestDirectories(t *testing.T) {
	other := 12345
	if os.Geteuid() != 0 {
		other = -1 // cannot make a file somebody else's
	}
	base := t.TempDir()
	made := func(name string, mode fs.FileMode) string {
		path := filepath.Join(base, name)
		if err := errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := filepath.Join(base, "link")
	file := filepath.Join(base, "file")
	foreign := made("foreign", 0o755)
	if err := errors.Join(os.Symlink(made("target", 0o755), link), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if other > 0 {
		if err := os.Chown(foreign, other, -1); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name, path string
		says       string // "" if it can be used
		looksFine  bool   // to those who only look
	}{
		{"new", filepath.Join(base, "new"), "", true},
		{"private", made("private", 0o700), "", true},
		{"sticky", made("sticky", 0o777|fs.ModeSticky), "", true},
		{"of a group", made("group", 0o775), "", true},
		{"world-writable", made("world", 0o777), "world-writable without the sticky bit", false},
		{"read-only", made("readonly", 0o555), "is read-only (mode dr-xr-xr-x)", true},
		{"link", link, "is a symbolic link", false},
		{"link with a slash", link + "/", "is a symbolic link", false},
		{"file", file, "is not a directory", false},
		{"no path", "", "no path given", false},
		{"no parent", filepath.Join(base, "missing", "locks"), "no such file or directory", true},
		{"somebody else's", foreign, "belongs to user 12345", true},
	}
	for _, test := range tests {
		if test.name == "somebody else's" && other < 0 {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			d, err := reserve.Open(test.path, "/")
			var e *reserve.DirError
			switch {
			case test.says == "" && err != nil:
				t.Fatal(err)
			case test.says != "" && (!errors.As(err, &e) || !strings.Contains(err.Error(), test.says)):
				t.Errorf("got %v, want %q", err, test.says)
			case test.says != "" && test.path != "" && !strings.Contains(err.Error(), filepath.Clean(test.path)):
				t.Errorf("%v does not name %s", err, test.path)
			}
			if _, err := reserve.Held(t.Context(), test.path); (err == nil) != test.looksFine {
				t.Errorf("looking: %v", err)
			}
			if test.says == "" {
				acquire(t, d, reserve.Request{Cores: cores(0)}).Release()
				if _, err := reserve.Held(t.Context(), test.path); err != nil {
					t.Error(err)
				}
			}
		})
	}
	if info, err := os.Stat(filepath.Join(base, "new")); err != nil || info.Mode() != 0o755|fs.ModeDir {
		t.Errorf("the directory made: %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(filepath.Join(base, "sticky", "core-0.lock")); err != nil || info.Mode() != 0o666 {
		t.Errorf("a lock in a directory for all: %v, %v", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(filepath.Join(base, "target")); len(entries) != 0 {
		t.Errorf("something was made behind the link: %v", entries)
	}
}

// TestReadOnlyMount: the file system says that it is read-only.
func TestReadOnlyMount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount")
	}
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "mode=755,size=1m"); err != nil {
		t.Skip("cannot mount here:", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	acquire(t, open(t, dir, "/"), reserve.Request{Cores: cores(1)}).Release()
	if err := syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skip("cannot mount here:", err)
	}
	var e *reserve.DirError
	if _, err := reserve.Open(dir, "/"); !errors.As(err, &e) || !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a read-only file system: %v", err)
	}
	if got := held(t, dir); len(got) != 0 {
		t.Errorf("looking: %+v", got)
	}
}

// TestFullFileSystem: a job that cannot be written down holds nothing; one that is
// stays so.
func TestFullFileSystem(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount")
	}
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "mode=755,size=64k"); err != nil {
		t.Skip("cannot mount here:", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	root := machine(t, map[int]uint64{0: 100})
	d := open(t, dir, root)
	pool := topology.MemoryPool{}
	r := acquire(t, d, reserve.Request{Cores: cores(1), Memory: map[topology.MemoryPool]uint64{pool: 50 << 10}})
	if err := os.WriteFile(filepath.Join(dir, "full"), make([]byte, 1<<20), 0o666); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("a MiB on 64 KiB: %v", err)
	}
	var e *reserve.DirError
	if _, err := d.Acquire(t.Context(), reserve.Request{Cores: cores(2)}); !errors.As(err, &e) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("on a full file system: %v", err)
	}
	if err := r.Touched(t.Context(), pool, 20<<10); err != nil {
		t.Error(err)
	}
	if err := r.Tell(reserve.Progress{At: time.Now(), Stage: strings.Repeat("s", 1000), Proof: strings.Repeat("p", 1000)}); err != nil {
		t.Error(err)
	}
	if got := held(t, dir); len(got) != 1 || reserve.Untouched(got)[pool] != 30<<10 || got[0].Progress == nil {
		t.Errorf("%+v", got)
	}
}

// TestDirectoryReplaced: locks in a directory that others do not find are none.
func TestDirectoryReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "locks")
	d := open(t, dir, "/")
	acquire(t, d, reserve.Request{Cores: cores(0)})
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	if got := held(t, dir); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	acquire(t, d, reserve.Request{Cores: cores(1)})
	if got := held(t, dir); len(got) != 1 || !slices.Equal(got[0].Cores, cores(1)) {
		t.Errorf("%+v", got)
	}
}

// TestBadFiles: what stands in a lock file's place is not written into.
func TestBadFiles(t *testing.T) {
	for name, make := range map[string]func(precious, path string) error{
		"symbolic link": os.Symlink,
		"hard link":     os.Link,
		"pipe":          func(_, path string) error { return syscall.Mkfifo(path, 0o600) },
		"directory":     func(_, path string) error { return os.Mkdir(path, 0o700) },
	} {
		for _, file := range []string{"core-1.lock", "guard.lock"} {
			base := t.TempDir()
			dir, precious := filepath.Join(base, "locks"), filepath.Join(base, "precious")
			d := open(t, dir, "/")
			acquire(t, d, reserve.Request{Cores: cores(0, 1, 2)}).Release()
			path := filepath.Join(dir, file)
			if err := errors.Join(os.WriteFile(precious, []byte("precious"), 0o600), os.Remove(path), make(precious, path)); err != nil {
				t.Fatal(err)
			}
			_, err := d.Acquire(t.Context(), reserve.Request{Cores: cores(0, 1, 2)})
			var e *reserve.DirError
			if !errors.As(err, &e) || !strings.Contains(err.Error(), file) {
				t.Errorf("%s as %s: %v", name, file, err)
			}
			if _, err := reserve.Held(t.Context(), dir); !errors.As(err, &e) || !strings.Contains(err.Error(), file) {
				t.Errorf("%s as %s, looking: %v", name, file, err)
			}
			if text, err := os.ReadFile(precious); string(text) != "precious" {
				t.Errorf("%s as %s: what it leads to is %q, %v", name, file, text, err)
			}
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			acquire(t, d, reserve.Request{Cores: cores(0, 1, 2)}).Release()
		}
	}
}

func TestBadRequests(t *testing.T) {
	d := open(t, t.TempDir(), "/")
	for says, q := range map[string]reserve.Request{
		"no cores":                   {},
		"core -1 is not between 0":   {Cores: cores(0, -1)},
		"core 8192 is not between 0": {Cores: cores(8192)},
		"core 5 is there twice":      {Cores: cores(5, 6, 5)},
	} {
		_, err := d.Acquire(t.Context(), q)
		var e *reserve.RequestError
		if !errors.As(err, &e) || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
	r := acquire(t, d, reserve.Request{Cores: cores(0)})
	var e *reserve.RequestError
	if err := r.Touched(t.Context(), topology.MemoryPool{NUMANode: 7}, 1); !errors.As(err, &e) || !strings.Contains(err.Error(), "node 7") {
		t.Errorf("memory that was not planned: %v", err)
	}
	r.Release()
	if err := r.Touched(t.Context(), topology.MemoryPool{}, 1); !errors.As(err, &e) {
		t.Errorf("after the release: %v", err)
	}
}

// lockGuard holds the guard of a directory as another process would.
func lockGuard(t *testing.T, dir string, lock func(*os.File) error) *os.File {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "guard.lock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := lock(f); err != nil {
		t.Fatal(err)
	}
	return f
}

// awaitWaiter returns when somebody waits for the lock on f: the kernel lists who does.
func awaitWaiter(t *testing.T, f *os.File) {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	inode := fmt.Sprintf(":%d ", info.Sys().(*syscall.Stat_t).Ino)
	for t.Context().Err() == nil {
		locks, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Skip("the kernel does not list locks:", err)
		}
		for line := range strings.Lines(string(locks)) {
			if strings.Contains(line, "-> FLOCK") && strings.Contains(line, inode) {
				return
			}
		}
	}
}

// TestGuard: who waits for the guard stops waiting when told to, and the guard is
// free again afterwards.
func TestGuard(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, "/")
	f := lockGuard(t, dir, linux.TryLock)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if r, err := d.Acquire(ctx, reserve.Request{Cores: cores(0)}); !errors.Is(err, context.Canceled) || r != nil {
				t.Errorf("Acquire: %v", err)
			}
		})
		wg.Go(func() {
			if _, err := d.Held(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "guard.lock") {
				t.Errorf("Held: %v", err)
			}
		})
	}
	awaitWaiter(t, f)
	cancel()
	wg.Wait()
	f.Close()
	acquire(t, d, reserve.Request{Cores: cores(0)})
	if _, err := d.Acquire(ctx, reserve.Request{Cores: cores(1)}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

// TestGuardHeld: who does not get the guard is told who has it, and gives up in the end.
func TestGuardHeld(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, "/")
	f := lockGuard(t, dir, linux.TryLock) // as flock(1) would
	defer f.Close()
	var mu sync.Mutex
	told := map[string]int{}
	path := filepath.Join(dir, "guard.lock")
	want := reserve.Process{PID: os.Getpid(), Command: command(t)}
	check := func(e *reserve.GuardError, ended bool) {
		if e.Path != path || !slices.Equal(e.Holders, []reserve.Process{want}) || e.Ended != ended || e.Waited <= 0 {
			t.Errorf("%+v, want %s held by %v", e, path, want)
		}
	}
	patience := func(call string) reserve.Patience {
		return reserve.Patience{Most: 3 * time.Second, Tell: func(e *reserve.GuardError) {
			mu.Lock()
			defer mu.Unlock()
			told[call]++
			check(e, false)
		}}
	}
	d.Patience = patience("acquire")
	var wg sync.WaitGroup
	for range 3 {
		for _, call := range []func() error{
			func() error { _, err := d.Acquire(t.Context(), reserve.Request{Cores: cores(0)}); return err },
			func() error { _, err := patience("held").Held(t.Context(), dir); return err },
		} {
			wg.Go(func() {
				var e *reserve.GuardError
				if err := call(); !errors.As(err, &e) || !strings.Contains(err.Error(), fmt.Sprintf("held by process %d, %q, waited for", want.PID, want.Command)) {
					t.Errorf("error %v", err)
					return
				}
				check(e, true)
			})
		}
	}
	wg.Wait()
	if told["acquire"] != 3 || told["held"] != 3 {
		t.Errorf("told %v, want each of three once", told)
	}
	f.Close()
	acquire(t, d, reserve.Request{Cores: cores(0)})
}

// TestGuardShared: who only looks keeps others from taking, not from looking.
func TestGuardShared(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, "/")
	f := lockGuard(t, dir, linux.TryLockShared)
	defer f.Close()
	if got := held(t, dir); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		r, err := d.Acquire(ctx, reserve.Request{Cores: cores(0)})
		if err == nil {
			r.Release()
		}
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("taken while somebody looks: %v", err)
	case <-waiter(t, f):
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func waiter(t *testing.T, f *os.File) <-chan struct{} {
	waits := make(chan struct{})
	go func() {
		defer close(waits)
		awaitWaiter(t, f)
	}()
	return waits
}

// TestDirectoryReplacedMeanwhile: while one waits for its guard, the directory makes place
// for another. The locks are taken where others find them.
func TestDirectoryReplacedMeanwhile(t *testing.T) {
	for _, what := range []string{"directory", "guard"} {
		dir := filepath.Join(t.TempDir(), "locks")
		d := open(t, dir, "/")
		f := lockGuard(t, dir, linux.TryLock)
		done := make(chan *reserve.Reservation)
		go func() {
			r, err := d.Acquire(t.Context(), reserve.Request{Cores: cores(0)})
			if err != nil {
				t.Error(err)
			}
			done <- r
		}()
		awaitWaiter(t, f)
		old := dir
		if what == "guard" {
			old = filepath.Join(dir, "guard.lock")
		}
		if err := os.Rename(old, old+".old"); err != nil {
			t.Fatal(err)
		}
		open(t, dir, "/")
		f.Close()
		r := <-done
		if got := held(t, dir); r != nil && (len(got) != 1 || !slices.Equal(got[0].Cores, cores(0))) {
			t.Errorf("%s: %+v", what, got)
		}
		if r != nil {
			r.Release()
		}
	}
}

// machine makes the root directory of a machine with NUMA nodes that have so many
// KiB free.
func machine(t *testing.T, freeKiB map[int]uint64) string {
	t.Helper()
	root := t.TempDir()
	var ids []string
	for id, free := range freeKiB {
		ids = append(ids, strconv.Itoa(id))
		setFree(t, root, id, free)
	}
	slices.Sort(ids)
	for name, text := range map[string]string{
		"sys/devices/system/node/online": strings.Join(ids, ","),
		"sys/devices/system/cpu/online":  "0",
		"proc/cpuinfo":                   "processor\t: 0\n",
	} {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text+"\n"), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func setFree(t *testing.T, root string, node int, kib uint64) {
	t.Helper()
	dir := filepath.Join(root, fmt.Sprintf("sys/devices/system/node/node%d", node))
	text := fmt.Sprintf("Node %d MemTotal: %d kB\nNode %[1]d MemFree: %[3]d kB\n", node, uint64(1<<30), kib)
	temp := filepath.Join(dir, "temp")
	if err := errors.Join(os.MkdirAll(dir, 0o777), os.WriteFile(temp, []byte(text), 0o666), os.Rename(temp, filepath.Join(dir, "meminfo"))); err != nil {
		t.Fatal(err)
	}
}

func setHuge(t *testing.T, root string, node int, sizeKiB, free uint64) {
	t.Helper()
	dir := filepath.Join(root, fmt.Sprintf("sys/devices/system/node/node%d/hugepages/hugepages-%dkB", node, sizeKiB))
	for _, name := range []string{"nr_hugepages", "free_hugepages"} {
		if err := errors.Join(os.MkdirAll(dir, 0o777), os.WriteFile(filepath.Join(dir, name), fmt.Appendln(nil, free), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMemory: what others have planned and not touched is not there, what they
// have touched shows as not free, what a process that ended had planned is.
func TestMemory(t *testing.T) {
	const kib = 1 << 10
	root := machine(t, map[int]uint64{0: 1000, 1: 500})
	setHuge(t, root, 1, 2048, 3)
	dir := filepath.Join(t.TempDir(), "locks")
	d := open(t, dir, root)
	node0, node1, huge := topology.MemoryPool{NUMANode: 0}, topology.MemoryPool{NUMANode: 1}, topology.MemoryPool{NUMANode: 1, PageSize: 2 << 20}
	next := topology.CPU(10)
	try := func(want map[topology.MemoryPool]uint64) error {
		next++
		r, err := d.Acquire(t.Context(), reserve.Request{Cores: cores(next), Memory: want})
		if err == nil {
			r.Release()
		}
		return err
	}
	fits := func(pool topology.MemoryPool, room uint64) {
		t.Helper()
		if err := try(map[topology.MemoryPool]uint64{pool: room}); err != nil {
			t.Error(err)
		}
		err := try(map[topology.MemoryPool]uint64{pool: room + 1})
		var e *reserve.RoomError
		if !errors.As(err, &e) || e.Pool != pool || e.Room() != room {
			t.Errorf("a byte more than there is room for: %v", err)
		}
	}
	fits(node0, 1000*kib)
	fits(node1, 500*kib)
	fits(huge, 6<<20)
	fits(topology.MemoryPool{NUMANode: 5}, 0)
	fits(topology.MemoryPool{NUMANode: 0, PageSize: 1 << 30}, 0)

	other := startHolder(t, order{Dir: dir, Root: root, Cores: cores(3, 1, 2), Job: "other", Memory: []reserve.Memory{
		{Node: 0, Planned: 300 * kib}, {Node: 1, PageSize: 2 << 20, Planned: 4 << 20},
	}})
	fits(node0, 700*kib)
	fits(node1, 500*kib)
	fits(huge, 2<<20)

	ours := acquire(t, d, reserve.Request{Cores: cores(5, 6), Memory: map[topology.MemoryPool]uint64{node0: 600 * kib}})
	fits(node0, 100*kib)
	setFree(t, root, 0, 800) // 200 KiB touched, and not yet told
	fits(node0, 0)
	if err := ours.Touched(t.Context(), node0, 200*kib); err != nil {
		t.Fatal(err)
	}
	fits(node0, 100*kib)
	if got := reserve.Untouched(held(t, dir)); got[node0] != 700*kib || got[huge] != 4<<20 {
		t.Errorf("untouched: %v", got)
	}
	// More than planned is touched: it shows in what is free.
	setFree(t, root, 0, 350)
	if err := ours.Touched(t.Context(), node0, 650*kib); err != nil {
		t.Fatal(err)
	}
	fits(node0, 50*kib)
	// About to be given back, and still planned.
	if err := ours.Touched(t.Context(), node0, 0); err != nil {
		t.Fatal(err)
	}
	fits(node0, 0)
	setFree(t, root, 0, 1000)
	fits(node0, 100*kib)

	err := try(map[topology.MemoryPool]uint64{node0: 101 * kib, node1: 501 * kib, huge: 1})
	for _, says := range []string{
		"memory of NUMA node 0: want 103424 bytes, there is room for 102400 (1024000 free, 921600 promised to other jobs)",
		"memory of NUMA node 1: want 513024 bytes, there is room for 512000 (512000 free, 0 promised",
	} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
	other.kill()
	fits(node0, 400*kib)
	fits(huge, 6<<20)
	ours.Release()
	fits(node0, 1000*kib)
	// Another process that wants too much is refused as well.
	acquire(t, d, reserve.Request{Cores: cores(0), Memory: map[topology.MemoryPool]uint64{node0: 999 * kib}})
	out, err := process(t, "hold", order{Dir: dir, Root: root, Cores: cores(1), Memory: []reserve.Memory{{Planned: 2 * kib}}}).Output()
	if err == nil || !strings.Contains(string(out), "want 2048 bytes, there is room for 1024") {
		t.Errorf("the other process says %q, %v", out, err)
	}
}

// TestGoroutines: whatever is asked for in whatever order, no core is held twice
// and no memory is promised twice at any moment.
func TestGoroutines(t *testing.T) {
	dir, root := t.TempDir(), machine(t, map[int]uint64{0: 0})
	d := open(t, dir, root)
	const nCores = 6
	rapid.Check(t, func(rt *rapid.T) {
		free := rapid.Uint64Range(0, 100).Draw(rt, "free KiB")
		setFree(t, root, 0, free)
		type job struct {
			Cores []topology.CPU
			Pages uint64
		}
		jobs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) job {
			return job{
				rapid.SliceOfNDistinct(rapid.Map(rapid.IntRange(0, nCores-1), func(i int) topology.CPU { return topology.CPU(i) }), 1, nCores, rapid.ID).Draw(t, "cores"),
				rapid.Uint64Range(0, 60).Draw(t, "KiB"),
			}
		}), 1, 6).Draw(rt, "jobs")
		together := rapid.Bool().Draw(rt, "together") // held until all have tried
		var owner [nCores]atomic.Int32
		var promised atomic.Int64
		var wg, tries sync.WaitGroup
		tries.Add(len(jobs))
		for _, j := range jobs {
			wg.Go(func() {
				r, err := d.Acquire(t.Context(), reserve.Request{Cores: j.Cores, Memory: map[topology.MemoryPool]uint64{{}: j.Pages << 10}})
				if err == nil {
					for _, c := range j.Cores {
						if !owner[c].CompareAndSwap(0, 1) {
							t.Errorf("core %d is held twice", c)
						}
					}
					if sum := promised.Add(int64(j.Pages)); sum > int64(free) {
						t.Errorf("%d KiB promised of %d", sum, free)
					}
				}
				tries.Done()
				var heldErr *reserve.HeldError
				var roomErr *reserve.RoomError
				if errors.As(err, &heldErr) || errors.As(err, &roomErr) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				if together {
					tries.Wait()
				}
				promised.Add(-int64(j.Pages))
				for _, c := range j.Cores {
					owner[c].Store(0)
				}
				r.Release()
			})
		}
		wg.Wait()
		if got := held(t, dir); len(got) != 0 {
			rt.Fatalf("still held: %+v", got)
		}
		// Nobody competes now: what fits must be given.
		for _, j := range jobs {
			r, err := d.Acquire(t.Context(), reserve.Request{Cores: j.Cores, Memory: map[topology.MemoryPool]uint64{{}: j.Pages << 10}})
			if (err == nil) != (j.Pages <= free) {
				rt.Fatalf("%+v alone, %d KiB free: %v", j, free, err)
			}
			if err == nil {
				r.Release()
			}
		}
	})
}

const witnessCores = 5

// compete takes and gives back at random, and leaves a witness file for each core
// and amount of memory while it holds them.
func compete(arg string) error {
	var o order
	if err := json.Unmarshal([]byte(arg), &o); err != nil {
		return err
	}
	d, err := reserve.Open(o.Dir, o.Root)
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(o.Seed, 0))
	won := 0
	for range o.Rounds {
		var q reserve.Request
		for _, c := range rng.Perm(witnessCores)[:1+rng.IntN(3)] {
			q.Cores = append(q.Cores, topology.CPU(c))
		}
		memory := rng.Uint64N(o.Free/2) + 1
		q.Memory = map[topology.MemoryPool]uint64{{}: memory}
		r, err := d.Acquire(context.Background(), q)
		var heldErr *reserve.HeldError
		var roomErr *reserve.RoomError
		if errors.As(err, &heldErr) || errors.As(err, &roomErr) {
			continue
		}
		if err != nil {
			return err
		}
		won++
		if err := witness(o, q.Cores, memory); err != nil {
			return err
		}
		r.Release()
	}
	fmt.Println("won", won)
	return nil
}

func witness(o order, cores []topology.CPU, memory uint64) error {
	files := []string{filepath.Join(o.Witness, fmt.Sprintf("memory-%d-%d", memory, os.Getpid()))}
	for _, c := range cores {
		files = append(files, filepath.Join(o.Witness, fmt.Sprintf("core-%d", c)))
	}
	for _, path := range files {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			return fmt.Errorf("held twice: %w", err)
		}
		f.Close()
	}
	entries, err := os.ReadDir(o.Witness)
	if err != nil {
		return err
	}
	var sum uint64
	for _, e := range entries {
		var bytes uint64
		if n, _ := fmt.Sscanf(e.Name(), "memory-%d", &bytes); n == 1 {
			sum += bytes
		}
	}
	if sum > o.Free {
		return fmt.Errorf("%d bytes promised of %d", sum, o.Free)
	}
	for _, path := range files {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// TestProcessesCompete is TestGoroutines with processes.
func TestProcessesCompete(t *testing.T) {
	o := order{Dir: filepath.Join(t.TempDir(), "locks"), Root: machine(t, map[int]uint64{0: 100}), Rounds: 150, Witness: t.TempDir(), Free: 100 << 10}
	var wg sync.WaitGroup
	for seed := range uint64(4) {
		o.Seed = seed
		cmd := process(t, "compete", o)
		wg.Go(func() {
			out, err := cmd.CombinedOutput()
			won := 0
			if n, _ := fmt.Sscanf(string(out), "won %d", &won); err != nil || n != 1 || won == 0 {
				t.Errorf("process %d: %v: %s", seed, err, out)
			}
		})
	}
	wg.Wait()
}
