package layers

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sdr-engine/sdr/internal/durable"
)

// Find opens a finished layer, in the directory where layers are made, or, if it is not there, in the
// cache dir: then cached is true.
func (s *Set) Find(layer int) (r *durable.Reader, cached bool, err error) {
	r, err = s.dir.Open(Name(layer))
	if err == nil || s.cache == nil {
		return r, false, err
	}
	r, err = s.cache.Open(Name(layer))
	return r, true, err
}

// clearCache removes from the cache dir what is stale there when layers are made elsewhere.
func (s *Set) clearCache() error {
	if s.cache == nil {
		return nil
	}
	names, err := s.cache.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if layer, ok := numberOf(name); ok && s.stays[layer] || !IsStale(name, 1) && !isUnfinished(name) {
			continue
		}
		if err := s.cache.Remove(name); err != nil {
			return fmt.Errorf("layers: removing what an earlier job left: %w", err)
		}
	}
	return nil
}

// isUnfinished reports whether a name is a layer's temporary one.
func isUnfinished(name string) bool {
	final := strings.TrimSuffix(strings.TrimPrefix(name, "."), ".tmp")
	return IsLayer(final) && name == durable.TempName(final)
}

// A Source is a finished layer that this job has not made.
type Source struct {
	Mark durable.Mark
	Sums *durable.Sums
}

// Deliver gives layers from one to another, all of which are finished, their names in the cache dir,
// too, where they were made elsewhere. Those that were not made by this job are in others. When it
// returns, all of them are on the disk there.
func (s *Set) Deliver(ctx context.Context, from, to int, others map[int]Source) error {
	if s.cache == nil {
		return nil
	}
	for layer := from; layer <= to; layer++ {
		if s.stays[layer] {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		source, ok := others[layer]
		if !ok && layer >= s.first {
			source = s.Layer(layer).Made()
		}
		if err := s.cache.Bring(ctx, s.dir, Name(layer), source.Mark, source.Sums); err != nil {
			return err
		}
	}
	return s.cache.Sync()
}

// Clear removes layers that were delivered from where they were made, and then files of other names.
func (s *Set) Clear(from, to int, names ...string) error {
	if s.cache == nil {
		return nil
	}
	var errs []error
	for layer := from; layer <= to; layer++ {
		errs = append(errs, s.dir.Remove(Name(layer)))
	}
	if err := errors.Join(append(errs, s.dir.Sync())...); err != nil {
		return err
	}
	for _, name := range names {
		errs = append(errs, s.dir.Remove(name))
	}
	return errors.Join(errs...)
}
