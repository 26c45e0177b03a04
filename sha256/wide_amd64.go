//go:build !purego

package sha256

import "unsafe"

// wideNodes are labelled in four lanes before the next four have their turn: so many
// that what a call of labelSHANIx4 has to make first counts for little, so few that
// their parents' pages are all still in the TLB, and the labels in the cache, when the
// last lanes come to them.
const wideNodes = 32

// wideCall are labelled in one call of labelSHANIWide, which can be preempted.
const wideCall = 4 * wideNodes

// labelSHANIWide labels more lanes than four, four at a time. Nothing is hashed faster
// for that. But a node's parents lie in as many pages as those of four lanes, their
// addresses are worked out once for all, and only the first four wait for the TLB.
func labelSHANIWide(r labelSpan, lanes int) {
	const four = 4 * nodeSize
	var shifted [(wideNodes + aheadSHANI) * degree]uintptr
	for left := int(r.count); ; {
		n := min(left, wideNodes)
		part := r
		part.count = uint64(n)
		rows := n
		if r.ahead > 0 {
			rows += aheadSHANI
		}
		labelSHANIx4(&part)
		for offset := four; offset < lanes*nodeSize; offset += four {
			for i, at := range unsafe.Slice(r.parents, rows*degree) {
				shifted[i] = at + uintptr(offset)
			}
			part.parents = &shifted[0]
			part.dst = (*byte)(unsafe.Add(unsafe.Pointer(r.dst), offset))
			part.replicas = (*byte)(unsafe.Add(unsafe.Pointer(r.replicas), offset))
			labelSHANIx4(&part)
		}
		if left -= n; left == 0 {
			return
		}
		r.skip(n)
	}
}
