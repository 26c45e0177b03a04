package parentcache

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"unsafe"

	"github.com/edsrzf/mmap-go"

	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/porep"
)

// A Cache is a verified parent cache file, mapped read-only. Any number of
// goroutines may use it at once, but Close must come after all of them.
//
// What it yields is what was verified: the bytes read then have left checksums in
// memory, a CRC-32C for each 128 nodes (32 MiB for a sector of 32 GiB), and whatever
// is read afterwards is copied out of the mapping, compared with them, and only then
// used. So a file that is somebody else's, or in somebody else's directory, will do,
// and may be replaced at any time. Checksums find what disks, memory and mistakes do;
// somebody who may write to the file and means harm can get past them.
type Cache struct {
	proof   porep.SealProof
	path    string
	file    *verified
	data    mmap.MMap // nil when closed
	scratch sync.Pool // of *[sumBytes]byte
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

// mapFile maps f, which the cache closes.
func mapFile(p porep.SealProof, f *verified, path string) (*Cache, error) {
	data, err := mmap.MapRegion(f.File, int(Size(p)), mmap.RDONLY, 0, 0)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("parentcache: mapping %d bytes of %s: %w", Size(p), path, err)
	}
	return &Cache{proof: p, path: path, file: f, data: data, scratch: sync.Pool{New: func() any { return new([sumBytes]byte) }}}, nil
}

// Proof is the seal proof that the cache is for.
func (c *Cache) Proof() porep.SealProof { return c.proof }

// Path is where the file was when it was opened.
func (c *Cache) Path() string { return c.path }

// Nodes is the number of nodes in a layer.
func (c *Cache) Nodes() uint64 { return c.proof.SectorSize().Nodes() }

// Parents writes the parents of len(dst)/porep.Degree consecutive nodes, from
// node first on: for each node 6 base parents, then 8 expander parents. It reads
// whole spans of 128 nodes, so it is cheapest for those. The error is a
// *graph.RangeError if len(dst) is no multiple of porep.Degree or if the span leaves
// the layer, and a *ReadError if the file cannot be read any more or has changed;
// what dst has then is of no use.
func (c *Cache) Parents(dst []uint32, first uint64) error {
	if err := graph.CheckRange(len(dst), first, c.Nodes()); err != nil {
		return err
	}
	if c.data == nil {
		return fmt.Errorf("parentcache: getting parents from %s: %w", c.path, os.ErrClosed)
	}
	rest := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(dst))), 4*len(dst))
	for from := int64(first) * rowSize; len(rest) > 0; {
		at := from / sumBytes
		skip, length := int(from%sumBytes), int(min(sumBytes, Size(c.proof)-at*sumBytes))
		n := min(len(rest), length-skip)
		if n == length {
			if err := c.read(rest[:n], at); err != nil {
				return err
			}
		} else {
			b := c.scratch.Get().(*[sumBytes]byte)
			err := c.read(b[:length], at)
			copy(rest[:n], b[skip:])
			c.scratch.Put(b)
			if err != nil {
				return err
			}
		}
		from, rest = from+int64(n), rest[n:]
	}
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 { // not as the file has them
		for i, v := range dst {
			dst[i] = bits.ReverseBytes32(v)
		}
	}
	return nil
}

// read fills b with the nodes that checksum number at is of. It compares what is in b,
// since a mapping may change from one look to the next. If memory has something else
// than what was verified, or cannot be read, what the disk has is looked at, once.
func (c *Cache) read(b []byte, at int64) error {
	want := c.file.sums[at]
	if copyMapped(b, c.data[at*sumBytes:]) && durable.Checksum(b) == want {
		return nil
	}
	err := linux.ReadDisk(c.file.File, b, at*sumBytes)
	got := durable.Checksum(b)
	if err == nil && got == want {
		return nil
	}
	e := &ReadError{Path: c.path, First: uint64(at) * sumNodes, Nodes: uint64(len(b)) / rowSize}
	if err != nil {
		e.Fault = fmt.Sprintf("the disk has failed or the file was cut short: %v", err)
	} else {
		e.Fault = fmt.Sprintf("the file was changed after it was verified, or memory or disk are bad: CRC-32C is %08x, read twice, want %08x", got, want)
	}
	return e
}

// copyMapped fills dst from a mapping, if it can. A failing disk, or a file that
// somebody cuts short, shows as a memory fault, which would end the process and with
// it every sector in the works.
func copyMapped(dst, src []byte) (ok bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { ok = recover() == nil }()
	copy(dst, src)
	return
}

// A ReadError says that a mapped parent cache could not be read, or is no longer what
// was verified.
type ReadError struct {
	Path  string
	First uint64 // the first node of the span that could not be read
	Nodes uint64 // how many they are
	Fault string
}

// Is reports whether target is the kind ErrCorrupt.
func (e *ReadError) Is(target error) bool { return target == failure.ErrCorrupt }

func (e *ReadError) Error() string {
	return fmt.Sprintf("parentcache: reading %s: nodes %d to %d: %s; verify the file, or have it made again",
		e.Path, e.First, e.First+e.Nodes-1, e.Fault)
}

// Close unmaps and closes the file. A second Close does nothing.
func (c *Cache) Close() error {
	if c.data == nil {
		return nil
	}
	data := c.data
	c.data = nil
	if err := errors.Join(data.Unmap(), c.file.Close()); err != nil {
		return fmt.Errorf("parentcache: unmapping %s: %w", c.path, err)
	}
	return nil
}
