//go:build !purego && (amd64 || arm64)

package sha256

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The features that stand above an assembly function are those that its kernel
// asks for. Functions are named after kernels: labelSHANI is of "sha-ni/1",
// labelSHANIx2 of "sha-ni/2", pairsSHANI of both. A function without a
// kernel's name is called by others, and requires what they do. Kernels of more
// lanes than their instruction set has functions for share the widest.
func TestRequires(t *testing.T) {
	want := map[string]string{"prefetchRows": ""} // by function
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
		var names []string
		for _, f := range k.Features {
			names = append(names, f.String())
		}
		features := strings.Join(names, ", ")
		if other, ok := want[pairs]; ok && other != features {
			t.Errorf("%s is of kernels that need %q and %q", pairs, other, features)
		}
		want[label], want[pairs] = features, features
	}

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
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kernels' features and assembly's requirements (-kernels +assembly):\n%s", diff)
	}
}
