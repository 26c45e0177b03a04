//go:build !purego && (amd64 || arm64)

package sha256

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A kernel asks for the features that stand above its assembly functions.
// Functions are named after kernels: labelSHANI is of "sha-ni/1", labelSHANIx2 of
// "sha-ni/2", pairsSHANI of both. A function that others call requires what they do.
// Kernels of more lanes than their instruction set has functions for share the widest.
func TestRequires(t *testing.T) {
	files, err := filepath.Glob("*_" + runtime.GOARCH + ".s")
	if err != nil {
		t.Fatal(err)
	}
	var (
		function = regexp.MustCompile(`^TEXT (?:·(\w+)|(\w+<>))\(SB\)`)
		call     = regexp.MustCompile(`^\tCALL\s+(?:·(\w+)|(\w+<>))\(SB\)`)
	)
	got := map[string]string{} // those of one file alone with its name
	calls := map[string][]string{}
	for _, file := range files {
		name := func(m []string) string {
			if m[2] != "" {
				return file + ": " + m[2]
			}
			return m[1]
		}
		requires, current := "", ""
		for line := range strings.Lines(assembly(t, file)) {
			if list, ok := strings.CutPrefix(line, "// Requires: "); ok {
				requires = strings.TrimSpace(list)
			}
			if m := function.FindStringSubmatch(line); m != nil {
				current = name(m)
				got[current], requires = requires, ""
			} else if strings.HasPrefix(line, "TEXT ") {
				t.Errorf("%s: what function is this? %s", file, line)
			}
			if m := call.FindStringSubmatch(line); m != nil {
				calls[current] = append(calls[current], name(m))
			}
		}
	}
	known := map[string]bool{}
	for caller, callees := range calls {
		for _, callee := range callees {
			if got[callee] != got[caller] {
				t.Errorf("%s requires %q, but %s, which it calls, %q", caller, got[caller], callee, got[callee])
			}
			known[callee] = true
		}
	}
	// These belong to no kernel. What the CPU must have for them is checked where they
	// are called.
	ofNone := map[string]map[string]string{
		"amd64": {
			"prefetchRows": "", "stageRows": "SSE2", "locateAVX2": "AVX2, AVX", "greatestAVX2": "AVX2, AVX",
			"pageWalkA": "", "pageWalkB": "", "pageWalkC": "", "pageWalkLateA": "", "pageWalkLateB": "", "pageWalkLateC": "",
		},
		"arm64": {"prefetchRows": ""},
	}[runtime.GOARCH]
	for name, want := range ofNone {
		if got[name] != want {
			t.Errorf("%s requires %q, want %q", name, got[name], want)
		}
		known[name] = true
	}
	for _, k := range archKernels() {
		set, lanes, _ := strings.Cut(k.Name, "/")
		set = strings.ToUpper(strings.ReplaceAll(set, "-", ""))
		label, pairs := "label"+set, "pairs"+set
		switch {
		case strings.HasPrefix(k.Name, "sha-ni/") && k.Lanes > 4:
			label += "x4"
		case k.Lanes > 1:
			label += "x" + lanes
		}
		known[label], known[pairs] = true, true
		var want []string
		for _, f := range k.features {
			want = append(want, f.String())
		}
		have := slices.Concat(strings.Split(got[label], ", "), strings.Split(got[pairs], ", "))
		var helpers []string
		if k.unpack != nil {
			helpers = append(helpers, "unpackAVX2", "gatherAVX2")
		}
		if k.spread != nil {
			helpers = append(helpers, strings.Replace(label, "label", "spread", 1))
		}
		for _, name := range helpers {
			known[name] = true
			have = append(have, strings.Split(got[name], ", ")...)
		}
		slices.Sort(want)
		slices.Sort(have)
		if diff := cmp.Diff(want, slices.Compact(have)); diff != "" {
			t.Errorf("features of %s, and requirements of %s and %s (-kernel +assembly):\n%s", k.Name, label, pairs, diff)
		}
	}
	for name := range got {
		if !known[name] {
			t.Errorf("no kernel is named like function %s, and no function calls it", name)
		}
	}
}

// assembly is a file's text, with those of this directory that it includes.
func assembly(t *testing.T, file string) string {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	include := regexp.MustCompile(`(?m)^#include "\w+_` + runtime.GOARCH + `\.h"\n`)
	return include.ReplaceAllStringFunc(string(source), func(line string) string {
		return assembly(t, strings.Trim(strings.Fields(line)[1], `"`))
	})
}
