package sha256

import (
	std "crypto/sha256"
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/sdr-engine/sdr/internal/failure"
)

// A SelfTestError says that a kernel hashes wrong on the core that it was tested on.
type SelfTestError struct {
	Kernel string
	Layer  uint32
	Node   int
	Lane   int
}

// Is reports whether target is the kind ErrHardwareSuspect.
func (e *SelfTestError) Is(target error) bool { return target == failure.ErrHardwareSuspect }

func (e *SelfTestError) Error() string {
	return fmt.Sprintf("sha256: testing %s: lane %d of node %d in layer %d is wrong: this core, or its memory, cannot be trusted", e.Kernel, e.Lane, e.Node, e.Layer)
}

// SelfTest labels a few nodes in both kinds of layer and hashes a few pairs, and
// compares them with the standard library's SHA-256. It tests the core that it runs
// on: a program that hashes for hours calls it on each core first. The error is a
// *SelfTestError. It takes about a millisecond.
func (k *Kernel) SelfTest() error {
	const nodes = 12
	l := Layer{}
	for lane := range k.Lanes {
		l.ReplicaIDs = append(l.ReplicaIDs, std.Sum256([]byte{byte(lane)}))
	}
	plain := [3][]byte{} // layers 1 and 2 as the standard library has them, node after node, lane after lane
	parents := make([]uint32, nodes*degree)
	for node := 1; node < nodes; node++ {
		for slot := range degree {
			parents[node*degree+slot] = uint32((node*7 + slot*5) % node) // base parents before the node
			if slot >= baseDegree {
				parents[node*degree+slot] = uint32((node*5 + slot*7) % nodes)
			}
		}
		parents[node*degree] = uint32(node - 1)
	}
	for number := uint32(1); number <= 2; number++ {
		l.Number, l.Before, l.Labels = number, l.Labels, alignedBytes(nodes*k.Pitch(), k.Align)
		if number == 1 {
			l.Before = nil
		}
		if err := k.Label(&l, 0, nodes, parents); err != nil {
			return err
		}
		plain[number] = make([]byte, nodes*k.Pitch())
		lane := make([]byte, nodes*nodeSize)
		for i := range k.Lanes {
			if err := k.Unpack(lane, l.Labels, i); err != nil {
				return err
			}
			for node := range nodes {
				want := standardLabel(l.ReplicaIDs[i], number, node, parents[node*degree:], func(layer uint32, p uint32) []byte {
					return plain[layer][(int(p)*k.Lanes+i)*nodeSize:][:nodeSize]
				})
				copy(plain[number][(node*k.Lanes+i)*nodeSize:], want[:])
				if want != [nodeSize]byte(lane[node*nodeSize:]) {
					return &SelfTestError{k.Name, number, node, i}
				}
			}
		}
	}
	const pairs = 37
	src, dst := make([]byte, pairs*2*nodeSize), make([]byte, pairs*nodeSize)
	for i := range src {
		src[i] = byte(i * i)
	}
	if err := k.HashPairs(dst, src); err != nil {
		return err
	}
	for i := range pairs {
		want := std.Sum256(src[i*2*nodeSize:][:2*nodeSize])
		want[nodeSize-1] &= 0x3f
		if want != [nodeSize]byte(dst[i*nodeSize:]) {
			return &SelfTestError{k.Name, 0, i, 0}
		}
	}
	return nil
}

// standardLabel is a label by the standard library.
func standardLabel(id [32]byte, layer uint32, node int, parents []uint32, label func(layer, parent uint32) []byte) [nodeSize]byte {
	m := make([]byte, 0, labelBytes)
	m = append(m, id[:]...)
	m = binary.BigEndian.AppendUint32(m, layer)
	m = binary.BigEndian.AppendUint64(m, uint64(node))
	m = append(m, make([]byte, 20)...)
	used := degree
	if layer == 1 {
		used = baseDegree
	}
	for i := 0; i < 37 && node > 0; i++ {
		slot := i % used
		from := layer
		if slot >= baseDegree {
			from--
		}
		m = append(m, label(from, parents[slot])...)
	}
	digest := std.Sum256(m)
	digest[nodeSize-1] &= 0x3f
	return digest
}

func alignedBytes(n, align int) []byte {
	b := make([]byte, n+align)
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (align - 1)
	return b[skip:][:n:n]
}
