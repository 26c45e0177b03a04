package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/porep"
)

// moreMemory is how much memory sdrbench-hog takes at a time.
const moreMemory = 4 << 20

func init() {
	// For each byte that it gets it takes some memory, keeps it, and answers with a byte.
	programs["sdrbench-hog"] = func() {
		var all [][]byte
		for b := make([]byte, 1); ; {
			if _, err := os.Stdin.Read(b); err != nil {
				break
			}
			all = append(all, bytes.Repeat([]byte{1}, moreMemory))
			if _, err := os.Stdout.Write(b); err != nil {
				break
			}
		}
		if len(all) == 0 {
			os.Exit(1)
		}
	}
}

// memoryCgroup is a memory cgroup of its own, with a limit, in the first or the second version.
func memoryCgroup(t *testing.T, limit uint64) string {
	t.Helper()
	name := fmt.Sprintf("sdrbench-test-%d-%s", os.Getpid(), t.Name())
	for _, v := range []struct{ root, file string }{{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup", "memory.max"}} {
		dir := filepath.Join(v.root, name)
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { os.Remove(dir) })
		// The first version's hierarchies may lie in an ordinary directory.
		f, err := os.OpenFile(filepath.Join(dir, v.file), os.O_WRONLY, 0)
		if err != nil {
			continue
		}
		_, err = f.Write(fmt.Append(nil, limit))
		f.Close()
		if err == nil {
			return dir
		}
	}
	t.Skip("no memory cgroup can be made here")
	return ""
}

// A sector that does not fit into the memory of a cgroup is refused before anything is written, and of
// the kind that says so.
func TestMemoryCgroup(t *testing.T) {
	group := memoryCgroup(t, 200<<20)
	dir := t.TempDir()
	line := jsonLines(t, map[string]any{"proof": "StackedDrg512MiBV1_1", "cache-dir": dir, "replica-id": benchTicket.String()})
	binary, err := exec.LookPath("sdrbench")
	if err != nil {
		t.Fatal(err)
	}
	cmd := inCgroup(t, group, "0", binary, "sdr", "--policy", "none", "--sectors", "-")
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(line), &stdout, &stderr
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != exitFailed {
		t.Errorf("%v: %s", err, stderr.String())
	}
	if !strings.Contains(stderr.String(), "memory cgroup") {
		t.Errorf("%s%s: want what is short", stdout.String(), stderr.String())
	}
	wantFiles(t, dir)
}

// inCgroup is a command in a memory cgroup, which the kernel ends before others there if adj is 1000.
func inCgroup(t *testing.T, group, adj string, args ...string) *exec.Cmd {
	t.Helper()
	return exec.CommandContext(t.Context(), "sh", append([]string{"-c", `echo $$ >"$0/cgroup.procs" && { [ "$1" = 0 ] || echo "$1" >/proc/$$/oom_score_adj; } && shift && exec "$@"`, group, adj}, args...)...)
}

// TestMemoryCgroupKills: a job that the kernel kills since the memory of its cgroup is used up goes on, run
// again: the files are the reference's, and what was noted is not made again.
func TestMemoryCgroupKills(t *testing.T) {
	const limit = 384 << 20
	group := memoryCgroup(t, limit)
	k := newKilled(t, "zero-8MiB-1.1", "--kernel", "generic/1", "--checkpoint-every", "10ms")
	noted := k.noted(t)
	job := inCgroup(t, group, "1000", append([]string{"sdrbench"}, k.args...)...)
	var stderr bytes.Buffer
	job.Stderr = &stderr
	if err := job.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- job.Wait() }()
	select {
	case <-noted:
	case err := <-ended:
		t.Fatalf("it ended before it noted anything: %v: %s", err, stderr.String())
	}
	_ = job.Process.Signal(syscall.SIGSTOP) // it gets no further, however long this takes

	hog := inCgroup(t, group, "0", "sdrbench-hog")
	more, err := hog.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	taken, err := hog.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := hog.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		more.Close()
		_ = hog.Wait()
	})
	for steps, alive := 0, true; alive; steps++ {
		select {
		case err = <-ended:
			alive = false
		default:
			if steps*moreMemory > 4*limit {
				_ = job.Process.Kill()
				<-ended
				t.Skip("what does not fit into a memory cgroup is swapped out here")
			}
			b := []byte{1}
			_, wrote := more.Write(b)
			_, took := io.ReadFull(taken, b)
			if wrong := errors.Join(wrote, took); wrong != nil {
				// It may be the next one, when what the job had is used up before anybody was told of its end.
				select {
				case err = <-ended:
					alive = false
				case <-time.After(10 * time.Second):
					t.Fatalf("what takes memory was killed, not the job: %v", wrong)
				}
			}
		}
	}
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("it was not killed: %v: %s", err, stderr.String())
	}
	if m, err := manifest.Read(t.Context(), k.cacheDir); err != nil || len(m.Layers)+len(m.Parts) == 0 {
		t.Errorf("it has noted nothing: %+v, %v", m, err)
	}
	k.args = append(k.args, "--kernel", "auto") // what is left need not be slow
	if done, _ := k.run(t, nil, os.Interrupt); !done {
		t.Error("it is not done")
	}
	if all := 2 * porep.StackedDrg8MiBV1_1.SectorSize().Nodes(); k.left >= all {
		t.Errorf("%d labels were left to make, of %d in all", k.left, all)
	}
	k.check(t)
}
