// Package input reads what people and hosts write: miners, sector numbers, pieces and their
// sizes; it writes piece CIDs as they are read elsewhere, and opens the files and pipes that are named.
package input

import (
	"context"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"

	"github.com/sdr-engine/sdr/porep"
)

// SectorNumber reads a sector's number.
func SectorNumber(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number from 0 to %d", text, uint64(math.MaxUint64))
	}
	return n, nil
}

// Unpadded reads a size that a piece can have, in bytes.
func Unpadded(text string) (porep.UnpaddedSize, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number of bytes", text)
	}
	size := porep.UnpaddedSize(n)
	return size, size.CheckPieceSize()
}

// Piece reads COMM_P:UNPADDED.
func Piece(text string) (piece porep.Piece, err error) {
	commP, size, ok := strings.Cut(text, ":")
	if !ok {
		return piece, fmt.Errorf("%q is not COMM_P:UNPADDED", text)
	}
	if piece.CommP, err = porep.ParseCommitment(commP); err != nil {
		return piece, err
	}
	if piece.Size, err = Unpadded(size); err != nil {
		return piece, fmt.Errorf("%q: %w", text, err)
	}
	return piece, nil
}

// Miner reads an actor number, 1000 or f01000, as a prover id.
func Miner(text string) (porep.ProverID, error) {
	digits, ok := strings.CutPrefix(text, "f0")
	if !ok {
		digits = strings.TrimPrefix(text, "t0")
	}
	actor, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return porep.ProverID{}, fmt.Errorf("%q is not an actor number, up to %d, like 1000 or f01000", text, uint64(math.MaxUint64))
	}
	return porep.ProverIDOf(actor), nil
}

// The multicodec codes of a piece CID.
const (
	filCommitmentUnsealed = 0xf101
	sha256Trunc254Padded  = 0x1012
)

// PieceCID is the text form of a comm_p: "baga6ea4seaq…".
func PieceCID(commP porep.Commitment) (string, error) {
	hash, err := multihash.Encode(commP[:], sha256Trunc254Padded)
	if err != nil {
		return "", fmt.Errorf("encoding the piece CID of %s: %w", commP, err)
	}
	return cid.NewCidV1(filCommitmentUnsealed, hash).String(), nil
}

// OpenUntil opens a file to read, unless ctx is done before: a pipe is waited for until
// somebody writes to it.
func OpenUntil(ctx context.Context, path string) (*os.File, error) {
	var f *os.File
	opened := make(chan error)
	go func() {
		var err error
		f, err = os.Open(path)
		select {
		case opened <- err:
		case <-ctx.Done():
			if err == nil {
				f.Close()
			}
		}
	}()
	select {
	case err := <-opened:
		return f, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
