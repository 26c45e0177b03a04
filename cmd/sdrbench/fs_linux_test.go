package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func init() { programs["sdrbench-on-fs"] = mainOnFS }

// What the command left in the directory follows this on standard output.
const leftMark = "left:"

// exitNoMount is the exit code of mainOnFS where it may not mount.
const exitNoMount = 77

// mainOnFS mounts a file system on a directory, for this process alone, and is then
// the command: sdrbench-on-fs tmpfs:SIZE|read-only DIR ARGS... Root is not bound
// by permissions, and a full disk cannot be had by anything less than one.
func mainOnFS() {
	kind, dir := os.Args[1], os.Args[2]
	err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	if size, ok := strings.CutPrefix(kind, "tmpfs:"); ok && err == nil {
		err = syscall.Mount("none", dir, "tmpfs", 0, "size="+size)
	} else if err == nil {
		err = syscall.Mount(dir, dir, "", syscall.MS_BIND, "")
		if err == nil {
			err = syscall.Mount("none", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mounting:", err)
		os.Exit(exitNoMount)
	}
	if setup := os.Getenv("SDRBENCH_TEST_TOUCH"); setup != "" {
		err = errors.Join(os.MkdirAll(filepath.Dir(setup), 0o777), os.WriteFile(setup, make([]byte, 128), 0o666))
		if err != nil {
			fmt.Fprintln(os.Stderr, "preparing:", err)
			os.Exit(exitUsage)
		}
	}
	os.Args = append([]string{"sdrbench"}, os.Args[3:]...)
	status := mainStatus()
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			info, _ := d.Info()
			name, _ := filepath.Rel(dir, path)
			fmt.Println(leftMark, name, info.Size())
		}
		return err
	})
	os.Exit(status)
}

// onFS runs the command with a file system mounted on dir; touch, if not empty,
// is a file of 128 bytes to make there first.
func onFS(t *testing.T, kind, dir, touch string, args ...string) (r result, left []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sdrbench-on-fs", append([]string{kind, dir}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
	}
	cmd.Env = append(os.Environ(), "SDRBENCH_TEST_TOUCH="+touch)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		if errors.Is(err, fs.ErrPermission) {
			t.Skipf("a mount namespace needs root, or unprivileged user namespaces: %v", err)
		}
		t.Fatal(err)
	}
	r = result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	if r.exit == exitNoMount {
		t.Skipf("mounting is not permitted: %s", r.stderr)
	}
	for line := range strings.Lines(r.stdout) {
		if name, ok := strings.CutPrefix(line, leftMark+" "); ok {
			left = append(left, strings.TrimSpace(name))
		}
	}
	return r, left
}

