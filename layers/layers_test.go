package layers_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"pgregory.net/rapid"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/layers"
)

const size = 2048

func labels() []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// write runs a Writer that hears of the layer's progress in these steps.
func write(t interface {
	Fatal(...any)
	TempDir() string
}, labels []byte, steps ...int) (dir string, err error) {
	dir = t.TempDir()
	ws, err := layers.Create(dir, 3, size)
	if err != nil {
		t.Fatal(err)
	}
	defer layers.Abort(ws)
	ready := make(chan int, len(steps))
	for _, s := range steps {
		ready <- s
	}
	close(ready)
	return dir, ws[2].WriteFrom(context.Background(), labels, ready)
}

func TestWriteFrom(t *testing.T) {
	want := labels()
	rapid.Check(t, func(rt *rapid.T) {
		var steps []int
		for at := 0; at < size; steps = append(steps, at) {
			at += rapid.IntRange(0, size-at).Draw(rt, "step")
		}
		dir, err := write(t, want, steps...)
		if err != nil {
			rt.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "sc-02-data-layer-3.dat"))
		if err != nil || !bytes.Equal(got, want) {
			rt.Errorf("the file differs (%v)", err)
		}
	})
}

func TestIncomplete(t *testing.T) {
	tests := []struct {
		steps []int
		is    error
	}{
		{nil, layers.ErrIncomplete},
		{[]int{size - 32}, layers.ErrIncomplete},
		{[]int{32, size + 32}, nil},
		{[]int{64, 32, size}, nil},
	}
	for _, tt := range tests {
		dir, err := write(t, labels(), tt.steps...)
		if err == nil || tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("steps %d: %v", tt.steps, err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("steps %d left %v", tt.steps, left)
		}
	}
}

// TestStale: layers of an earlier job go, unless another job has the cache dir.
func TestStale(t *testing.T) {
	dir := t.TempDir()
	stale := layers.Path(dir, 2)
	if err := os.WriteFile(stale, make([]byte, size), 0o666); err != nil {
		t.Fatal(err)
	}
	other, err := durable.Create(layers.Path(dir, 3))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" {
		if _, err := layers.Create(dir, 3, size); !errors.Is(err, linux.ErrLocked) {
			t.Errorf("while another job is at work: %v", err)
		}
		if _, err := os.Stat(stale); err != nil {
			t.Errorf("while another job is at work: %v", err)
		}
	}
	other.Abort()
	ws, err := layers.Create(dir, 3, size)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a layer of an earlier job: %v", err)
	}
	layers.Abort(ws)
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// TestCanceled: who is canceled writes no more, however much is ready.
func TestCanceled(t *testing.T) {
	dir := t.TempDir()
	ws, err := layers.Create(dir, 1, size)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ready := make(chan int, 1)
	ready <- size
	if err := ws[0].WriteFrom(ctx, labels(), ready); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}
