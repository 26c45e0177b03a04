// Package plain computes labels and parents straight from the rules, by way of the standard
// library, slowly: what everything fast is held against. It shares no code with that.
package plain

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/sdr-engine/sdr/porep"
)

// labelsHashed is how many parents' labels a label's message has.
const labelsHashed = 37

// Label is the label of a node in a layer, from 1, of the sector of a replica id: made of its
// parents' labels, for which it asks at, by their layer and node. The error is at's. P must be
// registered, and the node one of its layer.
func Label(p porep.SealProof, id porep.ReplicaID, layer int, node uint64, at func(layer int, node uint64) ([porep.NodeSize]byte, error)) (label [porep.NodeSize]byte, err error) {
	m := append([]byte(nil), id[:]...)
	m = binary.BigEndian.AppendUint32(m, uint32(layer))
	m = binary.BigEndian.AppendUint64(m, node)
	m = append(m, make([]byte, 20)...)
	if node > 0 {
		parents := Parents(p, node)
		used := porep.Degree
		if layer == 1 {
			used = porep.BaseDegree
		}
		labels := make([][porep.NodeSize]byte, used)
		for slot := range labels {
			if labels[slot], err = at(LayerOf(layer, slot), uint64(parents[slot])); err != nil {
				return label, err
			}
		}
		for i := range labelsHashed {
			m = append(m, labels[i%used][:]...)
		}
	}
	label = sha256.Sum256(m)
	label[porep.NodeSize-1] &= 0x3f
	return label, nil
}

// LayerOf is the layer that the parent in a slot of a node in layer belongs to.
func LayerOf(layer, slot int) int {
	if slot < porep.BaseDegree {
		return layer
	}
	return layer - 1
}
