package durable

import (
	"io"
	"os"
	"sync"

	"github.com/sdr-engine/sdr/internal/linux"
)

// Holes knows where a file has holes: parts that take no space and read as zeros. Any
// number of goroutines may ask at once. The nil Holes knows of none.
type Holes struct {
	f *os.File // opened for this alone, since asking moves its position

	mu         sync.Mutex
	from       int64 // what is known begins here:
	data, hole int64 // a hole up to data, then data up to hole
}

// HolesOf opens f once more to ask where it has holes. Where that cannot be told the file
// has none.
func HolesOf(f *os.File) *Holes {
	if f == nil {
		return nil
	}
	again, err := linux.Reopen(f)
	if err != nil {
		return nil
	}
	return &Holes{f: again}
}

// Has reports whether the n bytes at off are in a hole, or behind the file's end.
func (h *Holes) Has(off, n int64) bool { return h != nil && h.DataFrom(off) >= off+n }

// noData is where the data begins that a file does not have.
const noData = 1<<63 - 1

// DataFrom is where, from off on, there is data next, and off itself where that is not
// known.
func (h *Holes) DataFrom(off int64) int64 {
	if h == nil {
		return off
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if off < h.from || off >= h.hole {
		h.from, h.data, h.hole = off, noData, noData
		if data, err := linux.NextData(h.f, off); err == nil {
			h.data = data
			if h.hole, err = linux.NextHole(h.f, data); err != nil || h.hole <= data {
				h.data, h.hole = off, off // it changes, or cannot tell
			}
		} else if err != io.EOF {
			h.data, h.hole = off, off
		}
	}
	return max(off, h.data)
}

// DataEnd is where the data that is at off ends, before size.
func (h *Holes) DataEnd(off, size int64) int64 {
	if h == nil {
		return size
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if off >= h.from && off < h.hole {
		return min(size, h.hole)
	}
	return size
}

// Close ends the asking.
func (h *Holes) Close() {
	if h != nil {
		h.f.Close()
	}
}
