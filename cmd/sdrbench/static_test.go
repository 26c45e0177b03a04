package main

import (
	"os"
	"strings"
	"testing"
)

// Two libraries import net and os/user (pflag and terminfo), which link libc where there is a C
// compiler, unless told not to: a build as we say gives a static binary.
func TestBuildIsStatic(t *testing.T) {
	built := 0
	for _, name := range []string{"../../README.md", "../../Makefile"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "go build ") && strings.Contains(line, "./cmd/sdrbench") {
				built++
				if !strings.Contains(line, "CGO_ENABLED=0 go build") {
					t.Errorf("%s: %q links libc: want CGO_ENABLED=0", name, line)
				}
			}
		}
	}
	if built < 2 {
		t.Errorf("%d commands that build, want README's and Makefile's", built)
	}
}
