package layers_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/linux"
)

const size = 32 << 10

func labels() []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// write writes parts of labels, each to the next cut, in any order and by any
// way, and commits.
func write(t *rapid.T, dir string, labels []byte, way durable.Way, order []int, cuts []int) error {
	ws, err := layers.Create(context.Background(), dir, 1, 3, size, 32)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	for _, i := range order {
		if err := ws.Layer(3).Write(way, labels[cuts[i]:cuts[i+1]], int64(cuts[i])); err != nil {
			return err
		}
	}
	if err := ws.Layer(3).Commit(context.Background()); err != nil {
		return err
	}
	read := make([]byte, size)
	for i := range order { // parts that need not be aligned, and all of it
		part := read[cuts[i]:cuts[i+1]]
		if err := ws.Layer(3).Read(way, part, int64(cuts[i])); err != nil || !bytes.Equal(part, labels[cuts[i]:cuts[i+1]]) {
			t.Errorf("%d bytes written at %d read otherwise (%v)", len(part), cuts[i], err)
		}
	}
	if err := ws.Layer(3).Read(way, read, 0); err != nil || !bytes.Equal(read, labels) {
		t.Errorf("what was written reads otherwise (%v)", err)
	}
	if err := ws.Layer(3).Read(way, read, 32); !errors.As(err, new(*durable.LostError)) {
		t.Errorf("reading past the end: %v", err)
	}
	ws.Layer(3).Forget()
	return nil
}

func TestWrite(t *testing.T) {
	want := labels()
	rapid.Check(t, func(rt *rapid.T) {
		cuts := []int{0}
		for at := 0; at < size; cuts = append(cuts, at) {
			at += rapid.SampledFrom([]int{32, 4096, size - at, 8192}).Draw(rt, "part")
			at = min(at, size)
		}
		parts := make([]int, len(cuts)-1)
		for i := range parts {
			parts[i] = i
		}
		order := rapid.Permutation(parts).Draw(rt, "order")
		way := rapid.SampledFrom([]durable.Way{durable.Direct, durable.Uncached, durable.Behind}).Draw(rt, "way")
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		missing := rapid.IntRange(0, 3).Draw(rt, "missing") == 0
		if missing {
			order = order[1:]
		}
		err = write(rt, dir, want, way, order, cuts)
		left, _ := os.ReadDir(dir)
		if missing {
			if !errors.Is(err, layers.ErrIncomplete) || len(left) > 0 {
				rt.Errorf("with a part missing: %v, left %v", err, left)
			}
			return
		}
		if err != nil || len(left) != 1 {
			rt.Fatalf("%v, left %v", err, left)
		}
		got, err := os.ReadFile(filepath.Join(dir, "sc-02-data-layer-3.dat"))
		if err != nil || !bytes.Equal(got, want) {
			rt.Errorf("the file differs (%v)", err)
		}
	})
}

func TestOutside(t *testing.T) {
	ws, err := layers.Create(t.Context(), t.TempDir(), 1, 1, size, 32)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	for _, off := range []int64{-1, 1, size, 1 << 62} {
		for _, way := range []durable.Way{durable.Direct, durable.Behind} {
			if err := ws.Layer(1).Write(way, make([]byte, size), off); err == nil {
				t.Errorf("written at %d", off)
			}
		}
	}
}

// TestStale: layers of an earlier job go, unless another job has the cache dir.
func TestStale(t *testing.T) {
	dir := t.TempDir()
	stale := layers.Path(dir, 2)
	keep := []string{"sc-02-data-layer-0.dat", "sc-02-data-layer-01.dat", "sc-02-data-layer-x.dat", "sc-02-data-tree-d.dat", "t_aux.old"}
	gone := []string{
		filepath.Base(stale), "sc-02-data-layer-11.dat", "p_aux", "t_aux", "syn-porep-vanilla-proofs.dat",
		"sc-02-data-tree-c.dat", "sc-02-data-tree-c-7.dat", "sc-02-data-tree-r-last.dat", "sc-02-data-tree-r-last-0.dat",
	}
	for _, name := range slices.Concat(keep, gone) {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	other, err := durable.Create(t.Context(), layers.Path(dir, 3))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" {
		if _, err := layers.Create(t.Context(), dir, 1, 3, size, 32); !errors.Is(err, linux.ErrLocked) {
			t.Errorf("while another job is at work: %v", err)
		}
		if _, err := os.Stat(stale); err != nil {
			t.Errorf("while another job is at work: %v", err)
		}
	}
	other.Abort()
	ws, err := layers.Create(t.Context(), dir, 1, 3, size, 32)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a layer of an earlier job: %v", err)
	}
	ws.Close()
	left, _ := os.ReadDir(dir)
	if slices.ContainsFunc(left, func(e os.DirEntry) bool { return !slices.Contains(keep, e.Name()) }) || len(left) != len(keep) {
		t.Errorf("left %v, want %q", left, keep)
	}
}

// TestResume: layers before the first stay.
func TestResume(t *testing.T) {
	dir := t.TempDir()
	for layer := 1; layer <= 3; layer++ {
		if err := os.WriteFile(layers.Path(dir, layer), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	ws, err := layers.Create(t.Context(), dir, 2, 3, size, 32)
	if err != nil {
		t.Fatal(err)
	}
	ws.Close()
	if left, _ := os.ReadDir(dir); len(left) != 1 || left[0].Name() != filepath.Base(layers.Path(dir, 1)) {
		t.Errorf("left %v, want layer 1", left)
	}
}
