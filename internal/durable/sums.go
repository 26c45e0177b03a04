package durable

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/sdr-engine/sdr/internal/linux"
)

// Checksum is a block's: CRC-32C, which finds every flipped bit, every two and three
// in blocks of our sizes, and what else goes wrong but for one time in 2^32. All
// processors that matter compute it faster than memory yields the data.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A ChangedError says that a part of a file is not what was written there: a disk, a
// file system or somebody else has changed it.
type ChangedError struct {
	Path     string
	Off, Len int64 // the part, in bytes
	Found    uint32
	Written  uint32 // both: Checksum
}

// Is reports whether target is ErrChanged.
func (e *ChangedError) Is(target error) bool { return target == ErrChanged }

func (e *ChangedError) Error() string {
	return fmt.Sprintf("durable: reading back %s: bytes %d to %d are not what was written (checksum %08x, was %08x): a failing disk, or another process, has changed them",
		e.Path, e.Off, e.Off+e.Len-1, e.Found, e.Written)
}

// A part is one that was written at a time.
type part struct {
	off int64
	n   int32
	sum uint32
}

func (p part) end() int64 { return p.off + int64(p.n) }

// sumBlock is of how many bytes a checksum is, at most and by default.
const sumBlock = 1 << 20

// Sums are checksums of all that was written to a file, or read from it, kept in memory
// for when it is read back. Each byte is added once, by any goroutine.
type Sums struct {
	size, block int64
	blocks      []atomic.Uint64 // of whole blocks; has is set where one was added
	mu          sync.Mutex
	parts       []part // those that are no whole blocks
}

const has = 1 << 32

// NewSums has no checksums of a file of that size yet. What is added as whole blocks, of
// so many bytes, can be looked up by Check.
func NewSums(size int64, block int) *Sums {
	return &Sums{size: size, block: int64(block), blocks: make([]atomic.Uint64, size/int64(block))}
}

// Add notes what is in the file at off.
func (s *Sums) Add(b []byte, off int64) {
	for len(b) > 0 {
		n := min(int64(len(b)), s.block-off%s.block)
		sum := Checksum(b[:n])
		if n == s.block && off+n <= s.size {
			s.blocks[off/s.block].Store(has | uint64(sum))
		} else {
			s.mu.Lock()
			s.parts = append(s.parts, part{off, int32(n), sum})
			s.mu.Unlock()
		}
		b, off = b[n:], off+n
	}
}

// Check compares b, which was read at off, with what was added. It must be whole blocks.
func (s *Sums) Check(path string, b []byte, off int64) error {
	for len(b) > 0 {
		i := off / s.block
		if off%s.block != 0 || int64(len(b)) < s.block || i >= int64(len(s.blocks)) || s.blocks[i].Load() == 0 {
			return fmt.Errorf("durable: reading back %s: %d bytes at %d are not blocks of %d that were written", path, len(b), off, s.block)
		}
		if found, was := Checksum(b[:s.block]), uint32(s.blocks[i].Load()); found != was {
			return &ChangedError{path, off, s.block, found, was}
		}
		b, off = b[s.block:], off+s.block
	}
	return nil
}

// all are the parts in order.
func (s *Sums) all() []part {
	s.mu.Lock()
	parts := slices.Clone(s.parts)
	s.mu.Unlock()
	for i := range s.blocks {
		if sum := s.blocks[i].Load(); sum != 0 {
			parts = append(parts, part{int64(i) * s.block, int32(s.block), uint32(sum)})
		}
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.off, b.off) })
	return parts
}

// readBack is how much CheckAll reads at a time.
const readBack = 4 << 20

// CheckAll compares a whole file with what was added; between the parts there are zeros.
// It reads in order, and looks at ctx in between. Where holes has a hole, and there are to be
// zeros, it does not read.
func (s *Sums) CheckAll(ctx context.Context, path string, holes *Holes, read func(b []byte, off int64) error) error {
	parts, size := s.all(), s.size
	buffer := linux.AlignedBuffer(int(min(readBack, size)))
	sum, begun := uint32(0), false // of the part that a buffer's end cut
	for off := int64(0); off < size; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		b := buffer[:min(int64(len(buffer)), size-off)]
		if (len(parts) == 0 || parts[0].off >= off+int64(len(b))) && holes.Has(off, int64(len(b))) {
			off += int64(len(b))
			continue
		}
		if err := read(b, off); err != nil {
			return err
		}
		for at, end := off, off+int64(len(b)); at < end; {
			if len(parts) == 0 || parts[0].off > at {
				hole := end
				if len(parts) > 0 {
					hole = min(hole, parts[0].off)
				}
				if i := firstNonZero(b[at-off : hole-off]); i >= 0 {
					return &ChangedError{Path: path, Off: at + int64(i), Len: 1, Found: Checksum(b[at-off+int64(i):][:1]), Written: Checksum([]byte{0})}
				}
				at = hole
				continue
			}
			p := parts[0]
			if p.off < at && !begun {
				return fmt.Errorf("durable: reading back %s: byte %d was written twice", path, at)
			}
			upTo := min(end, p.end())
			if !begun {
				sum = 0
			}
			sum, begun = crc32.Update(sum, castagnoli, b[at-off:upTo-off]), upTo < p.end()
			at = upTo
			if begun {
				continue
			}
			if sum != p.sum {
				return &ChangedError{path, p.off, int64(p.n), sum, p.sum}
			}
			parts = parts[1:]
		}
		off += int64(len(b))
	}
	if len(parts) > 0 {
		return fmt.Errorf("durable: reading back %s: it ends at byte %d, %d bytes were written at %d", path, size, parts[0].n, parts[0].off)
	}
	return nil
}

var zeros [64 << 10]byte

// firstNonZero is where b has something else than zeros, -1 if nowhere.
func firstNonZero(b []byte) int {
	for at := 0; at < len(b); at += len(zeros) {
		part := b[at:min(len(b), at+len(zeros))]
		if !bytes.Equal(part, zeros[:len(part)]) {
			return at + slices.IndexFunc(part, func(c byte) bool { return c != 0 })
		}
	}
	return -1
}

// Summed is a source of which sums are taken as it is read; no byte is to be read twice. What
// holes has as a hole counts as zeros without being read.
func Summed(r io.ReaderAt, sums *Sums, holes *Holes) io.ReaderAt { return summed{r, sums, holes} }

type summed struct {
	io.ReaderAt
	sums *Sums
	*Holes
}

func (s summed) ReadAt(b []byte, off int64) (int, error) {
	n, err := s.ReaderAt.ReadAt(b, off)
	s.sums.Add(b[:n], off)
	return n, err
}
