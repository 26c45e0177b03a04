package parentcache

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sdr-engine/sdr/internal/linux"

	"github.com/sdr-engine/sdr/internal/durable"
)

// plants are what somebody else may have put where a file is to be made. Each gets
// the path of a file that must stay as it is.
var plants = []struct {
	name  string
	plant func(victim, path string) error
}{
	{"symbolic link", os.Symlink},
	{"hard link", os.Link},
	{"symbolic link to nothing", func(victim, path string) error { return os.Symlink(victim+".new", path) }},
	{"pipe", func(_, path string) error { return syscall.Mkfifo(path, 0o666) }},
	{"directory", func(_, path string) error { return os.Mkdir(path, 0o777) }},
}

func plant(t *testing.T, do func(victim, path string) error, path string) (check func()) {
	t.Helper()
	victim := filepath.Join(t.TempDir(), "victim")
	if err := errors.Join(os.WriteFile(victim, []byte("precious"), 0o600), do(victim, path)); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		info, err := os.Stat(victim)
		text, readErr := os.ReadFile(victim)
		if err != nil || readErr != nil || string(text) != "precious" || info.Mode() != 0o600 {
			t.Errorf("the victim is %v, %q, error %v", info, text, errors.Join(err, readErr))
		}
		if _, err := os.Lstat(victim + ".new"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a file was made through a link: %v", err)
		}
	}
}

// TestPlantedLock: a lock file that is no file of its own is refused, not followed,
// and not waited for.
func TestPlantedLock(t *testing.T) {
	for _, p := range plants {
		t.Run(p.name, func(t *testing.T) {
			dir := t.TempDir()
			lock := filepath.Join(dir, name(small)+".lock")
			check := plant(t, p.plant, lock)
			_, err := Generate(t.Context(), small, dir, nil)
			if err == nil || !strings.Contains(err.Error(), "locking: "+lock) || !strings.Contains(err.Error(), "remove it") {
				t.Errorf("error %v, want that the lock file is named", err)
			}
			check()
			checkDirectory(t, dir)
		})
	}
}

// TestPlantedTemporary: what stands under the temporary name is replaced, never written into.
func TestPlantedTemporary(t *testing.T) {
	for _, p := range plants {
		t.Run(p.name, func(t *testing.T) {
			dir := t.TempDir()
			check := plant(t, p.plant, filepath.Join(dir, durable.TempName(name(small))))
			_, err := Generate(t.Context(), small, dir, nil)
			check()
			if p.name == "directory" { // it may hold something
				if err == nil || !strings.Contains(err.Error(), "is a directory") {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Error(err)
			}
			checkDirectory(t, dir, name(small))
			if info, err := os.Lstat(filepath.Join(dir, name(small))); err != nil || !info.Mode().IsRegular() {
				t.Errorf("the parent cache is %v, error %v", info, err)
			} else if _, names, _ := linux.Owner(info); names != 1 {
				t.Errorf("the parent cache has %d names", names)
			}
		})
	}
}

// TestStrangers: in a directory like /tmp, a temporary of somebody else's is an error
// and stays as it is; a lock file of somebody else's will do.
func TestStrangers(t *testing.T) {
	const stranger = "SDR_TEST_STRANGER"
	if dir := os.Getenv(stranger); dir != "" { // the child, below
		if _, err := Generate(t.Context(), small, dir, nil); err != nil {
			t.Fatal(err)
		}
		return
	}
	if os.Getuid() != 0 {
		t.Skip("only root can be another user")
	}
	data, err := os.ReadFile(os.Args[0]) // it lies where only root may go
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(openDir(t), "test")
	if err := os.WriteFile(program, data, 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(dir string) (string, error) {
		cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestStrangers$")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), stranger+"="+dir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	sticky := func() string {
		dir := openDir(t)
		if err := os.Chmod(dir, os.ModeSticky|0o777); err != nil {
			t.Fatal(err)
		}
		return dir
	}

	dir := sticky()
	temp := filepath.Join(dir, durable.TempName(name(small)))
	if err := errors.Join(os.WriteFile(temp, []byte("root's"), 0o666), os.Chmod(temp, 0o666)); err != nil {
		t.Fatal(err)
	}
	out, err := run(dir)
	if errors.Is(err, syscall.ENOEXEC) {
		t.Skip("this test runs under an emulator, its child would not")
	}
	if err == nil || !strings.Contains(out, "only its owner") {
		t.Errorf("with root's temporary: error %v, output %s", err, out)
	}
	if text, err := os.ReadFile(temp); err != nil || string(text) != "root's" {
		t.Errorf("root's temporary is %q, error %v", text, err)
	}

	for _, mode := range []os.FileMode{0o644, 0o666} {
		dir = sticky()
		lock := filepath.Join(dir, name(small)+".lock")
		if err := errors.Join(os.WriteFile(lock, nil, mode), os.Chmod(lock, mode)); err != nil {
			t.Fatal(err)
		}
		if out, err := run(dir); err != nil {
			t.Errorf("with root's lock file of mode %v: error %v, output %s", mode, err, out)
		}
		info, err := os.Stat(filepath.Join(dir, name(small)))
		if err != nil {
			t.Fatal(err)
		}
		if owner, _, _ := linux.Owner(info); owner != 65534 {
			t.Errorf("the parent cache is of user %d", owner)
		}
	}
}

// openDir is a temporary directory that every user may read.
func openDir(t *testing.T) string {
	dir := t.TempDir()
	for d := dir; d != filepath.Clean(os.TempDir()) && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestLockRemoved: a lock is one on the file that has the name at that time, no
// matter who has removed the file that was waited for.
func TestLockRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	never := func() { t.Error("waits for a lock that nobody holds") }
	first, err := takeLock(t.Context(), path, never)
	if err != nil {
		t.Fatal(err)
	}
	second, err := takeLock(t.Context(), path, func() {
		if err := errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o666), first.Close()); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	mine, err := second.Stat()
	now, nameErr := os.Lstat(path)
	if err != nil || nameErr != nil || !os.SameFile(mine, now) {
		t.Errorf("the lock is not on the file at %s: %v", path, errors.Join(err, nameErr))
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := takeLock(ctx, path, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
