package seal

import (
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"unsafe"

	"github.com/sdr-engine/sdr/internal/linux"
)

// mappedPart is how many bytes of a file are mapped together: each time that some are unmapped,
// every CPU of the process is interrupted.
const mappedPart = 4 << 20

// A mapping has the parts of a file in memory that are being padded. Reading would copy every
// byte first, which takes a tenth of the whole pass. The nil mapping has none.
type mapping struct {
	f     *os.File
	start int64 // of the payload in the file
	size  int64 // of the payload
	block int64 // bytes of a block
	each  int64 // blocks of a part

	mu     sync.Mutex
	parts  map[int64]*filePart // by number
	cannot bool                // this file is read
}

type filePart struct {
	memory []byte // nil before the first block, and where that cannot be mapped
	skip   int64  // bytes in front of the first block: a mapping begins with a page
	left   int64  // blocks that are not done
}

// mappingOf is that of a file's payload; nil where that is a block or two.
func mappingOf(f *os.File, start, size, block int64) *mapping {
	if size <= 2*block {
		return nil
	}
	return &mapping{f: f, start: start, size: size, block: block, each: max(1, mappedPart/block), parts: map[int64]*filePart{}}
}

// part is the one that a block is in. Each is asked for by its first block.
func (m *mapping) part(block int64) *filePart {
	n := block / m.each
	p := m.parts[n]
	if p == nil {
		blocks := (m.size + m.block - 1) / m.block
		p = &filePart{left: min(m.each, blocks-n*m.each)}
		m.parts[n] = p
	}
	return p
}

// pages are those that a whole block lies in, which begins skip bytes behind the first one's
// beginning; nil where it has to be read.
func (m *mapping) pages(block int64) (pages []byte, skip int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.part(block)
	first := block / m.each * m.each * m.block
	page := int64(linux.PageSize)
	if p.memory == nil && !m.cannot {
		off := m.start + first
		p.skip = off % page
		memory, err := linux.MapPart(m.f, off-p.skip, int(p.skip+min(m.each*m.block, m.size-first)))
		m.cannot = err != nil
		p.memory = memory
	}
	if m.cannot {
		return nil, 0
	}
	at := p.skip + block*m.block - first
	skip = at % page
	return p.memory[at-skip : at+m.block], skip
}

// use hands a block's bytes to read, once. It reports false where they could not be
// had, no matter what was done with them: the disk fails, or the file was cut short. Who reads
// the block then is told what it is.
func (m *mapping) use(block int64, read func([]byte) error) (ok bool, err error) {
	if m == nil {
		return false, nil
	}
	pages, skip := m.pages(block)
	if pages == nil {
		return false, nil
	}
	if err := linux.PopulateRead(pages); err != nil {
		if errors.Is(err, errors.ErrUnsupported) {
			m.mu.Lock()
			m.cannot = true
			m.mu.Unlock()
		}
		return false, nil
	}
	if ok, err = faultless(pages[skip:], read); !ok {
		return false, nil
	}
	// What is behind the file's end in its last page is zeros, not a fault.
	info, statErr := m.f.Stat()
	return statErr == nil && info.Size() >= m.start+(block+1)*m.block, err
}

// faultless reports false where reading b is a memory fault.
func faultless(b []byte, read func([]byte) error) (ok bool, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		fault, is := p.(interface {
			runtime.Error
			Addr() uintptr
		})
		if is && fault.Addr()-uintptr(unsafe.Pointer(&b[0])) < uintptr(len(b)) {
			ok, err = false, nil
			return
		}
		panic(p)
	}()
	return true, read(b)
}

// done is when nobody will use a block any more. The last of a part unmaps it.
func (m *mapping) done(block int64) {
	if m == nil {
		return
	}
	m.mu.Lock()
	p := m.part(block)
	p.left--
	if p.left > 0 {
		m.mu.Unlock()
		return
	}
	delete(m.parts, block/m.each)
	m.mu.Unlock()
	_ = linux.Unmap(p.memory)
}

// close unmaps what is left, when nobody uses it.
func (m *mapping) close() {
	if m == nil {
		return
	}
	for _, p := range m.parts {
		_ = linux.Unmap(p.memory)
	}
	m.parts = nil
}
