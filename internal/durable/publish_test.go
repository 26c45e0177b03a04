package durable_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"pgregory.net/rapid"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/linux"
)

// written is a file of so many bytes that was not committed yet.
func written(t testing.TB, path string, size int) (f *durable.File, content []byte) {
	t.Helper()
	content = make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(content)
	f, err := durable.Create(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Reserve(int64(len(content))); err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(content); at += 700_000 {
		part := content[at:min(len(content), at+700_000)]
		if err := f.WriteVia(durable.Way(at/700_000%3), part, int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	return f, content
}

// TestLost: whatever becomes of a file's names while it is written, no other file is taken
// for it, and what others have put there stays.
func TestLost(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files that are open stay there")
	}
	for name, interfere := range map[string]func(dir string) error{
		"temporary removed": func(dir string) error { return os.Remove(filepath.Join(dir, ".data.tmp")) },
		"temporary replaced": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, ".data.tmp")), os.WriteFile(filepath.Join(dir, ".data.tmp"), []byte("other"), 0o666))
		},
		"temporary begun again": func(dir string) error {
			if err := os.Remove(filepath.Join(dir, ".data.tmp")); err != nil {
				return err
			}
			f, err := durable.Create(t.Context(), filepath.Join(dir, "data"))
			if err == nil {
				t.Cleanup(f.Abort)
			}
			return err
		},
		"directory wiped": func(dir string) error {
			return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o777))
		},
		"directory replaced": func(dir string) error {
			return errors.Join(os.Rename(dir, dir+".old"), os.Mkdir(dir, 0o777), os.WriteFile(filepath.Join(dir, ".data.tmp"), []byte("other"), 0o666))
		},
		"name taken": func(dir string) error { return os.WriteFile(filepath.Join(dir, "data"), []byte("other"), 0o666) },
	} {
		for range 50 {
			dir := filepath.Join(t.TempDir(), "dir")
			if err := os.Mkdir(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			f, _ := written(t, filepath.Join(dir, "data"), 10_000)
			if err := interfere(dir); err != nil {
				t.Fatal(err)
			}
			before := names(t, dir)
			err := f.Commit(t.Context())
			if !errors.As(err, new(*durable.LostError)) {
				t.Fatalf("%s: error %v", name, err)
			}
			if got, _ := os.ReadFile(filepath.Join(dir, "data")); len(got) > 0 && string(got) != "other" {
				t.Fatalf("%s: %d bytes have the name", name, len(got))
			}
			if name == "name taken" {
				before = []string{"data"} // ours went
			}
			if after := names(t, dir); len(after) != len(before) {
				t.Fatalf("%s: %q were there, and now %q", name, before, after)
			}
			if name == "directory wiped" && runtime.GOOS == "linux" {
				// It shows before the end, too.
				f, _ := written(t, filepath.Join(dir, "data"), 10_000)
				if err := f.Lost(); err != nil {
					t.Fatal(err)
				}
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				if err := f.Lost(); !errors.As(err, new(*durable.LostError)) {
					t.Fatalf("lost: %v", err)
				}
				f.Abort()
			}
		}
	}
}

