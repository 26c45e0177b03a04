// Package commcid stands in for the real one: piece CIDs and what they are of.
package commcid

import (
	"fmt"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
)

const (
	unsealed = 0xf101 // the codec of a commitment to data
	hash     = 0x1012 // sha2-256-trunc254-padded
)

func PieceCommitmentV1ToCID(commP []byte) (cid.Cid, error) {
	digest, err := multihash.Encode(commP, hash)
	if err != nil || len(commP) != 32 {
		return cid.Undef, fmt.Errorf("commcid: %d bytes are no commitment: %v", len(commP), err)
	}
	return cid.NewCidV1(unsealed, digest), nil
}

func DataCommitmentV1ToCID(commD []byte) (cid.Cid, error) { return PieceCommitmentV1ToCID(commD) }

func CIDToPieceCommitmentV1(c cid.Cid) ([]byte, error) {
	digest, err := multihash.Decode(c.Hash())
	if err != nil || c.Type() != unsealed || digest.Code != hash {
		return nil, fmt.Errorf("commcid: %v is no piece's: %v", c, err)
	}
	return digest.Digest, nil
}
