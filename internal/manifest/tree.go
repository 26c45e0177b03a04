package manifest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"

	"github.com/sdr-engine/sdr/porep"
)

// A Hash is of a layer, or of whole blocks at its beginning: see Tree.
type Hash [sha256.Size]byte

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// BlockBytes is the size of a block in layers of sectors of a size: 1 MiB, or in small ones a
// 32nd of the layer, so that every part that is written or read is whole blocks.
func BlockBytes(size porep.SectorSize) int { return int(min(uint64(size)/32, 1<<20)) }

// A Tree hashes a layer: the SHA-256 over the digests of each block, in order. Blocks come in
// any order, from any goroutine, each at least once: several cores can do it, while the data is
// hot.
type Tree struct {
	size    int64
	block   int64
	digest  func(block []byte) [sha256.Size]byte
	digests []Hash // of blocks; zeros: not added
}

// schemes are how digests of blocks are made, by name.
var schemes = map[string]func(block []byte) [sha256.Size]byte{
	"sha256-of-block-blake3": blake3Sum,
	"sha256-of-block-sha256": sha256.Sum256,
}

// NewTree has no blocks yet of a layer of a sector of that size. Its hashes are of Scheme.
func NewTree(size porep.SectorSize) *Tree { return newTree(size, Scheme) }

// NewTree is one whose hashes are the manifest's.
func (m *Manifest) NewTree() *Tree { return newTree(m.Proof.SectorSize(), m.scheme()) }

func newTree(size porep.SectorSize, scheme string) *Tree {
	block := int64(BlockBytes(size))
	return &Tree{int64(size), block, schemes[scheme], make([]Hash, int64(size)/block)}
}

// Add adds whole blocks, which are in the layer at byte off.
func (t *Tree) Add(b []byte, off int64) error {
	if off < 0 || off > t.size-int64(len(b)) || off%t.block != 0 || int64(len(b))%t.block != 0 {
		return fmt.Errorf("manifest: hashing layer: %d bytes at %d are not blocks of %d in a layer of %d", len(b), off, t.block, t.size)
	}
	for ; len(b) > 0; b, off = b[t.block:], off+t.block {
		t.digests[off/t.block] = t.digest(b[:t.block])
	}
	return nil
}

// Sum is the hash of the first so many bytes, whole blocks that were all added.
func (t *Tree) Sum(bytes int64) (h Hash, err error) {
	if bytes < 0 || bytes > t.size || bytes%t.block != 0 {
		return h, fmt.Errorf("manifest: hashing layer: %d bytes are not blocks of %d in a layer of %d", bytes, t.block, t.size)
	}
	all := sha256.New()
	for i := range bytes / t.block {
		if t.digests[i] == (Hash{}) {
			return h, fmt.Errorf("manifest: hashing layer: block %d, of %d bytes, was not added", i, t.block)
		}
		all.Write(t.digests[i][:])
	}
	return Hash(all.Sum(nil)), nil
}

// Root is the hash of the whole layer.
func (t *Tree) Root() (Hash, error) { return t.Sum(t.size) }

// AddFrom adds the first so many bytes, whole blocks, as read yields them, by several
// goroutines with a buffer each from buffers. Seen, if not nil, is given each part, too; its error ends it.
func (t *Tree) AddFrom(ctx context.Context, bytes int64, buffers [][]byte, read func(b []byte, off int64) error, seen func(b []byte, off int64) error) error {
	var (
		mu     sync.Mutex
		next   int64
		failed error
		wg     sync.WaitGroup
	)
	take := func(n int64) (off int64, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if failed == nil && ctx.Err() != nil {
			failed = context.Cause(ctx)
		}
		off, next = next, next+n
		return off, failed == nil && off < bytes
	}
	for _, buffer := range buffers {
		wg.Go(func() {
			whole := int64(len(buffer)) / t.block * t.block
			if whole == 0 {
				mu.Lock()
				defer mu.Unlock()
				failed = fmt.Errorf("manifest: hashing layer: a buffer has %d bytes, a block %d", len(buffer), t.block)
				return
			}
			for off, ok := take(whole); ok; off, ok = take(whole) {
				b := buffer[:min(whole, bytes-off)]
				err := read(b, off)
				if err == nil {
					err = t.Add(b, off)
				}
				if err == nil && seen != nil {
					err = seen(b, off)
				}
				if err != nil {
					mu.Lock()
					if failed == nil {
						failed = err
					}
					mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
	return failed
}
