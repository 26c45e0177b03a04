package verify

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"path/filepath"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/merkle"
	"github.com/sdr-engine/sdr/porep"
)

// treeD is its name in the cache dir.
const treeD = "sc-02-data-tree-d.dat"

// A Tree is what TreeD found.
type Tree struct {
	CommD porep.Commitment // of the data, whatever tree-d says
	// Replica reports whether the data was that of a replica, without its key.
	Replica bool
}

// TreeD computes tree-d anew from the sector's data and compares it with the file, byte by byte.
// Data is staged, which zeros follow; or sealed, before phase 2 or after it, when it is a
// replica: then the key, the last layer, is taken off. The error is an ErrWrong if tree-d
// is not that of the data.
func TreeD(ctx context.Context, s Sector, data string, o Options) (t Tree, err error) {
	fail := func(err error) (Tree, error) { return t, fmt.Errorf("verify: checking tree-d with %s: %w", data, err) }
	if err := s.Proof.Check(); err != nil {
		return fail(err)
	}
	tree, err := durable.Open(ctx, filepath.Join(s.CacheDir, treeD))
	if err != nil {
		return fail(err)
	}
	defer tree.Close()
	source, err := durable.Open(ctx, data)
	if err != nil {
		return fail(err)
	}
	defer source.Close()
	info, err := source.File().Stat()
	if err != nil {
		return fail(err)
	}
	size := s.Proof.SectorSize()
	var from io.ReaderAt = source
	switch {
	case info.Mode()&os.ModeDevice != 0: // /dev/zero
	case !info.Mode().IsRegular():
		return fail(fmt.Errorf("it is not a file (%s)", info.Mode().Type()))
	case info.Size() > int64(size):
		return fail(wrongError{&LengthError{data, info.Size(), int64(size)}})
	case info.Size() == int64(size):
		copied, err := isCopy(tree, source, uint64(size))
		if err != nil {
			return fail(err)
		}
		if !copied {
			key, err := durable.Open(ctx, layers.Path(s.CacheDir, s.Proof.Layers()))
			if err == nil {
				defer key.Close()
				from, t.Replica = replica{source, key}, true
			} else if !errors.Is(err, os.ErrNotExist) {
				return fail(err)
			}
		}
	}
	var progress func(uint64)
	if p := o.Progress; p != nil {
		progress = func(done uint64) { p.read.Store(done) }
	}
	t.CommD, err = merkle.CheckTree(ctx, tree, from, size, o.workers(), progress)
	if errors.As(err, new(*merkle.TreeError)) {
		err = wrongError{err}
	}
	if err != nil {
		return fail(err)
	}
	return t, nil
}

// isCopy reports whether most of a few nodes, spread evenly, are tree-d's leaves.
func isCopy(tree, data *durable.Reader, size uint64) (bool, error) {
	const looks = 15
	same := 0
	for i := range uint64(looks) {
		off := int64(size / porep.NodeSize * i / looks * porep.NodeSize)
		var a, b [porep.NodeSize]byte
		if err := tree.Read(durable.Behind, a[:], off); err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
				return true, nil // CheckTree says what is wrong
			}
			return false, err
		}
		if err := data.Read(durable.Behind, b[:], off); err != nil {
			return false, err
		}
		if a == b {
			same++
		}
	}
	return same > looks/2, nil
}

// A replica yields the data that it was made of: data + key, modulo the order of the field, of
// each node.
type replica struct{ sealed, key *durable.Reader }

// order is that of the scalar field of BLS12-381, the lowest 64 bits first.
var order = [4]uint64{0xffffffff00000001, 0x53bda402fffe5bfe, 0x3339d80809a1d805, 0x73eda753299d7d48}

func (r replica) ReadAt(b []byte, off int64) (int, error) {
	key := make([]byte, len(b))
	if err := r.sealed.Read(durable.Behind, b, off); err != nil {
		return 0, err
	}
	if err := r.key.Read(durable.Behind, key, off); err != nil {
		return 0, err
	}
	for i := 0; i+porep.NodeSize <= len(b); i += porep.NodeSize {
		subtract(b[i:][:porep.NodeSize], key[i:])
	}
	return len(b), nil
}

// subtract sets node to node − key in the field.
func subtract(node, key []byte) {
	var d [4]uint64
	borrow := uint64(0)
	for i := range d {
		d[i], borrow = bits.Sub64(binary.LittleEndian.Uint64(node[8*i:]), binary.LittleEndian.Uint64(key[8*i:]), borrow)
	}
	carry := uint64(0)
	for i := range d {
		d[i], carry = bits.Add64(d[i], order[i]&-borrow, carry)
		binary.LittleEndian.PutUint64(node[8*i:], d[i])
	}
}
