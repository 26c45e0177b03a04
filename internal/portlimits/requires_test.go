//go:build !purego && (amd64 || arm64)

package portlimits

import (
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each loop needs the features that stand above its function, and each function is
// a loop's.
func TestRequires(t *testing.T) {
	want := map[string]string{} // by function
	for _, l := range loops() {
		name := runtime.FuncForPC(reflect.ValueOf(l.run).Pointer()).Name()
		var features []string
		for _, f := range l.needs {
			features = append(features, f.String())
		}
		want[name[strings.LastIndex(name, ".")+1:]] = strings.Join(features, ", ")
	}
	source, err := os.ReadFile("asm_" + runtime.GOARCH + ".s")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	requires := ""
	for line := range strings.Lines(string(source)) {
		if list, ok := strings.CutPrefix(line, "// Requires: "); ok {
			requires = strings.TrimSpace(list)
		}
		if name, ok := strings.CutPrefix(line, "TEXT ·"); ok {
			name, _, _ = strings.Cut(name, "(")
			got[name], requires = requires, ""
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("loops' features and assembly's requirements (-loops +assembly):\n%s", diff)
	}
}
