package layers_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/layers"
)

// Links that somebody has put where a job writes, in a directory that all may write to, lead it nowhere:
// what they lead to is as it was, whether the job makes all layers, or begins and drops them one by one.
func TestPlanted(t *testing.T) {
	const last = 6
	for _, link := range []func(victim, path string) error{os.Symlink, os.Link} {
		for _, name := range []func(string) string{func(name string) string { return name }, durable.TempName} {
			dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
			secret := []byte("what is not the job's")
			err := errors.Join(os.Chmod(dir, 0o1777), os.WriteFile(victim, secret, 0o600))
			for layer := 1; layer <= last; layer++ {
				err = errors.Join(err, link(victim, filepath.Join(dir, name(layers.Name(layer)))))
			}
			if err != nil {
				t.Fatal(err)
			}
			s, err := createFew(t.Context(), dir, last)
			if err != nil {
				t.Fatal(err)
			}
			for layer := 1; layer <= last; layer++ {
				err := s.Begin(layer, layer > 1)
				if err == nil {
					err = s.Layer(layer).Write(durable.Behind, labels(), 0)
				}
				if err == nil {
					err = s.Layer(layer).Commit(t.Context())
				}
				if err == nil {
					err = s.Safe(layer, 2)
				}
				if err != nil {
					t.Fatalf("layer %d: %v", layer, err)
				}
			}
			s.Close()
			if now, err := os.ReadFile(victim); err != nil || !bytes.Equal(now, secret) {
				t.Errorf("the victim holds %q, %v", now, err)
			}
			for layer := 1; layer <= last; layer++ {
				info, err := os.Lstat(layers.Path(dir, layer))
				if there := err == nil; there != (layer > last-2) || there && (!info.Mode().IsRegular() || info.Size() != size) {
					t.Errorf("layer %d: %v, %v", layer, info, err)
				}
			}
		}
	}
}

// A file that takes a layer's place meanwhile is somebody else's, and is not dropped.
func TestDropReplaced(t *testing.T) {
	dir := t.TempDir()
	s, err := createFew(t.Context(), dir, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for layer := 1; layer <= 3; layer++ {
		if err := errors.Join(s.Begin(layer, layer > 1), s.Layer(layer).Write(durable.Behind, labels(), 0), s.Layer(layer).Commit(t.Context())); err != nil {
			t.Fatal(err)
		}
		if layer == 1 {
			other := filepath.Join(dir, "other")
			if err := errors.Join(os.WriteFile(other, []byte("another"), 0o666), os.Rename(other, layers.Path(dir, 1))); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Safe(layer, 2); err != nil {
			t.Fatal(err)
		}
	}
	if now, err := os.ReadFile(layers.Path(dir, 1)); err != nil || string(now) != "another" {
		t.Errorf("%q, %v", now, err)
	}
}

// createFew takes a cache dir and begins layers of which only the last stay.
func createFew(ctx context.Context, dir string, last int) (*layers.Set, error) {
	s, err := layers.Open(ctx, dir, "")
	if err == nil {
		err = s.CreateFew(1, last, size, 32)
	}
	return s, err
}
