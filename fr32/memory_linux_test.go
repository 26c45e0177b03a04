package fr32

import (
	"bytes"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// A read or write one byte before or behind any buffer is a segmentation fault.
func TestUnreadablePages(t *testing.T) {
	t.Parallel()
	page := os.Getpagesize()
	// between has size bytes at the start or at the end of pages between unreadable ones.
	between := func(size int, end bool) []byte {
		room := (size + page - 1) / page * page
		b, err := syscall.Mmap(-1, 0, room+2*page, syscall.PROT_NONE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
		if err != nil {
			t.Fatalf("mapping %d bytes: %v", room+2*page, err)
		}
		t.Cleanup(func() {
			if err := syscall.Munmap(b); err != nil {
				t.Error(err)
			}
		})
		if err := syscall.Mprotect(b[page:][:room], syscall.PROT_READ|syscall.PROT_WRITE); err != nil {
			t.Fatal(err)
		}
		if end {
			return b[page+room-size:][:size:size]
		}
		return b[page:][:size:size]
	}
	for _, units := range []int{1, 2, 3, lineUnits, lineUnits + 1, 3*lineUnits - 1} {
		src := randomBytes(uint64(units), units*unpaddedUnit)
		want := padReference(src)
		for _, end := range []bool{false, true} {
			data, padded := between(len(src), end), between(len(want), end)
			for _, k := range usable() {
				for _, past := range []bool{false, true} {
					copy(data, src)
					k.padAll(padded, data, past)
					clear(data)
					if bad := k.unpadAll(data, padded, past); bad >= 0 || !bytes.Equal(padded, want) || !bytes.Equal(data, src) {
						t.Errorf("%s, past the cache %v, %d units, at the end %v: wrong", k.name, past, units, end)
					}
				}
			}
		}
	}
}

// The kernel that ought to run here does, by what Linux says of the CPU.
func TestKernel(t *testing.T) {
	t.Parallel()
	want := "generic"
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case len(kernels) == 1: // built without assembly
	case runtime.GOARCH == "arm64": // which all have NEON; under QEMU the file is about another CPU
		want = "neon"
	case strings.Contains(string(info), " avx512f "):
		want = "avx512"
	case strings.Contains(string(info), " avx2 "):
		want = "avx2"
	}
	if got := Kernel(); got != want {
		t.Errorf("the kernel is %s, want %s", got, want)
	}
}
