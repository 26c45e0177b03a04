package layers_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

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
	w, err := layers.Create(dir, 3, size)
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan int, len(steps))
	for _, s := range steps {
		ready <- s
	}
	close(ready)
	return dir, w.WriteFrom(labels, ready)
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
