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
		call     = regexp.MustCompile(`^\tCALL\s+(\w+<>)\(SB\)`)
	)
	got := map[string]string{}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		requires, current := "", ""
		local := map[string]string{}
		for line := range strings.Lines(string(source)) {
			if list, ok := strings.CutPrefix(line, "// Requires: "); ok {
				requires = strings.TrimSpace(list)
			}
			if name := function.FindStringSubmatch(line); name != nil {
				if current = name[1]; current != "" {
					got[current] = requires
				} else {
					local[name[2]] = requires
				}
				requires = ""
			} else if strings.HasPrefix(line, "TEXT ") {
				t.Errorf("%s: what function is this? %s", file, line)
			}
			if callee := call.FindStringSubmatch(line); callee != nil && local[callee[1]] != got[current] {
				t.Errorf("%s: %s requires %q, but %s, which it calls, %q", file, current, got[current], callee[1], local[callee[1]])
			}
		}
	}
	const every = "prefetchRows" // CPU can run it
	if got[every] != "" {
		t.Errorf("%s requires %s", every, got[every])
	}
	known := map[string]bool{every: true}
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
