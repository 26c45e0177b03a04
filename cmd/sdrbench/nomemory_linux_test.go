package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// memoryCgroup is a memory cgroup of its own, with a limit, in the first or the second version.
func memoryCgroup(t *testing.T, limit uint64) string {
	t.Helper()
	name := fmt.Sprintf("sdrbench-test-%d", os.Getpid())
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
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `echo $$ >"$0/cgroup.procs" && exec "$@"`, group, binary, "sdr", "--policy", "none", "--sectors", "-")
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
