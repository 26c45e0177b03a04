package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/sdr-engine/sdr/engine/internal/onelayer"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/sha256"
	"github.com/sdr-engine/sdr/topology"
)

// checkNames looks at what c names.
func (c *Config) checkNames() error {
	errs := []error{c.Proof.Check()}
	if c.Kernel != "" {
		_, err := sha256.ByName(c.Kernel)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func checkNumber(sectors int) error {
	switch {
	case sectors <= 0:
		return &ConfigError{"sectors", "none given"}
	case sectors > MaxSectors:
		return &ConfigError{"sectors", fmt.Sprintf("%d are more than one job takes, %d", sectors, MaxSectors)}
	}
	return nil
}

// checkSettings looks at numbers and places. Asked is the Config without defaults.
func (r *Resolved) checkSettings(asked *Config) error {
	var errs []error
	fail := func(part, format string, args ...any) {
		errs = append(errs, &ConfigError{part, fmt.Sprintf(format, args...)})
	}
	between := func(part string, value, low, high int) {
		if value < low || value > high {
			fail(part, "%d is not between %d and %d", value, low, high)
		}
	}
	c := &r.c
	proofIsKnown := c.Proof.Check() == nil
	if proofIsKnown && r.hooks.Layers == 0 {
		between("layers", r.last, 1, c.Proof.Layers())
	}
	between("hashers", c.Hashers, 1, max(1, len(c.Sectors)))
	between("producers", c.Producers, 1, maxProducers)
	between("hashers per producer", c.HashersPerProducer, 1, MaxSectors)
	if c.HashersPerProducer > 1 && c.Producers > 1 {
		fail("hashers per producer", "%d, but %d producers for each hasher: one of the two must be 1", c.HashersPerProducer, c.Producers)
	}
	between("stride", c.Stride, 1, maxStride)
	if c.Stride >= 1 && c.Stride <= maxStride {
		between("lookahead", c.Lookahead, c.Stride, maxLookahead)
	}
	if c.Staging < AutoStaging || c.Staging > Hybrid {
		fail("staging", "unknown, %d", c.Staging)
	}
	if c.MemoryMode < TwoLayers || c.MemoryMode > Budget {
		fail("memory mode", "unknown, %d", c.MemoryMode)
	}
	if c.Resume < ResumeSame || c.Resume > Restart {
		fail("resume", "unknown, %d", c.Resume)
	}
	if c.Writing < WriteDefault || c.Writing > WriteBehind {
		fail("writing", "unknown, %d", c.Writing)
	}
	if c.Patience < 0 {
		fail("patience", "%v, want none or more", c.Patience)
	}
	if c.Keep < KeepAll || c.Keep > KeepLast {
		fail("layers to keep", "unknown, %d", c.Keep)
	}
	if asked.MemoryMode == Budget && c.Budget == 0 {
		fail("budget", "none, but in %v mode it says what is in memory", asked.MemoryMode)
	}
	if c.MemoryWay < AutoWay || c.MemoryWay > Passes {
		fail("way of budget mode", "unknown, %d", c.MemoryWay)
	}
	if c.MemoryMode == Budget && c.MemoryWay == Forward && !c.knowsUses() {
		fail("parents", "of a source that does not know whose parent a label is, as %v mode's way %v must: leave them out, and they are computed, or go by %v", c.MemoryMode, c.MemoryWay, Passes)
	}
	errs = append(errs, asked.checkPlaces()...)
	if proofIsKnown && asked.aheadOfSegment() {
		size := c.Proof.SectorSize()
		fail("lookahead", "%d nodes, but in %v mode producers can only be a segment ahead, %d nodes of a sector of %v", c.Lookahead, c.MemoryMode, size.Nodes()/onelayer.Segments, size)
	}
	return errors.Join(errs...)
}

func (c *Config) checkPlaces() (errs []error) {
	fail := func(format string, args ...any) {
		errs = append(errs, &ConfigError{"places", fmt.Sprintf(format, args...)})
	}
	if len(c.Places) == 0 {
		return nil
	}
	if c.Hashers != 0 && c.Hashers != len(c.Places) {
		fail("%d for %d hashers", len(c.Places), c.Hashers)
	}
	if len(c.Places) > len(c.Sectors) {
		fail("%d for %d sectors", len(c.Places), len(c.Sectors))
	}
	if c.Machine == nil {
		fail("without the machine that they are on")
		return errs
	}
	if !c.Machine.Live() {
		fail("on a machine that was read from a dump, want the one that this runs on")
	}
	taken := map[topology.CPU]bool{}
	for _, p := range c.Places {
		if taken[p.Hasher] {
			fail("CPU %d hashes twice", p.Hasher)
		}
		taken[p.Hasher] = true
		for _, cpu := range append([]topology.CPU{p.Hasher}, p.Producers...) {
			if !c.Machine.Allowed().Contains(cpu) {
				fail("CPU %d is not one of those allowed, %v", cpu, c.Machine.Allowed())
			}
		}
	}
	return errs
}

// checkSectors looks at the sectors and what is in their cache dirs.
func (r *Resolved) checkSectors() (errs []error) {
	c := &r.c
	dirs := newDirSet()
	var roles []string // of those in dirs
	for i, s := range c.Sectors {
		fail := func(part, format string, args ...any) {
			errs = append(errs, &ConfigError{fmt.Sprintf("%s of sector %d", part, i), fmt.Sprintf(format, args...)})
		}
		if s.First < 0 || s.First > r.last {
			fail("first layer", "%d is not between 1 and %d", s.First, r.last)
		}
		one := func(role, path string, dir os.FileInfo) {
			roles = append(roles, fmt.Sprintf("%s of sector %d", role, i))
			if j, found := dirs.add(dir, len(roles)-1); found {
				fail(role, "%s is also the %s", path, roles[j])
			}
		}
		dir, err := statDir(s.CacheDir)
		if err != nil {
			fail("cache dir", "%v", err)
			continue
		}
		if s.WorkDir != "" {
			work, err := statDir(s.WorkDir)
			if err == nil && lies(s.WorkDir, dir) {
				err = fmt.Errorf("%s lies in the cache dir, %s, and goes with it", s.WorkDir, s.CacheDir)
			}
			if err != nil {
				fail("work dir", "%v", err)
				continue
			}
			one("work dir", s.WorkDir, work)
			if s.First > 1 || c.Digests {
				fail("work dir", "%s, but who goes on by himself, with digests, has layers in the cache dir", s.WorkDir)
			}
		}
		if err := checkManifest(c, &s); err != nil {
			errs = append(errs, err)
		}
		if s.First > 1 && s.Before == (LayerDigest{}) {
			fail("first layer", "%d, but without the digest of layer %d, which it goes on from", s.First, s.First-1)
		}
		one("cache dir", s.CacheDir, dir)
		for layer := 1; layer <= r.last; layer++ {
			path := layers.Path(s.CacheDir, layer)
			switch fi, err := os.Stat(path); {
			case err == nil && !fi.Mode().IsRegular():
				fail("cache dir", "%s is there and is not a file (%s)", path, fi.Mode().Type())
			case c.Keep == KeepLast && layer < s.First-1: // it may have been dropped
			case layer < s.First && err != nil:
				fail("first layer", "%d, but layer %d is missing: %v", s.First, layer, err)
			case layer < s.First && fi.Size() != int64(c.Proof.SectorSize()):
				fail("first layer", "%d, but %s has %d bytes, want %d", s.First, path, fi.Size(), uint64(c.Proof.SectorSize()))
			}
		}
	}
	return errs
}

// checkAhead holds what producers are ahead against maxAhead.
func (r *Resolved) checkAhead() error {
	for _, need := range r.needs {
		if n := need.Rings + need.Parents; n > maxAhead {
			return &ConfigError{"lookahead", fmt.Sprintf("%s, %d nodes ahead in spans of %d, take %s of each hasher's memory, want %s at most: lower one of the three",
				words.Count(r.c.Producers, "producer"), r.c.Lookahead, r.c.Stride, sizeText(n), sizeText(maxAhead))}
		}
	}
	return nil
}

// checkBudget holds the job against its budget, and says what would fit, or else what
// the smallest would take. Asked is the Config without defaults: each job that is tried has
// its own.
func (r *Resolved) checkBudget(asked *Config) error {
	c := &r.c
	if c.tooSmall() {
		return &ConfigError{"memory mode", fmt.Sprintf("%v has no room for segments in a sector of %v", c.MemoryMode, c.Proof.SectorSize())}
	}
	need := r.memory()
	if c.Budget == 0 || need <= c.Budget {
		return nil
	}
	most := c.Hashers
	take := "take"
	if len(c.Sectors) == 1 {
		take = "takes"
	}
	reason := fmt.Sprintf("%s, but %s on %s in %v mode %s %s", sizeText(c.Budget),
		words.Count(len(c.Sectors), "sector"), words.Count(most, "hasher"), c.MemoryMode, take, sizeText(need))
	smallest, smallestText := need, ""
	for _, mode := range []MemoryMode{TwoLayers, OneLayer, Budget} {
		for hashers := most; hashers >= 1; hashers-- {
			for _, kernel := range []string{c.Kernel, sha256.Best(1).Name} {
				other := *asked
				other.MemoryMode, other.Hashers, other.Kernel, other.Places = mode, hashers, kernel, nil
				if other.tooSmall() || other.aheadOfSegment() {
					continue
				}
				takes := other.unchecked().memory()
				text := fmt.Sprintf("%v mode with %s", mode, words.Count(hashers, "hasher"))
				if kernel != c.Kernel {
					text += " and kernel " + kernel
				}
				if takes <= c.Budget {
					return &ConfigError{"budget", fmt.Sprintf("%s; %s takes %s", reason, text, sizeText(takes))}
				}
				if takes < smallest {
					smallest, smallestText = takes, text
				}
			}
		}
	}
	if smallestText == "" {
		return &ConfigError{"budget", reason + "; nothing smaller would do"}
	}
	return &ConfigError{"budget", fmt.Sprintf("%s; nothing fits: the smallest, %s, takes %s", reason, smallestText, sizeText(smallest))}
}

// tooSmall reports whether a sector has no room for OneLayer mode's segments.
func (c *Config) tooSmall() bool {
	return c.MemoryMode == OneLayer && c.Proof.SectorSize().Nodes() < onelayer.Segments*2
}

// aheadOfSegment reports whether producers would be more than a segment ahead.
func (c *Config) aheadOfSegment() bool {
	segment := c.Proof.SectorSize().Nodes() / onelayer.Segments
	return c.MemoryMode == OneLayer && uint64(max(0, c.Lookahead)) > max(segment, uint64(max(0, c.Stride)))
}

// A dirSet finds directories that are the same, whatever their names.
type dirSet struct {
	byID  map[linux.Identity]int
	other []os.FileInfo // where the system gives files no numbers
	index []int         // of those
}

func newDirSet() *dirSet { return &dirSet{byID: map[linux.Identity]int{}} }

// add adds a directory with a number, or returns that of the same one.
func (d *dirSet) add(dir os.FileInfo, i int) (first int, found bool) {
	id, ok := linux.IdentityOf(dir)
	if ok {
		if first, found = d.byID[id]; !found {
			d.byID[id] = i
		}
		return first, found
	}
	if j := slices.IndexFunc(d.other, func(o os.FileInfo) bool { return os.SameFile(o, dir) }); j >= 0 {
		return d.index[j], true
	}
	d.other, d.index = append(d.other, dir), append(d.index, i)
	return 0, false
}

// lies reports whether a path leads to somewhere inside of a directory, but not to it.
func lies(path string, in os.FileInfo) bool {
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	for err == nil && filepath.Dir(real) != real {
		real = filepath.Dir(real)
		above, err := os.Stat(real)
		if err == nil && os.SameFile(above, in) {
			return true
		}
	}
	return false
}

func statDir(path string) (os.FileInfo, error) {
	if path == "" {
		return nil, errors.New("none given")
	}
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !fi.IsDir() {
		return nil, fmt.Errorf("%s is not a directory", path)
	}
	return fi, nil
}
