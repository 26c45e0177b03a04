package seal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/merkle"
	"github.com/sdr-engine/sdr/porep"
)

// checkAll looks at everything that may be wrong with the input, and returns what
// the engine is to do.
func checkAll(sectors []Sector, o *Options) (*engine.Resolved, error) {
	wrong := checkSectors(sectors, (*Sector).check)
	if len(sectors) == 0 {
		return nil, wrong
	}
	c := engineConfig(sectors[0].Proof, *o)
	if c.Keep != engine.KeepAll {
		wrong = errors.Join(wrong, &engine.ConfigError{Part: "layers to keep", Reason: fmt.Sprintf("%v, but phase 2 needs all: only GenerateSDR makes a key alone", c.Keep)})
	}
	var files []engine.File
	for i := range sectors {
		s := &sectors[i]
		files = append(files, s.files()...)
		c.Sectors = append(c.Sectors, engine.Sector{CacheDir: s.CacheDir, WorkDir: s.WorkDir, ReplicaID: s.replicaID()})
	}
	c.Others = files
	resolved, err := c.Resolve()
	if err == nil {
		err = resolved.CheckMachine(files...)
	}
	return resolved, errors.Join(wrong, err)
}

// replicaID is the sector's, which follows from its pieces; none if they are wrong.
func (s *Sector) replicaID() (id porep.ReplicaID) {
	if commD, err := CommD(s.Proof, s.Pieces); err == nil {
		id = porep.NewReplicaID(s.Proof, s.ProverID, s.Number, s.Ticket, commD)
	}
	return id
}

// CheckSectors reports all that is wrong with sectors that are to be one job, and can be told
// before any work, but for whether there is room for their files.
func CheckSectors(sectors []Sector) error { return checkSectors(sectors, (*Sector).Check) }

func checkSectors(sectors []Sector, check func(*Sector) error) error {
	if len(sectors) == 0 {
		return failure.Mark(ErrBadInput, errors.New("seal: checking sectors: none given"))
	}
	var errs []error
	for i := range sectors {
		s := &sectors[i]
		if s.Proof != sectors[0].Proof {
			errs = append(errs, failure.Mark(ErrBadInput, fmt.Errorf("seal: checking sectors: sector %d is of proof %v, sector 0 of %v: one job has one", i, s.Proof, sectors[0].Proof)))
		}
		errs = append(errs, check(s))
	}
	return errors.Join(append(errs, CheckPaths(sectors))...)
}

// Check reports all that is wrong with a sector and can be told before any work, but for
// what CheckPaths compares, and whether there is room for its files: PreCommit1 does all three.
func (s *Sector) Check() error {
	err := errors.Join(s.Proof.Check(), s.check())
	switch info, statErr := os.Stat(s.CacheDir); {
	case statErr != nil:
		return errors.Join(err, &PathError{Role: "cache dir", Path: s.CacheDir, Err: statErr})
	case !info.IsDir():
		return errors.Join(err, &PathError{Role: "cache dir", Path: s.CacheDir, Reason: "is not a directory"})
	}
	if s.WorkDir != "" {
		if _, statErr := os.Stat(s.WorkDir); statErr != nil {
			return errors.Join(err, &PathError{Role: "work dir", Path: s.WorkDir, Err: statErr})
		}
	}
	return err
}

// check looks at all of the input and reports everything that is wrong with it,
// but for what the engine and CheckPaths check.
func (s *Sector) check() error {
	if s.Proof.Check() != nil {
		return nil // the engine says so
	}
	_, err := CommD(s.Proof, s.Pieces)
	errs := []error{err}
	fail := func(role, path string, err error, reason string) {
		errs = append(errs, &PathError{role, path, reason, err})
	}

	staged, err := os.Stat(s.Staged)
	switch size := uint64(s.Proof.SectorSize()); {
	case s.wasMoved():
	case err != nil:
		fail("staged", s.Staged, err, "")
	case s.Staged == DevZero:
	case !staged.Mode().IsRegular():
		fail("staged", s.Staged, nil, "is not a file, nor "+DevZero)
	case uint64(staged.Size()) > size:
		fail("staged", s.Staged, nil, fmt.Sprintf("has %d bytes, the sector only %d", staged.Size(), size))
	default:
		if err := mayOpen(s.Staged, os.O_RDONLY); err != nil {
			fail("staged", s.Staged, err, "")
		}
	}
	sealed, err := os.Stat(s.Sealed)
	switch {
	case err != nil:
		fail("sealed", s.Sealed, err, "")
	case !sealed.Mode().IsRegular():
		fail("sealed", s.Sealed, nil, "is not a file")
	case s.wasMoved() && uint64(sealed.Size()) > uint64(s.Proof.SectorSize()):
		fail("sealed", s.Sealed, nil, fmt.Sprintf("has %d bytes, the sector only %d", sealed.Size(), uint64(s.Proof.SectorSize())))
	default:
		if err := mayOpen(s.Sealed, os.O_RDWR); err != nil {
			fail("sealed", s.Sealed, err, "")
		}
	}
	errs = append(errs, s.checkMode(), s.checkTaken())
	if fi, err := os.Stat(s.treeDPath()); err == nil && !fi.Mode().IsRegular() {
		fail("tree-d", s.treeDPath(), nil, "is there and is not a file")
	} else if _, linkErr := os.Lstat(s.treeDPath()); err != nil && linkErr == nil {
		fail("tree-d", s.treeDPath(), nil, "is there and leads nowhere: remove it, or put back what it links to")
	}
	errs = append(errs, checkUTF8(s.CacheDir))
	return errors.Join(errs...)
}

// mayOpen opens a file as a job will, and changes nothing.
func mayOpen(path string, flags int) error {
	f, err := os.OpenFile(path, flags|linux.NoWait, 0)
	if err == nil {
		err = f.Close()
	}
	return err
}

// files are those that take room besides the layers: tree-d, unless it is there, and the
// staged data in sealed, unless the two can share their blocks.
func (s *Sector) files() (all []engine.File) {
	if s.Proof.Check() != nil {
		return nil
	}
	if _, err := os.Lstat(s.treeDPath()); errors.Is(err, os.ErrNotExist) && !s.takes() {
		all = append(all, engine.File{Path: s.treeDPath(), Size: uint64(merkle.TreeSize(s.Proof.SectorSize()))})
	}
	if staged, err := os.Stat(s.Staged); err == nil && staged.Mode().IsRegular() && s.StagedMode == StagedCopy {
		from, fromOK := linux.IdentityOf(staged)
		sealed, err := os.Stat(s.Sealed)
		if err == nil && fromOK {
			if to, ok := linux.IdentityOf(sealed); ok && (to.Device != from.Device || !canClone(s.Staged, filepath.Dir(s.Sealed))) {
				all = append(all, engine.File{Path: s.Sealed, Size: min(linux.Allocated(staged), uint64(s.Proof.SectorSize()))})
			}
		}
	}
	return all
}

// canClone reports whether files in dir can share a file's blocks.
func canClone(path, dir string) bool {
	f, err := os.OpenFile(path, os.O_RDONLY|linux.NoWait, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return linux.CanClone(f, dir)
}
