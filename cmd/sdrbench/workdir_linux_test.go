package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// killedBench is the directory that a bench leaves in dir when it is killed.
func killedBench(t *testing.T, dir string) string {
	t.Helper()
	cmd := exec.Command("sdrbench", "bench", "--proof", "StackedDrg8MiBV1_1", "--kernel", "generic/1", "--policy", "none", "--dir", dir)
	s, there := startUntil(t, cmd, filepath.Join(dir, "sdrbench-*", "*", "cache", ".sc-02-data-layer-*"))
	if !there {
		t.Fatalf("it ended: %v: %s", <-s.ended, &s.stderr)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	names, err := filepath.Glob(filepath.Join(dir, "sdrbench-*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("%q, %v: want one directory", names, err)
	}
	return names[0]
}

// What a killed bench leaves is named by the next one, which removes it when told to; what
// is in use, another user's, behind a link or of another name stays.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	left := killedBench(t, dir)
	mkdir := func(name, lock string) string {
		path := filepath.Join(dir, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, lock), []byte("text"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	used, remove, err := makeWorkDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	stay := []string{used, mkdir("sdrbench-x1", workLock), mkdir("sdrbench-1", "other"), mkdir("sdrbench-2", workLock+".new")}
	outside := mkdir("outside", workLock)
	link, fileLink := filepath.Join(dir, "sdrbench-3"), mkdir("sdrbench-4", "x")
	for name, target := range map[string]string{link: outside, filepath.Join(fileLink, workLock): filepath.Join(outside, workLock)} {
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
	stay = append(stay, outside, link, fileLink)
	if os.Geteuid() == 0 {
		others := mkdir("sdrbench-5", workLock)
		if err := os.Chown(others, 1, 1); err != nil {
			t.Fatal(err)
		}
		stay = append(stay, others)
	}
	bench := func(args ...string) string {
		t.Helper()
		r := sdrbench(t, nil, append([]string{"bench", "--proof", "StackedDrg2KiBV1_1", "--policy", "none", "--dir", dir}, args...)...)
		if r.exit != exitDone {
			t.Fatalf("exit code %d: %s", r.exit, r.stderr)
		}
		return r.stderr
	}
	there := func(path string) bool { _, err := os.Lstat(path); return err == nil }

	if got := bench(); strings.Count(got, "left behind") != 1 || !strings.Contains(got, left) || !strings.Contains(got, "MiB") || !strings.Contains(got, "--remove-leftovers") {
		t.Errorf("%q, want that %s was left behind, and its size", got, left)
	}
	if !there(left) {
		t.Fatal("it is removed unasked")
	}
	if got := bench("--remove-leftovers"); !strings.Contains(got, "removed "+left) {
		t.Errorf("%q, want that %s is removed", got, left)
	}
	if there(left) {
		t.Errorf("%s is still there", left)
	}
	for _, path := range append(stay, filepath.Join(outside, workLock)) {
		if !there(path) {
			t.Errorf("%s is removed", path)
		}
	}
	if err := remove(); err != nil || there(used) {
		t.Errorf("%v, or it is still there", err)
	}
}

// Another user's process does not take for its own what it finds.
func TestLeftoversOfOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root is another user for a moment")
	}
	dir, err := os.MkdirTemp("", "leftovers-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o1777); err != nil {
		t.Fatal(err)
	}
	left := killedBench(t, dir)
	program, err := exec.LookPath("sdrbench")
	if err != nil {
		t.Fatal(err)
	}
	if program, err = filepath.EvalSymlinks(program); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "sdrbench") // that user may not look where the test's is
	text, err := os.ReadFile(program)
	if err == nil {
		err = os.WriteFile(copied, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(copied, "bench", "--proof", "StackedDrg2KiBV1_1", "--policy", "none", "--dir", dir, "--remove-leftovers")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || bytes.Contains(out, []byte("left behind")) {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(left, workLock)); err != nil {
		t.Error(err)
	}
}

// HOME that may not be read is no reason to refuse where nobody named a profile.
func TestUnreadableHome(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root is another user for a moment")
	}
	dir, err := os.MkdirTemp("", "home-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	home, program := filepath.Join(dir, "home"), filepath.Join(dir, "sdrbench")
	found, err := exec.LookPath("sdrbench")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(found)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{os.Chmod(dir, 0o755), os.Mkdir(home, 0o700), os.WriteFile(program, text, 0o755)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args []string
		want int
	}{
		{nil, exitDone},
		{[]string{"--profile", filepath.Join(home, ".config", "sdrbench", "profile.toml")}, exitFailed},
	} {
		work := filepath.Join(dir, "work")
		if err := os.MkdirAll(work, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(work, 0o777); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, append([]string{"bench", "--proof", "StackedDrg2KiBV1_1", "--policy", "none", "--dir", work}, c.args...)...)
		cmd.Dir = work
		cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME=", "SDR_PROFILE=")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != c.want || !bytes.Contains(out, []byte(home)) {
			t.Errorf("%q: exit code %d, want %d, and %s named: %s", c.args, got, c.want, home, out)
		}
	}
}
