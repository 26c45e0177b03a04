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
// labelSHANIx2 of "sha-ni/2".
func TestRequires(t *testing.T) {
	want := map[string]string{}
	for _, k := range archKernels() {
		set, lanes, _ := strings.Cut(k.Name, "/")
		name := strings.ToUpper(strings.ReplaceAll(set, "-", ""))
		if lanes != "1" {
			name += "x" + lanes
		}
		var features []string
		for _, f := range k.Features {
			features = append(features, f.String())
		}
		want[name] = strings.Join(features, ", ")
	}

	files, err := filepath.Glob("*_" + runtime.GOARCH + ".s")
	if err != nil {
		t.Fatal(err)
	}
	function := regexp.MustCompile(`^TEXT ·(?:label|pairs)(\w+)\(SB\)`)
	got := map[string]string{}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		requires := ""
		for line := range strings.Lines(string(source)) {
			if list, ok := strings.CutPrefix(line, "// Requires: "); ok {
				requires = strings.TrimSpace(list)
			}
			if !strings.HasPrefix(line, "TEXT ") {
				continue
			}
			name := function.FindStringSubmatch(line)
			if name == nil {
				t.Errorf("%s: no kernel's function: %s", file, line)
				continue
			}
			if other, ok := got[name[1]]; ok && other != requires {
				t.Errorf("%s: %s requires %q in one function, %q in another", file, name[1], other, requires)
			}
			got[name[1]], requires = requires, ""
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kernels' features and assembly's requirements (-kernels +assembly):\n%s", diff)
	}
}
