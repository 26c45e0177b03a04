package manifest

import (
	"lukechampine.com/blake3"
	"lukechampine.com/blake3/guts"
)

// blake3Sum is blake3.Sum256, which would have other goroutines help it: on cores that hash labels.
func blake3Sum(b []byte) (sum [32]byte) {
	const part = guts.MaxSIMD * guts.ChunkSize
	if len(b) <= part || len(b)&(len(b)-1) != 0 {
		return blake3.Sum256(b)
	}
	root := subtree(b, 0)
	root.Flags |= guts.FlagRoot
	out := guts.WordsToBytes(guts.CompressNode(root))
	copy(sum[:], out[:])
	return sum
}

// subtree is the node above so many bytes, a power of two, of which the first is in a chunk.
func subtree(b []byte, chunk uint64) guts.Node {
	const part = guts.MaxSIMD * guts.ChunkSize
	if len(b) == part {
		return guts.CompressBuffer((*[part]byte)(b), part, &guts.IV, chunk, 0)
	}
	half := len(b) / 2
	left, right := subtree(b[:half], chunk), subtree(b[half:], chunk+uint64(half/guts.ChunkSize))
	return guts.ParentNode(guts.ChainingValue(left), guts.ChainingValue(right), &guts.IV, 0)
}
