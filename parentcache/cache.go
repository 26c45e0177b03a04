package parentcache

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/edsrzf/mmap-go"

	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/porep"
)

// A Cache is a verified parent cache file, mapped read-only. Any number of
// goroutines may use it at once, but Close must come after all of them.
type Cache struct {
	proof porep.SealProof
	path  string
	data  mmap.MMap // nil when closed
}

// Open verifies and maps the parent cache of p in dir. Its error is a
// *CorruptError if the file is wrong, and wraps fs.ErrNotExist if there is none.
func Open(ctx context.Context, p porep.SealProof, dir string) (*Cache, error) {
	if err := p.Check(); err != nil {
		return nil, fmt.Errorf("parentcache: opening in %s: %w", dir, err)
	}
	f, err := openVerified(ctx, p, filepath.Join(dir, name(p)), nil)
	if err != nil {
		return nil, err
	}
	return mapFile(p, f, filepath.Join(dir, name(p)))
}

// Ensure opens the parent cache of p in dir, after it has generated it if there
// is no valid one. A hook, which may be nil, is told what happens; a wrong file
// comes as StepReject.
func Ensure(ctx context.Context, p porep.SealProof, dir string, hook func(Event)) (*Cache, error) {
	f, err := provide(ctx, p, dir, hook)
	if err != nil {
		return nil, err
	}
	return mapFile(p, f, filepath.Join(dir, name(p)))
}

// mapFile maps f and closes it.
func mapFile(p porep.SealProof, f *os.File, path string) (*Cache, error) {
	defer f.Close()
	data, err := mmap.MapRegion(f, int(Size(p)), mmap.RDONLY, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("parentcache: mapping %d bytes of %s: %w", Size(p), path, err)
	}
	return &Cache{p, path, data}, nil
}

// Proof is the seal proof that the cache is for.
func (c *Cache) Proof() porep.SealProof { return c.proof }

// Path is where the file was when it was opened.
func (c *Cache) Path() string { return c.path }

// Nodes is the number of nodes in a layer.
func (c *Cache) Nodes() uint64 { return c.proof.SectorSize().Nodes() }

// Parents writes the parents of len(dst)/porep.Degree consecutive nodes, from
// node first on: for each node 6 base parents, then 8 expander parents. The
// error is a *graph.RangeError if len(dst) is no multiple of porep.Degree or if
// the run leaves the layer, and a *ReadError if the file cannot be read any more.
func (c *Cache) Parents(dst []uint32, first uint64) (err error) {
	if err := graph.CheckRange(len(dst), first, c.Nodes()); err != nil {
		return err
	}
	if c.data == nil {
		return fmt.Errorf("parentcache: getting parents from %s: %w", c.path, os.ErrClosed)
	}
	// A failing disk, or a file that somebody cuts short, shows as a memory
	// fault, which would end the process and with it every sector in the works.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if fault := recover(); fault != nil {
			err = &ReadError{c.path, first, fmt.Sprint(fault)}
		}
	}()
	src := c.data[first*rowSize:][:4*len(dst)]
	for i := range dst {
		dst[i] = binary.LittleEndian.Uint32(src[4*i:])
	}
	return nil
}

// A ReadError says that a mapped parent cache could not be read.
type ReadError struct {
	Path  string
	First uint64 // first node of the run that was read
	Fault string
}

func (e *ReadError) Error() string {
	return fmt.Sprintf("parentcache: reading %s: memory fault at or after node %d, the disk has failed or the file was cut short: %s", e.Path, e.First, e.Fault)
}

// Close unmaps the file. A second Close does nothing.
func (c *Cache) Close() error {
	if c.data == nil {
		return nil
	}
	data := c.data
	c.data = nil
	if err := data.Unmap(); err != nil {
		return fmt.Errorf("parentcache: unmapping %s: %w", c.path, err)
	}
	return nil
}
