package merkle

import (
	"bytes"
	stdsha256 "crypto/sha256"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/sdr-engine/sdr/porep"
)

func randomBytes(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n+7)
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return b[:n]
}

// naiveTree is the file of the whole tree. Its levels follow each other without
// a gap, and so do the pairs to hash.
func naiveTree(leaves []byte) []byte {
	tree := append(make([]byte, 0, 2*len(leaves)), leaves...)
	for pair := 0; len(tree) < 2*len(leaves)-32; pair += 64 {
		sum := stdsha256.Sum256(tree[pair:][:64])
		sum[31] &= 0x3f
		tree = append(tree, sum[:]...)
	}
	return tree
}

func TestRoot(t *testing.T) {
	t.Parallel()
	var h Hasher // one for all sizes: its scratch must not show
	most := 4 << 20
	if testing.Short() {
		most = 1 << 20
	}
	for size := most; size >= 64; size /= 2 {
		data := randomBytes(uint64(size), size)
		if got, err := h.Root(data); err != nil || got != last(naiveTree(data)) {
			t.Errorf("root of %d bytes: %v, error %v; want %v", size, got, err, last(naiveTree(data)))
		}
		// Zeros everywhere but in one place.
		clear(data)
		data[size-1] = 1
		if got, err := h.Root(data); err != nil || got != last(naiveTree(data)) {
			t.Errorf("root of %d bytes, the last 1: %v, error %v; want %v", size, got, err, last(naiveTree(data)))
		}
		data[size-1] = 0
		if got, err := h.Root(data); err != nil || got != zeros[height(uint64(size))] {
			t.Errorf("root of %d zeros: %v, error %v; want %v", size, got, err, zeros[height(uint64(size))])
		}
	}
}

func TestIsZero(t *testing.T) {
	t.Parallel()
	for _, size := range []int{32, 64, 128, 4096} {
		b := make([]byte, size)
		if !isZero(b) {
			t.Errorf("%d zeros are not zero", size)
		}
		for i := range b {
			b[i] = 0x80
			if isZero(b) {
				t.Errorf("%d bytes are zero in spite of byte %d", size, i)
			}
			b[i] = 0
		}
		if isZero(bytes.Repeat([]byte{1}, size)) {
			t.Errorf("%d ones are zero", size)
		}
	}
}

func TestSizeErrors(t *testing.T) {
	t.Parallel()
	var h Hasher
	var a Accumulator
	for _, c := range []struct {
		err  error
		want string
	}{
		{second(ZeroCommitment(0)), "merkle: looking up zero commitment: 0 bytes: less than 64, two leaves"},
		{second(ZeroCommitment(32)), "merkle: looking up zero commitment: 32 bytes: less than 64, two leaves"},
		{second(ZeroCommitment(96)), "merkle: looking up zero commitment: 96 bytes: not a power of two"},
		{second(ZeroCommitment(1 << 51)), "merkle: looking up zero commitment: 2251799813685248 bytes: more than 1125899906842624"},
		{second(h.Root(nil)), "merkle: hashing data: 0 bytes: less than 64, two leaves"},
		{second(h.Root(make([]byte, 65))), "merkle: hashing data: 65 bytes: not a power of two"},
		{a.Add(porep.Commitment{}, 1<<63), "merkle: folding subtrees: 9223372036854775808 bytes: more than 1125899906842624"},
		{a.Add(porep.Commitment{}, 100), "merkle: folding subtrees: 100 bytes: not a power of two"},
		{second(BuildTree(t.Context(), nil, nil, 48, 1, nil)), "merkle: building tree: 48 bytes: less than 64, two leaves"},
		{second(BuildTree(t.Context(), nil, nil, 2049, 1, nil)), "merkle: building tree: 2049 bytes: not a power of two"},
		{second(BuildTree(t.Context(), nil, nil, 1<<41, 1, nil)), "merkle: building tree: 2199023255552 bytes: more than 1099511627776"},
		{second(CheckTree(t.Context(), nil, nil, 1<<63+1, 1, nil)), "merkle: checking tree: 9223372036854775809 bytes: more than 1099511627776"},
	} {
		if _, ok := errors.AsType[*SizeError](c.err); !ok || c.err.Error() != c.want {
			t.Errorf("error %v, want *SizeError: %s", c.err, c.want)
		}
	}
}

func second[T any](_ T, err error) error { return err }
