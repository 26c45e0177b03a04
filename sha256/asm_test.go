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
// "sha-ni/2", pairsSHANI of both. A function without a kernel's name is called by
// others, and requires what they do. Kernels of more lanes than their instruction
// set has functions for share the widest.
func TestRequires(t *testing.T) {
	files, err := filepath.Glob("*_" + runtime.GOARCH + ".s")
	if err != nil {
		t.Fatal(err)
	}
	var (
		function = regexp.MustCompile(`^TEXT (?:·(\w+)|(\w+<>))\(SB\)`)
		name     = regexp.MustCompile(`^#define (\w+) (\w+<>)\(SB\)`)
		call     = regexp.MustCompile(`^\tCALL\s+(\w+(?:<>)?)`)
	)
	got := map[string]string{}
	for _, file := range files {
		requires, current := "", ""
		local := map[string]string{}
		named := map[string]string{}
		for line := range strings.Lines(assembly(t, file)) {
			if list, ok := strings.CutPrefix(line, "// Requires: "); ok {
				requires = strings.TrimSpace(list)
			}
			if m := function.FindStringSubmatch(line); m != nil {
				if current = m[1]; current != "" {
					got[current] = requires
				} else {
					local[m[2]] = requires
				}
				requires = ""
			} else if strings.HasPrefix(line, "TEXT ") {
				t.Errorf("%s: what function is this? %s", file, line)
			}
			if m := name.FindStringSubmatch(line); m != nil {
				named[m[1]] = m[2]
			}
			if m := call.FindStringSubmatch(line); m != nil {
				callee := m[1]
				if function, ok := named[callee]; ok {
					callee = function
				}
				if local[callee] != got[current] {
					t.Errorf("%s: %s requires %q, but %s, which it calls, %q", file, current, got[current], callee, local[callee])
				}
			}
		}
	}
	// These belong to no kernel. What the CPU must have for them is looked up where they
	// are called.
	ofNone := map[string]map[string]string{
		"amd64": {"prefetchRows": "", "stageRows": "SSE2", "locateAVX2": "AVX2, AVX", "greatestAVX2": "AVX2, AVX"},
		"arm64": {"prefetchRows": ""},
	}[runtime.GOARCH]
	known := map[string]bool{}
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
		for _, f := range k.Features {
			want = append(want, f.String())
		}
		have := slices.Concat(strings.Split(got[label], ", "), strings.Split(got[pairs], ", "))
		if k.unpack != nil {
			known["unpackAVX2"] = true
			have = append(have, strings.Split(got["unpackAVX2"], ", ")...)
		}
		slices.Sort(want)
		slices.Sort(have)
		if diff := cmp.Diff(want, slices.Compact(have)); diff != "" {
			t.Errorf("features of %s, and requirements of %s and %s (-kernel +assembly):\n%s", k.Name, label, pairs, diff)
		}
	}
	for name := range got {
		if !known[name] {
			t.Errorf("no kernel is named like function %s", name)
		}
	}
}

// assembly is a file's text, with those of this folder that it includes.
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
