//go:build purego || !amd64

package sha256

import "unsafe"

func (r Rows) locateAll(parents []uint32, labels, key, stride uintptr) {
	r.locateGeneric(parents, labels, key, stride)
}

func greatest(numbers []uint32) uint32 { return greatestGeneric(numbers) }

func (r Rows) stageAll(k *Kernel, which []int32, memory []byte) {
	r.Prefetch(k, which)
	stride := k.Stride()
	for _, i := range which {
		place := memory[int(i)*stride:][:stride]
		copy(place, unsafe.Slice((*byte)(pointer(r.addrs[i])), stride))
		r.addrs[i] = address(&place[0])
	}
}