// A file system that is full, or that is read-only, is told, and leaves nothing
// half-done, whatever was being written when it showed.
func TestFullAndReadOnlyFileSystems(t *testing.T) {
	files := t.TempDir() // on an ordinary file system
	piece, staged, sealed := filepath.Join(files, "piece"), filepath.Join(files, "staged"), filepath.Join(files, "sealed")
	cacheDir := filepath.Join(files, "cache")
	const size = 8323072 // an 8 MiB sector
	writeStream(t, piece, "full", size)
	if err := errors.Join(os.WriteFile(sealed, nil, 0o666), os.Mkdir(cacheDir, 0o777)); err != nil {
		t.Fatal(err)
	}
	proof := []string{"--proof", "StackedDrg8MiBV1_1"}
	addPiece := append([]string{"addpiece", "--piece", piece, "--piece-size", fmt.Sprint(size)}, proof...)
	mustRun(t, nil, append(addPiece, "--staged", staged)...)
	commP := strings.Fields(mustRun(t, nil, "commp", "--piece", piece))[1]
	pc1 := append([]string{"pc1", "--staged", staged, "--miner", "1000", "--sector", "1", "--ticket", benchTicket.String(),
		"--piece", fmt.Sprintf("%s:%d", commP, size)}, proof...)
	sdr := append([]string{"sdr", "--replica-id", benchTicket.String()}, proof...)

	const full, room, readOnly = "no space left on device", "engine: looking for room: ", "read-only file system"
	const noRight = "engine: checking configuration: cache dir of sector 0: no file can be made there: "
	for _, test := range []struct {
		name, kind string
		touch      string // in the directory
		command    []string
		flags      []string // DIR stands for the directory
		want       string   // on standard error
		left       []string
	}{
		{"addpiece, new staged", "tmpfs:64k", "", addPiece, []string{"--staged", "DIR/staged"}, full, nil},
		{"addpiece, existing staged", "tmpfs:64k", "staged", addPiece, []string{"--staged", "DIR/staged", "--existing", "127", "--proof", "StackedDrg512MiBV1_1"}, full, []string{"staged 128"}},
		{"pc1, tree-d", "tmpfs:64k", "cache/other", pc1, []string{"--cache-dir", "DIR/cache", "--sealed", sealed}, room, []string{"cache/other 128"}},
		{"pc1, layers", "tmpfs:30m", "cache/other", pc1, []string{"--cache-dir", "DIR/cache", "--sealed", sealed}, room, []string{"cache/other 128"}},
		{"pc1, sealed", "tmpfs:64k", "sealed", pc1, []string{"--cache-dir", cacheDir, "--sealed", "DIR/sealed", "--overwrite"}, room, []string{"sealed 128"}},
		{"pc1, output", "tmpfs:4k", "other", pc1, []string{"--cache-dir", cacheDir, "--sealed", sealed, "--output", "DIR/p1.json"}, full, []string{"other 128"}},
		{"sdr, layers", "tmpfs:12m", "", sdr, []string{"--cache-dir", "DIR"}, room, nil},
		{"sdr, scratch", "tmpfs:40m", "", sdr, []string{"--cache-dir", "DIR", "--memory", "6MiB", "--memory-way", "forward"}, room, nil},
		{"sdr, read-only scratch", "read-only", "", sdr, []string{"--cache-dir", "DIR", "--memory", "6MiB"}, noRight, nil},
		{"parents build", "tmpfs:64k", "", append([]string{"parents", "build"}, proof...), []string{"--dir", "DIR"}, full, []string{"LOCK 0"}},
		{"bench", "tmpfs:64k", "", append([]string{"bench"}, proof...), []string{"--dir", "DIR"}, "64 KiB are free, 1 sector of 8MiB takes 48 MiB", nil},

		{"addpiece, read-only", "read-only", "", addPiece, []string{"--staged", "DIR/staged"}, readOnly, nil},
		{"pc1, read-only cache dir", "read-only", "", pc1, []string{"--cache-dir", "DIR", "--sealed", sealed}, noRight, nil},
		{"pc1, read-only output", "read-only", "", pc1, []string{"--cache-dir", cacheDir, "--sealed", sealed, "--output", "DIR/p1.json"}, readOnly, nil},
		{"sdr, read-only", "read-only", "", sdr, []string{"--cache-dir", "DIR"}, noRight, nil},
		{"sdr, read-only work dir", "read-only", "", sdr, []string{"--cache-dir", cacheDir, "--work-dir", "DIR"}, "engine: checking configuration: work dir of sector 0: no file can be made there: ", nil},
		{"parents build, read-only", "read-only", "", append([]string{"parents", "build"}, proof...), []string{"--dir", "DIR"}, readOnly, nil},
		{"bench, read-only", "read-only", "", append([]string{"bench"}, proof...), []string{"--dir", "DIR"}, readOnly, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if test.touch != "" {
				test.touch = filepath.Join(dir, test.touch)
			}
			args := slices.Clone(test.command)
			for _, flag := range test.flags {
				args = append(args, strings.Replace(flag, "DIR", dir, 1))
			}
			if err := os.Truncate(sealed, 0); err != nil {
				t.Fatal(err)
			}
			r, left := onFS(t, test.kind, dir, test.touch, args...)
			if r.exit != exitFailed || !strings.Contains(r.stderr, test.want) || strings.Count(r.stderr, "\n") != 1 {
				t.Errorf("exit code %d, want 1; standard error %q, want a line with %q", r.exit, r.stderr, test.want)
			}
			for i, name := range left {
				if strings.HasSuffix(name, ".lock 0") {
					left[i] = "LOCK 0"
				}
			}
			if !slices.Equal(left, test.left) {
				t.Errorf("left behind %q, want %q", left, test.left)
			}
			wantFiles(t, cacheDir)
			if info, err := os.Stat(sealed); err != nil || info.Size() != 0 && info.Size() != 8<<20 {
				t.Errorf("sealed is %v, %v, want it empty or complete", info, err)
			}
		})
	}
}

// asNobody is the command of a user who has no rights.
func asNobody(t *testing.T, args ...string) *exec.Cmd {
	if os.Getuid() != 0 {
		t.Skip("only root can be another user")
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
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	return cmd
}

// Who is not root is bound by permissions.
func TestForbiddenDirectory(t *testing.T) {
	dir := sharedDir(t)
	cmd := asNobody(t, "sdr", "--proof", "StackedDrg2KiBV1_1", "--cache-dir", dir, "--replica-id", benchTicket.String())
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != exitFailed || !strings.Contains(string(out), "permission denied") {
		t.Errorf("exit code %d, want 1; output %q, want permission denied", got, out)
	}
	wantFiles(t, dir)
}

// Of several sectors, one whose sealed file may not be written to shows before any work, with
// the others.
func TestForbiddenSealed(t *testing.T) {
	dir := sharedDir(t)
	var sectors strings.Builder
	for i, mode := range []os.FileMode{0o666, 0o644} {
		cacheDir, sealed := filepath.Join(dir, fmt.Sprint("cache", i)), filepath.Join(dir, fmt.Sprint("sealed", i))
		err := errors.Join(os.Mkdir(cacheDir, 0o777), os.Chmod(cacheDir, 0o777), os.WriteFile(sealed, nil, 0o666), os.Chmod(sealed, mode))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&sectors, `{"proof":"StackedDrg2KiBV1_1","cache-dir":%q,"staged":"/dev/zero","sealed":%q,"miner":"1000","sector":%q,"ticket":%q}`+"\n",
			cacheDir, sealed, fmt.Sprint(i), benchTicket)
	}
	cmd := asNobody(t, "pc1", "--policy", "none", "--sectors", "-")
	cmd.Stdin = strings.NewReader(sectors.String())
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != exitFailed || !strings.Contains(string(out), "line 2: seal: checking sealed: ") || !strings.Contains(string(out), "permission denied") {
		t.Errorf("exit code %d, want 1; output %q, want permission denied on line 2", got, out)
	}
	wantFiles(t, filepath.Join(dir, "cache0"))
}

// sharedDir is a temporary directory that every user may read.
func sharedDir(t *testing.T) string {
	dir := t.TempDir()
	for d := dir; d != filepath.Clean(os.TempDir()) && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
