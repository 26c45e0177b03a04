package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// scripts/damocles.sh leaves its step out, with 77, only where what it needs is not to be had. What
// does not compile is an error. Here cargo is a stand-in.
func TestDamoclesBuild(t *testing.T) {
	const leftOut = 77
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("scripts need bash")
	}
	script, err := filepath.Abs("../../scripts/damocles.sh")
	if err != nil {
		t.Fatal(err)
	}
	const tools = "/usr/bin:/bin"
	for _, tt := range []struct {
		name, cargo string // what it does, as a shell's script; "" for none
		check       bool
		exit        int
		want        string
	}{
		{"all is there", `[ "$1" != build ] || { mkdir -p "$CARGO_TARGET_DIR/debug" && touch "$CARGO_TARGET_DIR/debug/damocles-parent"; }`, true, 0, ""},
		{"no check", `exit 0`, false, leftOut, "is not there: set CHECK"},
		{"no cargo", ``, true, leftOut, "there is no cargo"},
		{"no registry", `[ "$1" != tree ] || { echo no route >&2; exit 101; }`, true, leftOut, "no route\ndamocles: the registry of the crates"},
		{"Cargo.toml is wrong", `[ "$1" != metadata ] || { echo invalid key >&2; exit 101; }`, true, 101, "invalid key"},
		{"it does not compile", `[ "$1" != build ] || { echo mismatched types >&2; exit 101; }`, true, 101, "mismatched types"},
		{"it needs the registry late", `[ "$1" != build ] || case "$*" in *--offline*) ;; *) exit 9;; esac; mkdir -p "$CARGO_TARGET_DIR/debug"; touch "$CARGO_TARGET_DIR/debug/damocles-parent"`, true, 0, ""},
	} {
		dir := t.TempDir()
		path := func(name string) string { return filepath.Join(dir, name) }
		err := errors.Join(os.MkdirAll(path("parent/src"), 0o777), os.Mkdir(path("bin"), 0o777),
			os.WriteFile(path("parent/Cargo.toml"), nil, 0o666), os.WriteFile(path("parent/src/main.rs"), nil, 0o666))
		if err == nil && tt.check {
			err = os.WriteFile(path("parent/check.sh"), []byte("#!/bin/sh\n"), 0o777) // #nosec G306 -- a script
		}
		if err == nil && tt.cargo != "" {
			err = os.WriteFile(path("bin/cargo"), []byte("#!/bin/sh\n"+tt.cargo+"\n"), 0o777) // #nosec G306 -- as above
		}
		if err != nil {
			t.Fatal(err)
		}
		if tt.cargo == "" {
			if _, err := exec.Command("env", "PATH="+tools, "sh", "-c", "command -v cargo").Output(); err == nil {
				continue // it is among the tools
			}
		}
		cmd := exec.CommandContext(t.Context(), script, "build")
		cmd.Env = []string{"PATH=" + path("bin") + ":" + tools, "HOME=" + dir, "CHECK=" + path("parent/check.sh"), "CARGO_TARGET_DIR=" + path("target")}
		out, _ := cmd.CombinedOutput()
		if exit := cmd.ProcessState.ExitCode(); exit != tt.exit || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s: exit code %d, want %d, and %q in %q", tt.name, exit, tt.exit, tt.want, out)
		}
	}
}
