package main

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Every command that help lists has a page with all its flags, whatever the
// environment, and nothing else is written.
func TestManualPages(t *testing.T) {
	t.Setenv("SDR_LOCK_DIR", "/somewhere/else")
	dir := t.TempDir()
	mustRun(t, nil, "man", dir)
	var want []string
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Hidden {
			return
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		name := pageName(cmd) + ".1"
		want = append(want, name)
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			return
		}
		page := string(text)
		for _, part := range []string{".SH NAME\n", ".SH SYNOPSIS\n", ".SH SEE ALSO\n", roff(cmd.Short)} {
			if !strings.Contains(page, part) {
				t.Errorf("%s lacks %q", name, part)
			}
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if has := strings.Contains(page, "\n.BI "+roff("--"+f.Name)+" "); has == f.Hidden {
				t.Errorf("%s: has --%s: %t, hidden: %t", name, f.Name, has, f.Hidden)
			}
		})
		if strings.Contains(page, "somewhere") {
			t.Errorf("%s has a default of the environment it was made in", name)
		}
	}
	walk(new(app).root())
	got, err := namesIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Errorf("pages %q, want %q", got, want)
	}
	if r := sdrbench(t, nil, "man", filepath.Join(dir, "missing")); r.exit != exitFailed {
		t.Errorf("a directory that is missing: exit code %d, want %d", r.exit, exitFailed)
	}
}

// What starts a request or an escape in roff is printed as it is.
func TestRoff(t *testing.T) {
	text := ".dot `x` 'y' \\ -1\n.next\n  .table\nend \"q\" ^ ~\n\nlast"
	want := "\\&.dot \\(gax\\(ga \\(aqy\\(aq \\e \\-1\n\\&.next\n.nf\n  .table\n.fi\nend \\(dqq\\(dq \\(ha \\(ti\n.PP\nlast"
	if got := roffText(text); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// The linker's version comes first, then what the go command knows.
func TestVersion(t *testing.T) {
	if got := version(); linkedVersion != "" || got == "" || strings.HasPrefix(got, ",") {
		t.Errorf("not linked: %q", got)
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && !strings.HasPrefix(version(), info.Main.Version+", ") {
		t.Errorf("not linked: %q, want the go command's %s", version(), info.Main.Version)
	}
	defer func() { linkedVersion = "" }()
	linkedVersion = "v1.2.3-4-gabcdef"
	if got := version(); !strings.HasPrefix(got, "v1.2.3-4-gabcdef, go") {
		t.Errorf("linked: %q", got)
	}
}
