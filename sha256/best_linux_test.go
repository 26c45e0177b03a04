//go:build !purego

package sha256

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

// The kernels that ought to run here do, by what Linux says of the CPU.
func TestBest(t *testing.T) {
	want := map[int]string{1: "generic/1", 2: "", 4: "", 8: "", 16: "", 32: ""} // by lanes
	tree := "generic/"
	if runtime.GOARCH == "amd64" && hasFlags(t, "avx2") {
		want[8], tree = "avx2/8", "avx2/"
	}
	switch {
	case runtime.GOARCH == "amd64" && hasFlags(t, "sha_ni", "sse4_1", "ssse3"):
		for lanes := 1; lanes <= 16; lanes *= 2 {
			want[lanes] = fmt.Sprintf("sha-ni/%d", lanes)
		}
		tree = "sha-ni/"
	case runtime.GOARCH == "arm64" && hasSHA2(t):
		want[1], want[2], tree = "armv8/1", "armv8/2", "armv8/"
	}
	if runtime.GOARCH == "amd64" && hasFlags(t, "avx512f", "avx512bw", "avx") {
		want[16], want[32], tree = "avx512/16", "avx512/32", "avx512/"
		if hasFlags(t, "avx512vl", "avx2") {
			want[8] = "avx512/8"
		}
	}
	for lanes, name := range want {
		got := ""
		if k := Best(lanes); k != nil {
			got = k.Name
		}
		if got != name {
			t.Errorf("the best kernel of %d lanes is %q, want %q", lanes, got, name)
		}
	}
	if got := BestTree().Name; !strings.HasPrefix(got, tree) {
		t.Errorf("the best kernel for trees is %s, want one of %s", got, tree)
	}
}

func hasFlags(t *testing.T, flags ...string) bool {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(info)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "flags" {
			has := " " + strings.TrimSpace(value) + " "
			for _, f := range flags {
				if !strings.Contains(has, " "+f+" ") {
					return false
				}
			}
			return true
		}
	}
	t.Fatal("no flags in /proc/cpuinfo")
	return false
}

// hasSHA2 reads the bit that the kernel tells a process at its start; an
// emulator's /proc/cpuinfo may be that of the machine below it.
func hasSHA2(t *testing.T) bool {
	const hwcap, sha2 = 16, 1 << 6 // AT_HWCAP, HWCAP_SHA2
	auxv, err := os.ReadFile("/proc/self/auxv")
	if err != nil {
		t.Fatal(err)
	}
	for ; len(auxv) >= 16; auxv = auxv[16:] {
		if binary.LittleEndian.Uint64(auxv) == hwcap {
			return binary.LittleEndian.Uint64(auxv[8:])&sha2 != 0
		}
	}
	t.Fatal("no AT_HWCAP in /proc/self/auxv")
	return false
}
