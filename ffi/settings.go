package ffi

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/profile"
	"github.com/sdr-engine/sdr/lockstep"
	"github.com/sdr-engine/sdr/sealer"
	"github.com/sdr-engine/sdr/topology"
)

// The environment is read in this file and nowhere else.

// A SettingError says which variable of the environment is wrong.
type SettingError struct {
	Variable, Value string
	Err             error
}

// Is reports whether target is the kind ErrBadInput.
func (e *SettingError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *SettingError) Error() string {
	return fmt.Sprintf("ffi: reading the environment: %s=%q: %v", e.Variable, e.Value, e.Err)
}

// Unwrap is what is wrong with it.
func (e *SettingError) Unwrap() error { return e.Err }

// settings are what the environment says.
type settings struct {
	machine sealer.Options
	join    lockstep.Options
	profile string // its file, "" for where it is by default
	notes   bool
	keep    engine.Keep // of GenerateSDR
}

// What all settings are that the environment does not have.
const (
	defaultWait = 2 * time.Second // of hours: hosts start what is to run together within moments
	maxWait     = time.Hour
)

// variables are all settings but for SDR_FFI.
var variables = []struct {
	name string
	set  func(s *settings, text string) error
}{
	{"SDR_BATCH_WAIT", func(s *settings, text string) (err error) {
		s.join.Wait, err = time.ParseDuration(text)
		if err != nil || s.join.Wait < 0 || s.join.Wait > maxWait {
			return fmt.Errorf("not a time from 0 to %v, like 2s or 500ms", maxWait)
		}
		return nil
	}},
	{"SDR_BATCH", func(s *settings, text string) (err error) {
		s.join.Sectors, err = strconv.Atoi(text)
		if err != nil || s.join.Sectors < 1 || s.join.Sectors > engine.MaxSectors {
			return fmt.Errorf("not a number from 1 to %d", engine.MaxSectors)
		}
		return nil
	}},
	{"SDR_LOCK_DIR", func(s *settings, text string) error {
		s.machine.LockDir = text
		return nil
	}},
	{"SDR_PROFILE", func(s *settings, text string) error {
		s.profile = text
		return nil
	}},
	{"SDR_KERNEL", func(s *settings, text string) error {
		s.machine.Untuned.Kernel = true
		if text != "auto" {
			s.machine.Kernel = text // which sealer looks at
		}
		return nil
	}},
	{"SDR_MEMORY_MODE", func(s *settings, text string) (err error) {
		s.machine.MemoryMode, err = engine.ParseMemoryMode(text)
		return err
	}},
	{"SDR_MEMORY_BUDGET", func(s *settings, text string) (err error) {
		if s.machine.Budget, err = topology.ParseSize(text); err == nil && s.machine.Budget == 0 {
			return errors.New("no memory at all")
		}
		return err
	}},
	{"SDR_PAGES", func(s *settings, text string) error {
		kind, err := profile.ParsePages(text)
		if kind == profile.PagesAny {
			kind = hugepages.Huge1G // from which all others follow
		}
		s.machine.Pages = profile.OrSmaller(kind)
		return err
	}},
	{"SDR_HUGETLBFS", func(s *settings, text string) error {
		s.machine.HugeTLBFS = text
		return nil
	}},
	{"SDR_PARENT_CACHE", func(s *settings, text string) error {
		s.machine.ParentCache = text
		info, err := os.Stat(text)
		if err == nil && !info.IsDir() {
			return errors.New("not a directory")
		}
		return err
	}},
	{"SDR_KEEP", func(s *settings, text string) (err error) {
		s.keep, err = engine.ParseKeep(text)
		return err
	}},
	{"SDR_WORK_DIR", func(s *settings, text string) error {
		s.machine.WorkDirs = text // which sealer looks at
		return nil
	}},
	{"SDR_NOTES", func(s *settings, text string) error {
		if text != "stderr" && text != "off" {
			return errors.New("neither stderr nor off")
		}
		s.notes = text == "stderr"
		return nil
	}},
}

// readSettings reads what the environment says. The error joins all that is wrong with it,
// each a *SettingError.
func readSettings() (settings, error) {
	s := settings{join: lockstep.Options{Wait: defaultWait}, notes: true}
	// A host that seals a sector again in the same directories, with another ticket, means it.
	s.machine.Resume = engine.ResumeOrReplace
	var errs []error
	for _, v := range variables {
		if text := os.Getenv(v.name); text != "" {
			if err := v.set(&s, text); err != nil {
				errs = append(errs, &SettingError{v.name, text, err})
			}
		}
	}
	return s, errors.Join(errs...)
}

// readProfile is the profile that is to be used, if there is one. As with the command, one
// that nobody named may be missing, or in a directory that is not ours, which is noted.
func (s *settings) readProfile(note func(string)) (*sealer.Profile, error) {
	path := cmp.Or(s.profile, profile.DefaultPath())
	if path == "" || path == profile.None {
		return nil, nil
	}
	p, err := sealer.ReadProfile(path)
	damaged := (*sealer.ProfileError)(nil)
	switch {
	case err == nil:
		return p, nil
	case s.profile == "" && errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case s.profile == "" && !errors.As(err, &damaged):
		note(fmt.Sprintf("no profile is used: %v", err))
		return nil, nil
	}
	return nil, &SettingError{"SDR_PROFILE", path, fmt.Errorf("%w ('none' goes on without one, 'sdrbench tune' makes a new one)", err)}
}

// openError names the variables that the machine's options are from.
func openError(err error) error {
	wrong := (*sealer.OptionError)(nil)
	if !errors.As(err, &wrong) {
		return err
	}
	for _, v := range []struct{ option, name string }{{"Kernel", "SDR_KERNEL"}, {"HugeTLBFS", "SDR_HUGETLBFS"}, {"WorkDirs", "SDR_WORK_DIR"}} {
		if v.option == wrong.Option {
			return &SettingError{v.name, os.Getenv(v.name), err}
		}
	}
	return err
}

// Off reports whether SDR_FFI says that filcrypto is to do everything.
func Off() (bool, error) {
	switch text := os.Getenv("SDR_FFI"); text {
	case "", "on":
		return false, nil
	case "off":
		return true, nil
	default:
		return false, &SettingError{"SDR_FFI", text, errors.New("neither on nor off")}
	}
}