// TestNextFileOfWipedDirectory: a job whose directory has gone says so when it makes its
// next file, too.
func TestNextFileOfWipedDirectory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere an open directory cannot be removed, or not be made again")
	}
	path := filepath.Join(t.TempDir(), "cache")
	for _, again := range []bool{false, true} {
		if err := os.Mkdir(path, 0o777); err != nil {
			t.Fatal(err)
		}
		dir, err := durable.OpenDir(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if again {
			if err := os.Mkdir(path, 0o777); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := dir.Create("data"); !errors.As(err, new(*durable.LostError)) {
			t.Errorf("made again: %v: %v", again, err)
		}
	}
}

// TestReadBack: a bit that changes between writing and committing, on the disk or on its way
// there, keeps the file from its name; one that changes afterwards shows when it is looked
// at once more, and so does a length.
func TestReadBack(t *testing.T) {
	flip := func(path string, at int64) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var b [1]byte
		if _, err := f.ReadAt(b[:], at); err != nil {
			t.Fatal(err)
		}
		b[0] ^= 1
		if _, err := f.WriteAt(b[:], at); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []int64{0, 1<<20 - 1, 1 << 20, 3<<20 - 1, 3<<20 + 99} {
		path := filepath.Join(t.TempDir(), "data")
		f, content := written(t, path, 3<<20+100)
		flip(filepath.Join(filepath.Dir(path), ".data.tmp"), at)
		var changed *durable.ChangedError
		if err := f.Commit(t.Context()); !errors.As(err, &changed) || changed.Off > at || at >= changed.Off+changed.Len {
			t.Errorf("byte %d before Commit: error %v", at, err)
		}
		if left := names(t, filepath.Dir(path)); len(left) > 0 {
			t.Errorf("left %q", left)
		}

		f, _ = written(t, path, 3<<20+100)
		hash := sha256.New()
		f.Hash(hash)
		if err := f.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := sha256.Sum256(content); !bytes.Equal(hash.Sum(nil), want[:]) {
			t.Errorf("SHA-256 %x, want %x", hash.Sum(nil), want)
		}
		if err := f.Recheck(t.Context()); err != nil {
			t.Error(err)
		}
		flip(path, at)
		flip(path, at)
		if err := f.Recheck(t.Context()); err != nil {
			t.Errorf("as it was: %v", err)
		}
		flip(path, at)
		if err := f.Recheck(t.Context()); !errors.As(err, &changed) {
			t.Errorf("byte %d after Commit: error %v", at, err)
		}
		if left := names(t, filepath.Dir(path)); len(left) > 0 {
			t.Errorf("wrong, but it has its name: %q", left)
		}

		f, _ = written(t, path, 3<<20+100)
		if err := f.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, at); err != nil {
			t.Fatal(err)
		}
		if err := f.Recheck(t.Context()); !errors.As(err, new(*durable.LostError)) {
			t.Errorf("cut at %d: error %v", at, err)
		}
	}
}

// TestSums: any file, written in any parts, is found right, and wrong wherever a byte is.
func TestSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 100_000).Draw(t, "size")
		content := make([]byte, size)
		rand.NewChaCha8([32]byte{3}).Read(content)
		sums := durable.NewSums(int64(size), rapid.SampledFrom([]int{32, 1000, 4096, 1 << 20}).Draw(t, "block"))
		for at := 0; at < size; {
			n := min(size-at, rapid.IntRange(1, 30_000).Draw(t, "part"))
			if rapid.IntRange(0, 3).Draw(t, "hole") == 0 {
				clear(content[at : at+n])
			} else {
				sums.Add(content[at:at+n], int64(at))
			}
			at += n
		}
		check := func() error {
			return sums.CheckAll(context.Background(), "file", nil, func(b []byte, off int64) error {
				if copy(b, content[off:]) < len(b) {
					return io.ErrUnexpectedEOF
				}
				return nil
			})
		}
		if err := check(); err != nil {
			t.Fatal(err)
		}
		content[rapid.IntRange(0, size-1).Draw(t, "wrong")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if err := check(); !errors.As(err, new(*durable.ChangedError)) {
			t.Fatalf("error %v", err)
		}
	})
}

// TestDirLock: a directory is one job's, also when everything in it was removed.
func TestDirLock(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("locks are Linux's")
	}
	path := t.TempDir()
	open := func() *durable.Dir {
		d, err := durable.OpenDir(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	first, second := open(), open()
	defer second.Close()
	if err := first.Lock(); err != nil {
		t.Fatal(err)
	}
	if err := second.Lock(); !errors.Is(err, linux.ErrLocked) {
		t.Errorf("error %v", err)
	}
	first.Close()
	if err := second.Lock(); err != nil {
		t.Error(err)
	}
}

// writer is another process's: it writes to a file while that is read back, behind where the
// reading is.
type writer struct {
	path    string
	written bool
}

func (w *writer) Before(op *durable.Op) error {
	if op.Kind != durable.OpRead || op.Off == 0 || w.written {
		return nil
	}
	w.written = true
	f, err := os.OpenFile(w.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte{0xff}, 0)
	return errors.Join(err, f.Close())
}

func (*writer) After(*durable.Op) error { return nil }

// TestChangedWhileReadBack: what is written to a file after that part was read back shows when
// it is looked at once more, and the file does not keep its name.
func TestChangedWhileReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	other := &writer{path: filepath.Join(filepath.Dir(path), ".data.tmp")}
	f, err := durable.Create(durable.WithInjector(t.Context(), other), path)
	if err != nil {
		t.Fatal(err)
	}
	const size = 8 << 20
	if err := f.Reserve(size); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, size), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(t.Context()); err != nil || !other.written {
		t.Fatalf("error %v, written %v", err, other.written)
	}
	if err := f.Recheck(t.Context()); !errors.As(err, new(*durable.ChangedError)) {
		t.Errorf("error %v", err)
	}
	if left := names(t, filepath.Dir(path)); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}
