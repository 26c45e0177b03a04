//go:build purego || !amd64

package sha256

import "unsafe"

func (r Rows) locateAll(parents []uint32, labels, before, pitch uintptr) {
	r.locateGeneric(parents, labels, before, pitch)
}

func greatest(numbers []uint32) uint32 { return greatestGeneric(numbers) }

func (r Rows) stageAll(k *Kernel, which []int32, memory []byte) {
	r.Prefetch(k, which)
	pitch := k.Pitch()
	for _, i := range which {
		label := memory[int(i)*pitch:][:pitch]
		copy(label, unsafe.Slice((*byte)(pointer(r.addrs[i])), pitch))
		r.addrs[i] = address(&label[0])
	}
}
