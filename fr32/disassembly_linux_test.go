//go:build !purego && (amd64 || arm64)

package fr32

import (
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/internal/disassembly"
)

// Assembly needs what stands above it, a kernel what stands above its functions, and each
// function is a kernel's.
func TestInstructionsNeedTheFeatures(t *testing.T) {
	functions := disassembly.Check(t, "github.com/sdr-engine/sdr/fr32")
	used := map[string]bool{}
	for _, k := range archKernels() {
		var want, got []string
		for _, f := range k.features {
			want = append(want, f.String())
		}
		for _, f := range []any{k.pad, k.unpad, k.padPast, k.copyPast, k.fence} {
			if reflect.ValueOf(f).IsNil() {
				continue
			}
			name := runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
			name = name[strings.LastIndex(name, ".")+1:]
			got = append(got, functions[name]...)
			used[name] = true
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
			t.Errorf("features of %s, and what its functions require (-kernel +assembly):\n%s", k.name, diff)
		}
	}
	for name := range functions {
		if !used[name] {
			t.Errorf("no kernel has the function %s", name)
		}
	}
}
