//go:build purego || !amd64

package sha256

func (r Rows) locateAll(parents []uint32, labels, key, stride uintptr) {
	r.locateGeneric(parents, labels, key, stride)
}

func greatest(numbers []uint32) uint32 { return greatestGeneric(numbers) }
