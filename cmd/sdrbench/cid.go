package main

import (
	"fmt"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"

	"github.com/sdr-engine/sdr/porep"
)

// The multicodec codes of a piece CID.
const (
	filCommitmentUnsealed = 0xf101
	sha256Trunc254Padded  = 0x1012
)

// pieceCID is the text form of a comm_p: "baga6ea4seaq…".
func pieceCID(commP porep.Commitment) (string, error) {
	hash, err := multihash.Encode(commP[:], sha256Trunc254Padded)
	if err != nil {
		return "", fmt.Errorf("encoding the piece CID of %s: %w", commP, err)
	}
	return cid.NewCidV1(filCommitmentUnsealed, hash).String(), nil
}
