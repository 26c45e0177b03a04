package engine

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/words"
)

// A File is one that a job will write, so many bytes long, instead of what has its name
// by then.
type File struct {
	Path string
	Size uint64
}

// A SpaceError says that a file system has too little room for a job's files, in bytes.
type SpaceError struct {
	Dir   string // one of the directories on it that are written to
	Files int    // that the job writes there
	Want  uint64 // what they take
	// Free is what there is for them: what is free, and what files have that the job
	// replaces.
	Free uint64
}

// Is reports whether target is the kind ErrNoSpace.
func (e *SpaceError) Is(target error) bool { return target == failure.ErrNoSpace }

func (e *SpaceError) Error() string {
	return fmt.Sprintf("engine: looking for room: %s on the file system of %s take %s, there is room for %s: free %s there, or label fewer sectors at a time",
		words.Count(e.Files, "file"), e.Dir, sizeText(e.Want), sizeText(e.Free), sizeText(e.Want-e.Free))
}

// CheckMachine reports what this machine lacks for the job now, as far as that can be told
// before any work: memory, in the ways that Alloc of hugepages would refuse it, the right to make
// files in the sectors' cache dirs, and space
// for the layers' files and others that the caller writes, on each file system. Its errors
// are *SpaceErrors, *ConfigErrors and those of hugepages.Check. What merely makes the job slow it tells
// Config.SlowDisk.
//
// Scratch files count where a job cannot go without: in Budget mode.
func (r *Resolved) CheckMachine(others ...File) error {
	r.tellSlowDisk()
	return errors.Join(r.checkMemory(), r.checkRights(), checkSpace(append(r.files(), others...)))
}

// checkRights checks whether files may be made in the cache dirs and the work dirs.
func (r *Resolved) checkRights() error {
	var errs []error
	for i, s := range r.c.Sectors {
		check := func(role, dir string) {
			if err := linux.MayCreate(dir); err != nil {
				errs = append(errs, &ConfigError{fmt.Sprintf("%s of sector %d", role, i), fmt.Sprintf("no file can be made there: %v", err)})
			}
		}
		check("cache dir", s.CacheDir)
		if s.WorkDir != "" {
			check("work dir", s.WorkDir)
		}
	}
	return errors.Join(errs...)
}

// files are the layers that the job writes, and scratch files that it cannot go without.
func (r *Resolved) files() (all []File) {
	for _, s := range r.c.Sectors {
		for layer := max(1, s.First); layer <= r.last; layer++ {
			size := uint64(r.c.Proof.SectorSize())
			if r.c.Keep == KeepLast && layer >= max(1, s.First)+layers.FewBegun(max(1, s.First)) {
				if size = 0; layer == max(1, s.First)+layers.FewBegun(max(1, s.First)) { // its room is that of one that is dropped
					size = uint64(r.c.Proof.SectorSize()) / layers.FewAhead
				}
			}
			if s.WorkDir != "" && oneFile(layers.Path(s.WorkDir, layer), layers.Path(s.CacheDir, layer)) {
				size = 0 // a job was killed while it gave it its other name
			}
			all = append(all, File{layers.Path(s.dir(), layer), size})
			if s.elsewhere() { // a copy of each is made at the end
				if first, _ := r.c.Keep.Kept(r.last); layer >= first {
					all = append(all, File{layers.Path(s.CacheDir, layer), uint64(r.c.Proof.SectorSize())})
				}
			}
		}
	}
	if f := r.shape.forward; f != nil {
		for h, batches := range r.split {
			size := uint64(0)
			for _, b := range batches {
				size = max(size, uint64(f.ScratchBytes(b.kernel.Pitch())))
			}
			if h == 0 {
				size += uint64(f.IndexFileBytes())
			}
			if size > 0 {
				all = append(all, File{filepath.Join(r.c.Sectors[batches[0].sectors[0]].dir(), "scratch"), size})
			}
		}
	}
	return all
}

// oneFile reports whether two paths lead to one file.
func oneFile(a, b string) bool {
	x, err := os.Lstat(a)
	if err != nil {
		return false
	}
	y, err := os.Lstat(b)
	return err == nil && os.SameFile(x, y)
}

// elsewhere reports whether the sector's layers are made on another file system than where they
// are to be.
func (s *Sector) elsewhere() bool {
	_, made, ok := linux.FreeSpace(s.dir())
	_, wanted, known := linux.FreeSpace(s.CacheDir)
	return ok && known && made != wanted
}

func checkSpace(files []File) error {
	type need struct {
		SpaceError
		free, back uint64
	}
	byDevice := map[uint64]*need{}
	for _, f := range files {
		dir := filepath.Dir(f.Path)
		free, device, ok := linux.FreeSpace(dir)
		if !ok {
			continue
		}
		n := byDevice[device]
		if n == nil {
			n = &need{SpaceError: SpaceError{Dir: dir}, free: free}
			byDevice[device] = n
		}
		if f.Size > 0 {
			n.Files++
		}
		n.Want += f.Size
		// What a crash left under the temporary name goes, too.
		n.back += givesBack(f.Path) + givesBack(filepath.Join(dir, durable.TempName(filepath.Base(f.Path))))
	}
	var errs []error
	for _, device := range slices.Sorted(maps.Keys(byDevice)) {
		n := byDevice[device]
		if n.Free = n.free + n.back; n.Want > n.Free {
			errs = append(errs, &n.SpaceError)
		}
	}
	return errors.Join(errs...)
}

// givesBack is how many bytes are free again when a file loses its name.
func givesBack(path string) uint64 {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	if _, names, ok := linux.Owner(info); !ok || names != 1 {
		return 0
	}
	return linux.Allocated(info)
}

// checkMemory checks whether there is memory for all hashers.
func (r *Resolved) checkMemory() error {
	var all []hugepages.Options
	for h, need := range r.needs {
		add := func(size uint64, purpose hugepages.Purpose, pages []hugepages.Pages) {
			if size > 0 {
				all = append(all, r.c.regionOptions(h, size, purpose, pages))
			}
		}
		add(need.Layers, hugepages.Layers, r.c.Pages)
		add(need.Rings, hugepages.Rings, r.c.Pages)
		add(need.Buffers, hugepages.Buffers, bufferPages)
	}
	if err := hugepages.Check(all...); err != nil {
		return fmt.Errorf("engine: looking for memory: %w", err)
	}
	return nil
}
