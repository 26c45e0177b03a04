package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/parentcache"
)

// environ is an environment of these variables.
func environ(variables map[string]string) (all []string) {
	for name, text := range variables {
		all = append(all, name+"="+text)
	}
	return all
}

// The reference's settings are what storage-proofs-core 19.1.0 reads, by config 0.14.1.
func TestReferenceSettings(t *testing.T) {
	const caching = "FIL_PROOFS_MAXIMIZE_CACHING"
	for _, c := range []struct {
		env  []string
		want bool   // maximizeCaching
		fail string // in the error
	}{
		{nil, false, ""},
		{[]string{caching + "=1"}, true, ""},
		{[]string{caching + "=TRUE"}, true, ""},
		{[]string{caching + "=on"}, true, ""},
		{[]string{caching + "=Yes"}, true, ""},
		{[]string{caching + "=0"}, false, ""},
		{[]string{caching + "=False"}, false, ""},
		{[]string{caching + "=off"}, false, ""},
		{[]string{caching + "=no"}, false, ""},
		{[]string{"fil_proofs_Maximize_caching=yes"}, true, ""},
		{[]string{caching + "=tru"}, false, caching + `: "tru" is no boolean`},
		{[]string{caching + "= 1"}, false, caching + `: " 1" is no boolean`},
		{[]string{caching + "=2"}, false, caching + `: "2" is no boolean`},
		{[]string{caching + "="}, false, caching + ": it is set and empty"},
		{[]string{caching + "=\xff"}, false, caching},
		{[]string{"fil_proofs_maximize_caching=perhaps"}, false, `fil_proofs_maximize_caching: "perhaps" is no boolean`},
		{[]string{caching + "=1", "fil_proofs_maximize_caching=0"}, false, caching + ` is "1", and fil_proofs_maximize_caching is "0"`},
		{[]string{caching + "=1", "fil_proofs_maximize_caching=1"}, true, ""},
		{[]string{"FIL_PROOFS_PARENT_CACHE=/a", "fil_proofs_parent_cache=/b"}, false, `FIL_PROOFS_PARENT_CACHE is "/a"`},
		{[]string{"FIL_PROOFS_USE_GPU_TREE_BUILDER=", "Fil_Proofs_Use_Gpu_Tree_Builder=1"}, false, ""}, // not ours to judge
	} {
		s := readSettings(c.env)
		err := errors.Join(s.wrong...)
		if c.fail == "" && (err != nil || s.maximizeCaching != c.want) {
			t.Errorf("%q: %v, %v, want %v", c.env, s.maximizeCaching, err, c.want)
		}
		if usage := (usageError{}); c.fail != "" && (err == nil || !strings.Contains(err.Error(), c.fail) || !errors.As(err, &usage)) {
			t.Errorf("%q: %v, want %q", c.env, err, c.fail)
		}
	}
	for _, c := range []struct {
		env  []string
		want string
	}{
		{nil, parentcache.DefaultDir},
		{[]string{"FIL_PROOFS_PARENT_CACHE=/a"}, "/a"},
		{[]string{"fil_proofs_parent_cache=/a"}, "/a"},
		{[]string{"FIL_PROOFS_CACHE_DIR=/disk/"}, "/disk/filecoin-parents"},
		{[]string{"FIL_PROOFS_CACHE_DIR=/disk-"}, "/disk-filecoin-parents"},
		{[]string{"FIL_PROOFS_CACHE_DIR=/disk/", "FIL_PROOFS_PARENT_CACHE=/a"}, "/a"},
		{[]string{"fil_proofs_cache_dir=/disk/"}, parentcache.DefaultDir},
	} {
		if s := readSettings(c.env); s.parentCacheDir != c.want || s.wrong != nil {
			t.Errorf("%q: %q, %q, want %q", c.env, s.parentCacheDir, s.wrong, c.want)
		}
	}
	if s := readSettings([]string{"fil_proofs_multicore_sdr_producers=5", "sdr_kernel=x"}); s.producers != "5" || s.kernel != "" {
		t.Errorf("%+v: want 5 producers and no kernel", s)
	}
}

// The command names the variable that is wrong, and says that it does not read the
// reference's file.
func TestReferenceSettingsOfCommand(t *testing.T) {
	dir := t.TempDir()
	run := func(want int, variables []string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sdrbench", args...)
		cmd.Dir = dir
		cmd.Env = append(append(os.Environ(), "SDR_LOCK_DIR="+filepath.Join(t.TempDir(), "locks")), variables...)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		_ = cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("%q %q: exit code %d, want %d: %s", variables, args, got, want, &stderr)
		}
		return stderr.String()
	}
	bench := []string{"bench", "--proof", "StackedDrg2KiBV1_1", "--dir", dir, "--policy", "none"}
	build := []string{"parents", "build", "--proof", "StackedDrg2KiBV1_1"}
	for _, c := range []struct {
		variable string
		args     []string
	}{
		{"FIL_PROOFS_MAXIMIZE_CACHING=maybe", bench},
		{"fil_proofs_maximize_caching=maybe", bench},
		{"fil_proofs_multicore_sdr_producers=some", bench},
		{"FIL_PROOFS_MULTICORE_SDR_LOOKAHEAD=", bench},
		{"FIL_PROOFS_PARENT_CACHE=", build},
	} {
		name, _, _ := strings.Cut(c.variable, "=")
		if stderr := run(exitUsage, []string{c.variable}, c.args...); !strings.Contains(strings.ToLower(stderr), strings.ToLower(name)) {
			t.Errorf("%s: %q does not name it", c.variable, stderr)
		}
	}
	file := filepath.Join(dir, referenceFile)
	for _, c := range []struct{ text, want string }{
		{"rows_to_discard = 2\n# parent_cache = 1\n", ""},
		{"parent_cache = \"/p\"\n \"Multicore_SDR_producers\"=3\n", "FIL_PROOFS_PARENT_CACHE, FIL_PROOFS_MULTICORE_SDR_PRODUCERS"},
	} {
		if err := os.WriteFile(file, []byte(c.text), 0o666); err != nil {
			t.Fatal(err)
		}
		if stderr := run(exitDone, nil, bench...); strings.Contains(stderr, referenceFile) != (c.want != "") || !strings.Contains(stderr, c.want) {
			t.Errorf("a file with %q: %q, want %q", c.text, stderr, c.want)
		}
	}
}
