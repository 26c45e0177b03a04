package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/internal/testkit"
	sha256kernels "github.com/sdr-engine/sdr/sha256"
)

// TestWiped: what hosts do that start again too early: they remove the files of a cache
// dir, or the dir, while the old process is at work. It says so and ends, and the layers
// are the new process's.
func TestWiped(t *testing.T) {
	testkit.NeedsLong(t, "old processes label slowly for seconds")
	sdrBy := func(kernel, dir, id string) *exec.Cmd {
		return exec.Command("sdrbench", "sdr", "--proof", "StackedDrg8MiBV1_1", "--cache-dir", dir,
			"--replica-id", strings.Repeat(id, 31)+"01", "--policy", "none", "--kernel", kernel)
	}
	sdr := func(dir, id string) *exec.Cmd { return sdrBy(sha256kernels.Best(1).Name, dir, id) }
	made := func(dir string) (files []byte) {
		for layer := 1; layer <= 2; layer++ {
			b, err := os.ReadFile(layers.Path(dir, layer))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, b...)
		}
		return files
	}
	clean := t.TempDir()
	if out, err := sdr(clean, "bb").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := made(clean)
	for name, wipe := range map[string]func(dir string) error{
		"files": func(dir string) error {
			entries, err := os.ReadDir(dir)
			for _, e := range entries {
				err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
			}
			return err
		},
		"directory": func(dir string) error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o777)) },
	} {
		dir := filepath.Join(t.TempDir(), "cache")
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		old := sdrBy("generic/1", dir, "aa") // it takes seconds
		temp := filepath.Join(dir, ".sc-02-data-layer-2.dat.tmp")
		job, there := startUntil(t, old, temp)
		if !there {
			t.Fatalf("%s: the old process ended: %v: %s", name, <-job.ended, &job.stderr)
		}
		// A file that goes before there is a label in it is only made once more.
		testkit.WaitFor(t, func() bool {
			b, err := os.ReadFile(temp)
			return err != nil || len(bytes.Trim(b, "\x00")) > 0
		})
		// It stands still meanwhile, with what it has locked: it may not be the first to find out.
		if err := errors.Join(old.Process.Signal(syscall.SIGSTOP), wipe(dir)); err != nil {
			t.Fatal(err)
		}
		out, err := sdr(dir, "bb").CombinedOutput()
		if name == "files" && (err == nil || !strings.Contains(string(out), "held by another job")) || name == "directory" && err != nil {
			t.Errorf("%s: beside the old process: %v: %s", name, err, out)
		}
		if err := old.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if err := <-job.ended; old.ProcessState.ExitCode() != exitFailed || !strings.Contains(job.stderr.String(), "another job, or a person, is at work there") {
			t.Errorf("%s: the old process: %v: %s", name, err, &job.stderr)
		}
		if name == "files" {
			if out, err := sdr(dir, "bb").CombinedOutput(); err != nil {
				t.Errorf("%s: after the old process: %v: %s", name, err, out)
			}
		}
		if !bytes.Equal(want, made(dir)) {
			t.Errorf("%s: the layers are not the new process's", name)
		}
		wantFiles(t, dir, layers.Name(1), layers.Name(2), manifest.Name)
	}
}
