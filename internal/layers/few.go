package layers

import (
	"errors"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/porep"
)

// Few is how many of a sector's layers have space at a time, if only the last are kept: one that
// is made, and the one before it, which it is made of and a job goes on from. Nothing less keeps
// all work: until a layer is on the disk, and was read back, the one before is all that there is. So
// the next one may meanwhile have this part of a layer besides: 1/FewAhead.
const (
	Few      = 2
	FewAhead = 8
)

// FewBegun is how many files CreateFew begins for a sector from layer first on: what it may have
// of those before takes space, too.
func FewBegun(first int) int { return max(1, Few-first+1) }

// CreateFew is Create for a sector of which only the last layers are kept: space is taken for
// the first FewBegun, and of those that are there only the ones that are needed stay. Begin has to be
// called for each layer before it is written, and Safe when it has been.
func (s *Set) CreateFew(first, last int, size porep.SectorSize, block int) error {
	return s.create(first, min(last, first+FewBegun(first)-1), last, size, block, true)
}

// Safe notes that layer number n is on the disk, under its name. Layers that have so many later ones there
// are removed, those from before this job, too, and their space is given back: nobody may
// read them any more.
func (s *Set) Safe(n, later int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Layer(n).safe = true
	found := 0
	for layer := s.first + len(s.writers) - 1; layer >= 1; layer-- {
		if layer >= s.first && !s.Layer(layer).safe {
			continue
		}
		if found++; found <= later {
			continue
		}
		if err := s.drop(layer); err != nil {
			return err
		}
	}
	return nil
}

func (s *Set) drop(layer int) error {
	if s.stays[layer] { // in the cache dir
		delete(s.stays, layer)
		return s.cache.Remove(Name(layer))
	}
	if layer < s.first {
		if w := s.adopted[layer]; w != nil { // and then committed
			if err := w.file.Discard(); err != nil {
				return err
			}
		}
		return errors.Join(s.dir.Remove(Name(layer)), s.dir.Remove(durable.TempName(Name(layer)))) // a kill leaves both
	}
	w := s.Layer(layer)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reader == nil {
		return nil
	}
	err := w.file.Discard()
	w.reader.Close() // or its blocks stay
	w.reader = nil
	return err
}
