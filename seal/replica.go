package seal

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/linux"
)

// A ReplicaError says that sealed holds what phase 1 would destroy: a replica, which
// phase 2 makes of it in place, or something else that phase 1 has not left.
type ReplicaError struct {
	Path         string
	Size, Sector int64
	// Offset is the first byte looked at that is neither staged's nor zero; Size is
	// wrong if it is -1.
	Offset   int64
	CacheDir string
	Phase2   []string // phase 2's files in the cache dir, which say that the sector was sealed
}

// Is reports whether target is the kind ErrBadInput.
func (e *ReplicaError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *ReplicaError) Error() string {
	s := fmt.Sprintf("seal: looking at sealed: %q ", e.Path)
	if e.Offset < 0 {
		s += fmt.Sprintf("has %d bytes, the sector only %d: phase 1 has not left it so", e.Size, e.Sector)
	} else {
		s += fmt.Sprintf("holds a replica, or what else phase 1 has not left: byte %d is neither staged's nor zero", e.Offset)
	}
	if len(e.Phase2) > 0 {
		s += fmt.Sprintf("; phase 2 was here: %q has %s", e.CacheDir, strings.Join(e.Phase2, ", "))
	}
	return s
}

// A FinishedError says that a cache dir holds what phase 2 made of a sector, and no layers
// any more, as hosts leave it when a sector is sealed: proofs need it, and labels for that
// dir would remove it.
type FinishedError struct {
	CacheDir string
	Phase2   []string // names
}

// Is reports whether target is the kind ErrBadInput.
func (e *FinishedError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *FinishedError) Error() string {
	return fmt.Sprintf("seal: looking at cache dir %q: it holds %s of a sector that is sealed, and no layers: labels made here would remove that", e.CacheDir, strings.Join(e.Phase2, ", "))
}

// CheckCacheDir checks whether a cache dir is a finished sector's: a *FinishedError. While
// its layers are there, phase 2 can be done again. A dir that cannot be read is no error
// here. PreCommit1 and GenerateSDR do not look: hosts make labels where they want.
func CheckCacheDir(cacheDir string) error {
	entries, err := os.ReadDir(cacheDir)
	if err != nil {
		return nil
	}
	e := &FinishedError{CacheDir: cacheDir}
	for _, entry := range entries {
		switch name := entry.Name(); {
		case layers.IsLayer(name):
			return nil
		case layers.IsStale(name, 1):
			e.Phase2 = append(e.Phase2, name)
		}
	}
	if !slices.Contains(e.Phase2, "p_aux") && !slices.Contains(e.Phase2, "t_aux") {
		return nil
	}
	return e
}

// What CheckSealed compares of a large sealed file: all of the beginning, where phase 2
// begins, the end, and parts spread evenly over the rest, some 17 MiB in all, whatever
// the sector's size. Phase 2 adds the key to the data, node by node, so that a replica
// differs from staged in every node: one of them would do.
const (
	replicaPage  = 4 << 10
	replicaPart  = 64 << 10
	replicaStart = 1 << 20
	replicaParts = 256
)

// CheckSealed checks whether sealed holds what phase 1 would destroy: a *ReplicaError. It
// may be empty; it may hold zeros, holes, and what a phase 1 copies there, the staged data
// that zeros follow, also where an interruption cut it short. A file that cannot be read
// is no error here: PreCommit1 says what is wrong with it.
//
// PreCommit1 itself does not look: as with the reference, sealed is made again.
func (s *Sector) CheckSealed(ctx context.Context) (err error) {
	defer func() { err = failure.Returned(ctx, err) }()
	sealed, err := os.OpenFile(s.Sealed, os.O_RDONLY|linux.NoWait, 0) // a pipe is not waited for
	if err != nil {
		return nil
	}
	defer sealed.Close()
	info, err := sealed.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 || s.Proof.Check() != nil {
		return nil
	}
	e := &ReplicaError{Path: s.Sealed, Size: info.Size(), Sector: int64(s.Proof.SectorSize()), Offset: -1, CacheDir: s.CacheDir}
	if e.Size <= e.Sector {
		data, err := s.openStaged(ctx)
		if err != nil {
			return nil
		}
		defer data.Close()
		if data.file != nil {
			if info, err := data.file.Stat(); err != nil || !info.Mode().IsRegular() {
				return nil
			}
		}
		e.Offset, err = firstForeign(ctx, sealed, data, e.Size)
		if err != nil || e.Offset < 0 {
			return err
		}
	}
	entries, _ := os.ReadDir(s.CacheDir)
	for _, entry := range entries {
		if strings.HasPrefix(ownName(entry.Name()), phase2Role) {
			e.Phase2 = append(e.Phase2, entry.Name())
		}
	}
	return e
}

// firstForeign is the first byte, of those that are looked at, that is neither staged's nor
// in a page of zeros; -1 if there is none.
func firstForeign(ctx context.Context, sealed, staged io.ReaderAt, size int64) (int64, error) {
	offsets := []int64{}
	for off := int64(0); off < min(size, replicaStart); off += replicaPart {
		offsets = append(offsets, off)
	}
	if rest := size - replicaStart; rest > 0 {
		step := max(replicaPart, rest/replicaParts&^(replicaPage-1))
		for off := int64(replicaStart); off < size; off += step {
			offsets = append(offsets, off)
		}
		offsets = append(offsets, max(replicaStart, size-replicaPart))
	}
	got, want := make([]byte, replicaPart), make([]byte, replicaPart)
	read := func(r io.ReaderAt, b []byte, off int64) (int, error) {
		n, err := r.ReadAt(b, off)
		if err == io.EOF {
			err = nil
		}
		return n, err
	}
	for _, off := range offsets {
		if ctx.Err() != nil {
			return -1, context.Cause(ctx)
		}
		n, err := read(sealed, got, off)
		if err != nil {
			return -1, fmt.Errorf("seal: looking at sealed: %w", err)
		}
		m, err := read(staged, want, off)
		if err != nil {
			return -1, fmt.Errorf("seal: comparing sealed with staged: %w", err)
		}
		clear(want[m:])
		for page := 0; page < n; page += replicaPage {
			end := min(page+replicaPage, n)
			g, w := got[page:end], want[page:end]
			if bytes.Equal(g, w) || bytes.Equal(g, zeros[:len(g)]) {
				continue
			}
			for i := range g {
				if g[i] != w[i] {
					return off + int64(page+i), nil
				}
			}
		}
	}
	return -1, nil
}
