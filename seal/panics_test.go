package seal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

// TestSourcePanics: a piece whose source panics leaves staged and its record as they were, and the
// caller has the panic where the source's own would have come.
func TestSourcePanics(t *testing.T) {
	const sector = porep.StackedDrg8MiBV1_1
	first := bytes.Repeat([]byte{3}, 1016)
	size := porep.PaddedSize(4 << 20).Unpadded()
	panics := func(after int64) io.Reader {
		return io.MultiReader(io.LimitReader(repeated(5), after), panicking{})
	}
	before := runtime.NumGoroutine()
	for name, add := range map[string]func(staged string, after int64) error{
		"AppendPiece": func(staged string, after int64) error {
			_, err := AppendPiece(t.Context(), Append{Proof: sector, Staged: staged}, panics(after), size)
			return err
		},
		"AppendPiece, no sync": func(staged string, after int64) error {
			_, err := AppendPiece(t.Context(), Append{Proof: sector, Staged: staged, Existing: []porep.UnpaddedSize{1016}, NoSync: true}, panics(after), size)
			return err
		},
		"AddPiece": func(staged string, after int64) error {
			f, err := os.OpenFile(staged, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			if _, err := f.Seek(0, io.SeekEnd); err != nil {
				return err
			}
			_, err = AddPiece(t.Context(), sector, panics(after), size, f, []porep.UnpaddedSize{1016})
			return err
		},
		"WriteStaged": func(staged string, after int64) error {
			_, err := WriteStaged(t.Context(), sector, staged+".new", []NewPiece{{Size: size, Open: func(context.Context) (io.ReadCloser, error) {
				return io.NopCloser(panics(after)), nil
			}}})
			return err
		},
	} {
		for _, after := range []int64{0, 1, int64(size) / 2, int64(size) - 1} {
			dir := t.TempDir()
			staged := filepath.Join(dir, "staged")
			a := Append{Proof: sector, Staged: staged, Record: name == "AppendPiece"}
			if _, err := AppendPiece(t.Context(), a, bytes.NewReader(first), 1016); err != nil {
				t.Fatal(err)
			}
			was := filesIn(t, dir)
			var err error
			panicked := func() (value any) {
				defer func() { value = recover() }()
				err = add(staged, after)
				return nil
			}()
			if panicked == nil {
				t.Errorf("%s, after %d bytes: no panic, %v", name, after, err)
			}
			if now := filesIn(t, dir); !equalFiles(was, now) {
				t.Errorf("%s, after %d bytes: other files: %d bytes of staged, were %d; %d files, were %d", name, after, len(now["staged"]), len(was["staged"]), len(now), len(was))
			}
			// The lock is free.
			if _, err := AppendPiece(t.Context(), Append{Proof: sector, Staged: staged, Existing: existing(name), NoWait: true}, bytes.NewReader(first), 1016); err != nil {
				t.Errorf("%s, after %d bytes: the next piece: %v", name, after, err)
			}
		}
	}
	testkit.WaitFor(t, func() bool { return runtime.NumGoroutine() <= before })
}

func existing(name string) []porep.UnpaddedSize {
	if name == "AppendPiece" {
		return nil // the record says so
	}
	return []porep.UnpaddedSize{1016}
}

type repeated byte

func (r repeated) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(r)
	}
	return len(b), nil
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic(errors.New("a source's")) }

func filesIn(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func equalFiles(a, b map[string][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for name, data := range a {
		if other, ok := b[name]; !ok || !bytes.Equal(data, other) {
			return false
		}
	}
	return true
}
