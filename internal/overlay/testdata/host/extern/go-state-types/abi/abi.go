// Package abi stands in for the real one: the types that filecoin-ffi's functions have.
package abi

import "github.com/ipfs/go-cid"

type (
	RegisteredSealProof int64
	SectorNumber        uint64
	ActorID             uint64
	SealRandomness      []byte
	UnpaddedPieceSize   uint64
	PaddedPieceSize     uint64
)

// A PieceInfo is a piece of a sector.
type PieceInfo struct {
	Size     PaddedPieceSize
	PieceCID cid.Cid
}
