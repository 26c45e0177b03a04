package merkle

import (
	"fmt"
	"io"
	"sync"

	"github.com/sdr-engine/sdr/porep"
)

// zeroChunk is size zero bytes of leaves, and all levels above them. Nobody writes to either.
func zeroChunk(size int) (leaves, levels []byte) {
	if size == chunkSize {
		c := wholeZeroChunk()
		return c[:size], c[size:]
	}
	c := newZeroChunk(size)
	return c[:size], c[size:]
}

var wholeZeroChunk = sync.OnceValue(func() []byte { return newZeroChunk(chunkSize) })

func newZeroChunk(size int) []byte {
	all := make([]byte, 2*size-nodeSize)
	free := all[size:]
	for level, n := 1, size/2; n >= nodeSize; level, n = level+1, n/2 {
		fill(free[:n], zeros[level])
		free = free[n:]
	}
	return all
}

// ZeroTree is the file of the tree over size zero bytes, without a file. Size is one that
// BuildTree accepts.
func ZeroTree(size porep.SectorSize) io.ReaderAt { return zeroTree(size) }

type zeroTree porep.SectorSize

func (z zeroTree) ReadAt(b []byte, off int64) (n int, err error) {
	size := porep.SectorSize(z)
	if off < 0 {
		return 0, fmt.Errorf("merkle: reading tree of zeros: at byte %d", off)
	}
	level := 0
	for n < len(b) {
		if off >= TreeSize(size) {
			return n, io.EOF
		}
		for level < height(uint64(size)) && off >= levelOffset(size, level+1) {
			level++
		}
		end := TreeSize(size)
		if level < height(uint64(size)) {
			end = levelOffset(size, level+1)
		}
		part := b[n:][:min(int64(len(b)-n), end-off)]
		for i := range part {
			part[i] = zeros[level][(off+int64(i))%nodeSize]
		}
		n, off = n+len(part), off+int64(len(part))
	}
	return n, nil
}

// NoData is data of zeros alone.
type NoData struct{}

// ReadAt reads nothing.
func (NoData) ReadAt([]byte, int64) (int, error) { return 0, io.EOF }

// DataFrom implements Sparse.
func (NoData) DataFrom(int64) int64 { return 1<<63 - 1 }
