package engine

import (
	"unsafe"

	"github.com/sdr-engine/sdr/engine/internal/ring"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/memorymode"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
)

const windows = memorymode.Windows // of a layer, in OneLayer mode

// Labels on their way to files.
const (
	writers       = 2       // goroutines a hasher
	chunkBytes    = 4 << 20 // written at a time, for a kernel of one lane
	laneChunkSize = 1 << 20 // the same for each of several lanes
)

// A shape is the sizes that follow from a Config, in nodes unless it says else.
type shape struct {
	nodes uint64 // in a layer
	run   int    // staged and hashed at a time; in OneLayer mode it divides a window
	slots int    // runs in a ring

	// inMemory is how many of the newest labels are in memory, of this layer and
	// the one before: a label takes the place of the one so many nodes earlier.
	inMemory uint64
	window   uint64 // OneLayer: a window; 0 otherwise
	room     int    // OneLayer: how many far base parents of a window can be listed
}

// shapeOf is that of a Config with defaults written out.
func shapeOf(c *Config) shape {
	s := shape{nodes: c.Proof.SectorSize().Nodes()}
	lookahead := c.Lookahead
	if c.MemoryMode == OneLayer {
		s.window = s.nodes / windows
		s.inMemory = memorymode.WindowsKept * s.window
		s.room = int(min(5*s.window, s.window+4096))
		for s.run = 1; s.run*2 <= c.Stride && uint64(s.run*2) <= s.window; {
			s.run *= 2
		}
		lookahead = int(min(uint64(lookahead), s.window))
	} else {
		s.inMemory = 2 * s.nodes
		s.run = max(1, int(min(uint64(c.Stride), s.nodes)))
	}
	// In a small sector there is not so much to be ahead of.
	s.slots = max(2, divUp(int(min(uint64(lookahead), s.nodes)), s.run))
	return s
}

// farLabels is for how many labels of a window's far parents, and what is in between,
// there is memory.
func (s *shape) farLabels(stride int) int {
	between := (windows - kept) * (spillAlign(stride) - 1)
	return max(s.room, int(min(5*s.window+uint64(between), s.window+4096)))
}

// nodesInMemory is the memory for layers of a kernel with a certain stride.
func (s *shape) nodesInMemory(stride int) uint64 {
	if s.window == 0 {
		return TwoLayers.InMemory(s.nodes)
	}
	return OneLayer.InMemory(s.nodes) + memorymode.WindowsFar*(uint64(s.farLabels(stride))-s.window)
}

// chunk is how many nodes are written at a time.
func (s *shape) chunk(k *sha256.Kernel) uint64 {
	size := uint64(laneChunkSize)
	if k.Lanes == 1 {
		size = chunkBytes
	}
	n := min(s.nodes, size/porep.NodeSize)
	if s.window > 0 {
		n = min(n, s.window) // so that all of a window can be read before the next is due
	}
	return n
}

// block is how many bytes of a lane's layer are checked together when they are read back.
// What is written, and what is read back, is a multiple of it.
func (s *shape) block() int {
	n := min(s.nodes, readNodes)
	if s.window > 0 {
		n = s.keyPart()
	}
	return int(n * porep.NodeSize)
}

// wakes is after how many nodes, at a node, the hasher tells the others.
func (s *shape) wakes(chunk, node uint64) uint64 {
	if s.window > 0 && node >= s.handedOver(0) {
		return min(chunk, max(1, s.window/64)) // parts of the key are handed over in between
	}
	return chunk
}

// bufferBytes is the memory of a batch's ioBuffers.
func bufferBytes(k *sha256.Kernel, s shape) uint64 {
	n := writeBytes(k, s)
	if s.window > 0 {
		n = roundUp(n, linux.DirectAlign) + spillBytes(k.Stride(), s) + readers*readBytes(s)
	}
	return n
}

// writeBytes is the memory in which a batch's lanes are taken apart: none if there is
// nothing to take apart.
func writeBytes(k *sha256.Kernel, s shape) uint64 {
	if k.Lanes == 1 && k.Group == 1 {
		return 0
	}
	return writers * s.chunk(k) * uint64(k.Stride())
}

// farBytes is the memory in which far parents are listed and, should they be read from
// the layers' files, sorted.
func farBytes(s shape) (n uint64) {
	if s.window > 0 {
		const lists, entry = 3, 4 // two windows', and the order that they are read in
		n += lists*entry*uint64(s.room) + (listNodes*porep.Degree+farChunk)*entry
		n += 2 * s.window / uint64(s.run) * uint64(unsafe.Sizeof(farWindow{}.starts[0]))
		n += uint64(unsafe.Sizeof([windows][windows][]uint32{})) + windows*uint64(s.room)/farChunk*entry // checksums
	}
	return n
}

// parentBytes is the memory in which a hasher's producers work out the parents of runs,
// and that says where they lie.
func parentBytes(s shape, producers int) uint64 {
	const parent, index, address = 4, 4, 8
	rows := uint64(s.slots*s.run + sha256.Ahead)
	return rows*porep.Degree*address + uint64(s.slots)*uint64(ring.SlotBytes) +
		uint64(producers)*uint64(s.run)*porep.Degree*(parent+index)
}

// sharedBytes is the memory of the parents that hashers share.
func sharedBytes(s shape) uint64 {
	const parent = 4
	places := uint64(sharedPlaces(s))
	return places*uint64(unsafe.Sizeof(sharedRun{})) + min(places*uint64(s.run), s.nodes)*porep.Degree*parent
}

// runsInLayer is how many runs a layer has; the last may be shorter.
func (s *shape) runsInLayer() uint64 { return divUp(s.nodes, uint64(s.run)) }
