package parentcache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/porep"
)

// A Copy is a parent cache's content in memory, on a NUMA node, on huge pages. Any
// number of goroutines, and of jobs, may use it at once, but Close must come after
// all of them.
type Copy struct {
	path    string
	region  *hugepages.Region
	parents []uint32
}

// Copy copies the cache into memory: o says where; its Size and Purpose are not
// used. The cache may be closed afterwards. The error is ctx's cause, a *ReadError,
// or one of hugepages.
func (c *Cache) Copy(ctx context.Context, o hugepages.Options) (*Copy, error) {
	if c.data == nil {
		return nil, fmt.Errorf("parentcache: copying %s: %w", c.path, os.ErrClosed)
	}
	o.Size, o.Purpose = uint64(Size(c.proof)), hugepages.Parents
	region, err := hugepages.Alloc(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("parentcache: copying %s: %w", c.path, err)
	}
	m := &Copy{path: c.path, region: region}
	m.parents = unsafe.Slice((*uint32)(unsafe.Pointer(&region.Bytes()[0])), o.Size/4)
	if err := m.fill(ctx, c); err != nil {
		return nil, errors.Join(err, region.Free())
	}
	return m, nil
}

func (m *Copy) fill(ctx context.Context, c *Cache) error {
	if err := m.region.Populate(ctx); err != nil {
		return fmt.Errorf("parentcache: copying %s: %w", c.path, err)
	}
	const step = 1 << 16 // nodes
	for first := uint64(0); first < c.Nodes(); first += step {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n := min(step, c.Nodes()-first)
		if err := c.Parents(m.parents[first*porep.Degree:][:n*porep.Degree], first); err != nil {
			return err
		}
	}
	return nil
}

// Parents writes the parents of len(dst)/porep.Degree consecutive nodes, from
// node first on: for each node 6 base parents, then 8 expander parents. The
// error is a *graph.RangeError if len(dst) is no multiple of porep.Degree or if
// the span leaves the layer.
func (m *Copy) Parents(dst []uint32, first uint64) error {
	if m.region == nil {
		return fmt.Errorf("parentcache: getting parents from the copy of %s: %w", m.path, os.ErrClosed)
	}
	if err := graph.CheckRange(len(dst), first, uint64(len(m.parents)/porep.Degree)); err != nil {
		return err
	}
	copy(dst, m.parents[first*porep.Degree:])
	return nil
}

// Locality is on which NUMA nodes the copy lies.
func (m *Copy) Locality() hugepages.Locality { return m.region.Locality() }

// Close gives the memory back. A second Close does nothing.
func (m *Copy) Close() error {
	if m.region == nil {
		return nil
	}
	region := m.region
	m.region, m.parents = nil, nil
	if err := region.Free(); err != nil {
		return fmt.Errorf("parentcache: freeing the copy of %s: %w", m.path, err)
	}
	return nil
}
