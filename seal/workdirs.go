package seal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/linux"
)

// withWorkDirs are sectors with work dirs in parent, those that have none. Remove removes what is
// empty of them. The name is the sector's, not that of what its labels are made of: a host that begins
// again with another ticket finds what is of no use any more, and replaces it.
func withWorkDirs(sectors []Sector, parent string) (all []Sector, remove func(), err error) {
	all = slices.Clone(sectors)
	w := workDirs{parent: parent}
	for i := range all {
		s := &all[i]
		w.give(&s.WorkDir, fmt.Sprintf("sector-%v-%d", s.ProverID, s.Number))
	}
	return all, w.remove, w.err()
}

// keyWorkDirs is withWorkDirs of those that are only labelled.
func keyWorkDirs(sectors []engine.Sector, parent string) (all []engine.Sector, remove func(), err error) {
	all = slices.Clone(sectors)
	w := workDirs{parent: parent}
	for i := range all {
		s := &all[i]
		w.give(&s.WorkDir, fmt.Sprintf("key-%v", s.ReplicaID))
	}
	return all, w.remove, w.err()
}

type workDirs struct {
	parent string
	made   []string
	errs   []error
}

func (w *workDirs) give(to *string, name string) {
	if w.parent == "" || *to != "" {
		return
	}
	*to = filepath.Join(w.parent, name)
	err := os.Mkdir(*to, 0o777) // #nosec G301 -- the umask decides, as for what any command makes
	if err == nil || errors.Is(err, fs.ErrExist) {
		err = checkOurs(*to)
	}
	if err != nil {
		w.errs = append(w.errs, &PathError{Role: "work dir", Path: *to, Err: failure.OfSystem(err)})
		return
	}
	w.made = append(w.made, *to)
}

// checkOurs makes sure that nobody has put something else where a work dir is to be.
func checkOurs(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if uid, _, ok := linux.Owner(info); !info.IsDir() || ok && uid != os.Geteuid() {
		return failure.Mark(ErrBadInput, fmt.Errorf("%s is there, and is no directory of this user's", dir))
	}
	return nil
}

func (w *workDirs) remove() {
	for _, dir := range w.made {
		_ = os.Remove(dir) // which it refuses if something is in it
	}
}

func (w *workDirs) err() error {
	err := errors.Join(w.errs...)
	if err != nil {
		w.remove()
	}
	return err
}
