// Package engine labels sectors: layer by layer, each label a hash over its
// parents' labels, each layer written to its file while hashing goes on.
package engine

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sdr-engine/sdr/layers"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
)

// Config says what Run labels and how.
type Config struct {
	// Proof is the seal proof of all sectors.
	Proof porep.SealProof
	// Sectors are the sectors to label, one or more, each in a cache dir of its
	// own.
	Sectors []Sector
	// Kernel is the name of the label kernel, "sha-ni/1". Default: the best
	// that this machine can run.
	Kernel string
	// Parents yields the parents of nodes. Default: they are computed.
	Parents ParentSource
	// Progress, if not nil, is kept up to date while Run runs.
	Progress *Progress
}

// Sector is one sector of a job.
type Sector struct {
	ReplicaID porep.ReplicaID
	// CacheDir is an existing folder; the layer files appear in it.
	CacheDir string
}

// ParentSource yields the 14 parents each of len(dst)/14 nodes from first on.
// *graph.Graph and *parentcache.Cache are such sources.
type ParentSource interface {
	Parents(dst []uint32, first uint64) error
}

// Result is what a finished job reports.
type Result struct {
	// Kernel is the name of the kernel that ran.
	Kernel string
	// Layers has an entry for each layer of each sector, in the order in which
	// they were labelled.
	Layers []LayerStats
}

// LayerStats is how one layer of one sector went.
type LayerStats struct {
	Sector int // index into Config.Sectors
	Layer  int // from 1
	Nodes  uint64
	// Hashing is the time from the layer's first label to its last.
	Hashing time.Duration
}

// Progress is where a job stands. The job writes it, anybody may read it.
type Progress struct {
	labels, total atomic.Uint64
	layer         atomic.Int64
}

// Labels returns how many labels are done and how many the job has in all.
func (p *Progress) Labels() (done, total uint64) { return p.labels.Load(), p.total.Load() }

// Layer is the layer being labelled, from 1, and 0 before the first.
func (p *Progress) Layer() int { return int(p.layer.Load()) }

// A ConfigError says what is wrong with one part of a Config.
type ConfigError struct {
	Part   string // "cache dir of sector 0"
	Reason string
}

func (e *ConfigError) Error() string {
	return fmt.Sprintf("engine: checking configuration: %s: %s", e.Part, e.Reason)
}

// Validate reports every problem of c at once, each a *ConfigError or an error
// of the package that the value belongs to. Run calls it.
func (c *Config) Validate() error {
	var errs []error
	fail := func(part, format string, args ...any) {
		errs = append(errs, &ConfigError{part, fmt.Sprintf(format, args...)})
	}
	if err := c.Proof.Check(); err != nil {
		errs = append(errs, err)
	}
	if c.Kernel != "" {
		if k, err := sha256.ByName(c.Kernel); err != nil {
			errs = append(errs, err)
		} else if k.Lanes != 1 {
			fail("kernel", "%q labels %d sectors at a time, this engine one", c.Kernel, k.Lanes)
		}
	}
	if len(c.Sectors) == 0 {
		fail("sectors", "none given")
	}
	dirs := make([]os.FileInfo, len(c.Sectors))
	for i, s := range c.Sectors {
		part := fmt.Sprintf("cache dir of sector %d", i)
		dir, err := statDir(s.CacheDir)
		if err != nil {
			fail(part, "%v", err)
			continue
		}
		// The same folder may have many names.
		if j := slices.IndexFunc(dirs, func(d os.FileInfo) bool { return d != nil && os.SameFile(d, dir) }); j >= 0 {
			fail(part, "%s is also the cache dir of sector %d", s.CacheDir, j)
		}
		dirs[i] = dir
		for layer := 1; layer <= c.Proof.Layers(); layer++ {
			path := layers.Path(s.CacheDir, layer)
			if fi, err := os.Stat(path); err == nil && !fi.Mode().IsRegular() {
				fail(part, "%s is there and is not a file (%s)", path, fi.Mode().Type())
			}
		}
	}
	return errors.Join(errs...)
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
		return nil, fmt.Errorf("%s is not a folder", path)
	}
	return fi, nil
}
