//go:build !purego

package sha256

import (
	"encoding/binary"
	"os"
	"runtime"
	"strings"
	"testing"
)

// The kernels that ought to run here do, by what Linux says of the CPU.
func TestBest(t *testing.T) {
	want := map[int]string{1: "generic/1", 2: "", 8: ""} // by lanes
	switch {
	case runtime.GOARCH == "amd64" && hasFlags(t, "sha_ni", "sse4_1", "ssse3"):
		want[1], want[2] = "sha-ni/1", "sha-ni/2"
	case runtime.GOARCH == "arm64" && hasSHA2(t):
		want[1], want[2] = "armv8/1", "armv8/2"
	}
	if runtime.GOARCH == "amd64" && hasFlags(t, "avx2") {
		want[8] = "avx2/8"
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
