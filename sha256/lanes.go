package sha256

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"
)

// ErrLanes is in the error of Pack, Unpack and UnpackLanes for lanes or buffers that
// do not fit the kernel. Nothing was written.
var ErrLanes = errors.New("want a lane of the kernel, whole nodes, and 32 bytes for each")

// Unpack copies the labels of one lane out of nodes, which is a multiple of
// Pitch bytes long, to dst, which has 32 bytes for each node: what a layer file
// has. The error is an ErrLanes.
func (k *Kernel) Unpack(dst, nodes []byte, lane int) error {
	if err := k.checkLanes(dst, nodes, lane); err != nil {
		return fmt.Errorf("sha256: taking lane %d apart: %w", lane, err)
	}
	pitch := k.Pitch()
	if k.Group == 1 {
		for from := lane * nodeSize; len(dst) > 0; from += pitch {
			*(*[nodeSize]byte)(dst) = *(*[nodeSize]byte)(nodes[from:])
			dst = dst[nodeSize:]
		}
		return nil
	}
	l := lanesOf{lane, k.Group}
	step := 4 * k.Group
	for len(dst) > 0 {
		p := l.first(unsafe.Pointer(&nodes[0]))
		for i := range nodeSize / 4 {
			binary.BigEndian.PutUint32(dst[4*i:], *(*uint32)(unsafe.Add(p, step*i)))
		}
		dst, nodes = dst[nodeSize:], nodes[pitch:]
	}
	return nil
}

// UnpackLanes copies the labels of the first lanes of nodes, as many as dst has room
// for, lane after lane: each as Unpack does it, in less time. The error is an ErrLanes.
func (k *Kernel) UnpackLanes(dst, nodes []byte) error {
	// So few nodes at a time that they are still in the first cache when the next
	// lanes come to them.
	const part, eight = 16 << 10, 8
	pitch := k.Pitch()
	size := len(nodes) / k.Lanes
	lanes := 0
	if size > 0 {
		lanes = len(dst) / size
	}
	if len(nodes)%pitch != 0 || len(dst) != lanes*size || lanes > k.Lanes {
		return fmt.Errorf("sha256: taking lanes apart: %d bytes of %d lanes to %d: %w", len(nodes), k.Lanes, len(dst), ErrLanes)
	}
	fast := 0
	if k.unpack != nil && k.Usable() {
		fast = lanes / eight * eight
	}
	step := part / pitch * nodeSize
	for from := 0; from < size; from += step {
		n := min(step, size-from)
		source := nodes[from*k.Lanes:][:n*k.Lanes]
		for lane := 0; lane < fast; lane += eight {
			raceReadBytes(source)
			for i := range eight {
				raceWrites(dst[(lane+i)*size+from:][:n])
			}
			first := (*byte)(lanesOf{lane, k.Group}.first(unsafe.Pointer(&source[0])))
			k.unpack(&dst[lane*size+from], first, n/nodeSize, size, 4*k.Group, pitch)
		}
		for lane := fast; lane < lanes; lane++ {
			if err := k.Unpack(dst[lane*size+from:][:n], source, lane); err != nil {
				return err
			}
		}
	}
	return nil
}

// Pack is the inverse of Unpack: it copies labels as a layer file has them into
// one lane of nodes. The error is an ErrLanes.
func (k *Kernel) Pack(nodes, labels []byte, lane int) error {
	if err := k.checkLanes(labels, nodes, lane); err != nil {
		return fmt.Errorf("sha256: packing lane %d: %w", lane, err)
	}
	pitch := k.Pitch()
	l := lanesOf{lane, k.Group}
	for len(labels) > 0 {
		l.put(unsafe.Pointer(&nodes[0]), (*[nodeSize]byte)(labels))
		labels, nodes = labels[nodeSize:], nodes[pitch:]
	}
	return nil
}

func (k *Kernel) checkLanes(labels, nodes []byte, lane int) error {
	if lane < 0 || lane >= k.Lanes || len(nodes)%k.Pitch() != 0 || len(labels) != len(nodes)/k.Lanes {
		return fmt.Errorf("%d bytes of %d lanes, %d of one: %w", len(nodes), k.Lanes, len(labels), ErrLanes)
	}
	return nil
}
