package seal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/sdr-engine/sdr/fr32"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/porep"
)

// someFile is a file of so many bytes, none of them zero.
func someFile(t *testing.T, size int) (*os.File, []byte) {
	t.Helper()
	data := make([]byte, size)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range data {
		data[i] = byte(1 + rnd.IntN(255))
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "piece"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	return f, data
}

// canMap skips a test where the kernel cannot do what a mapping needs.
func canMap(t *testing.T, f *os.File) {
	t.Helper()
	memory, err := linux.MapPart(f, 0, linux.PageSize)
	if err != nil {
		t.Skipf("files cannot be mapped here: %v", err)
	}
	defer func() { _ = linux.Unmap(memory) }()
	if err := linux.PopulateRead(memory); err != nil {
		t.Skipf("mapped files are not brought within reach by a call here (Linux 5.14): %v", err)
	}
}

// TestMappingIsTheFile: every whole block is what the file has there, wherever in its pages the
// payload begins, and parts are gone when all of their blocks are done.
func TestMappingIsTheFile(t *testing.T) {
	const block, blocks = 127 << 11, 37
	f, data := someFile(t, 5000+blocks*block+77)
	canMap(t, f)
	for _, start := range []int64{0, 1, 4096, 5000} {
		m := mappingOf(f, start, blocks*block+77, block)
		for i := range int64(blocks) {
			ok, err := m.use(i, func(b []byte) error {
				if want := data[start+i*block:][:block]; !bytes.Equal(b, want) {
					return errors.New("other bytes")
				}
				return nil
			})
			if !ok || err != nil {
				t.Errorf("start %d, block %d: %v, %v", start, i, ok, err)
			}
			m.done(i)
		}
		m.done(blocks)
		if len(m.parts) != 0 {
			t.Errorf("start %d: parts that nobody uses: %d", start, len(m.parts))
		}
		m.close()
	}
}

// skipNoAddress is deferred where memory faults on purpose.
func skipNoAddress(t *testing.T) {
	came := recover()
	value := came
	if fault, is := came.(*failure.Fault); is { // on another goroutine
		value = fault.Value
	}
	switch value.(type) {
	case nil:
	case interface{ Addr() uintptr }:
		panic(came)
	default: // as an emulator may
		t.Skipf("this system does not say at which address memory faults: %v", value)
	}
}

// TestMappingOfFileThatIsCut: a file that gets shorter while a block is used is not believed,
// whether that is a memory fault, in assembly too, or zeros in its last page; and it says so where
// the file ended before.
func TestMappingOfFileThatIsCut(t *testing.T) {
	const block, blocks = 127 << 11, 4
	for _, length := range []int64{0, 3 * block / 2, 2*block - 10} {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			defer skipNoAddress(t)
			f, _ := someFile(t, blocks*block)
			m := mappingOf(f, 0, blocks*block, block)
			defer m.close()
			padded := make([]byte, block/127*128)
			ok, err := m.use(1, func(b []byte) error {
				if err := f.Truncate(length); err != nil {
					return err
				}
				return fr32.Pad(padded, b)
			})
			if ok {
				t.Errorf("cut short while it is used: believed, %v", err)
			}
			if ok, _ := m.use(3, func([]byte) error { return nil }); ok {
				t.Error("behind the file's end: believed")
			}
		})
	}
}

// TestMappingLetsOthersPanic: what panics there without having to do with the file is not lost.
func TestMappingLetsOthersPanic(t *testing.T) {
	const block = 127 << 11
	f, _ := someFile(t, 3*block)
	canMap(t, f)
	m := mappingOf(f, 0, 3*block, block)
	defer m.close()
	for name, read := range map[string]func([]byte) error{
		"a value": func([]byte) error { panic("x") },
		"an address of its own": func([]byte) error {
			var p *int
			*p = 1
			return nil
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			_, _ = m.use(0, read)
		}()
	}
}

// TestPieceThatIsNotMapped: without a mapping blocks are read, and nothing else changes.
func TestPieceThatIsNotMapped(t *testing.T) {
	size := porep.PaddedSize(2 << 20).Unpadded()
	f, data := someFile(t, int(size))
	want, err := CommP(t.Context(), bytes.NewReader(data), size)
	if err != nil {
		t.Fatal(err)
	}
	for _, cannot := range []bool{false, true} {
		if _, err := f.Seek(0, 0); err != nil {
			t.Fatal(err)
		}
		p := &pass{size: size, block: pieceBlock, stop: make(chan struct{})}
		p.from = sourceOf(f, p, passing{})
		p.from.(*fileSource).mapping.cannot = cannot
		p.work(t.Context(), spot{})
		if root, err := p.finish(); p.err != nil || err != nil || root != want.CommP {
			t.Errorf("mapped %v: comm_p %v, want %v; %v, %v", !cannot, root, want.CommP, p.err, err)
		}
	}
}
