//go:build cgo

package ffi

// #include <stdlib.h>
import "C"
import (
	"fmt"
	"os"

	"github.com/ipfs/go-cid"

	"github.com/filecoin-project/go-state-types/abi"

	"github.com/filecoin-project/filecoin-ffi/cgo"
)

// filcrypto is what all functions here end with, which the real ones have in C.
func filcrypto(name string) error { return fmt.Errorf("filcrypto %d: %s", cgo.Version(), name) }

// GeneratePieceCID calls one of the functions that are replaced.
func GeneratePieceCID(proofType abi.RegisteredSealProof, piecePath string, pieceSize abi.UnpaddedPieceSize) (cid.Cid, error) {
	f, err := os.Open(piecePath)
	if err != nil {
		return cid.Undef, err
	}
	defer f.Close()
	return GeneratePieceCIDFromFile(proofType, f, pieceSize)
}

func GenerateUnsealedCID(proofType abi.RegisteredSealProof, pieces []abi.PieceInfo) (cid.Cid, error) {
	return cid.Undef, filcrypto("GenerateUnsealedCID")
}

func GeneratePieceCIDFromFile(proofType abi.RegisteredSealProof, pieceFile *os.File, pieceSize abi.UnpaddedPieceSize) (cid.Cid, error) {
	return cid.Undef, filcrypto("GeneratePieceCIDFromFile")
}

func WriteWithAlignment(
	proofType abi.RegisteredSealProof,
	pieceFile *os.File,
	pieceBytes abi.UnpaddedPieceSize,
	stagedSectorFile *os.File,
	existingPieceSizes []abi.UnpaddedPieceSize,
) (leftAlignment, total abi.UnpaddedPieceSize, pieceCID cid.Cid, retErr error) {
	return 0, 0, cid.Undef, filcrypto("WriteWithAlignment")
}

func WriteWithoutAlignment(
	proofType abi.RegisteredSealProof,
	pieceFile *os.File,
	pieceBytes abi.UnpaddedPieceSize,
	stagedSectorFile *os.File,
) (abi.UnpaddedPieceSize, cid.Cid, error) {
	return 0, cid.Undef, filcrypto("WriteWithoutAlignment")
}

func SealPreCommitPhase1(
	proofType abi.RegisteredSealProof,
	cacheDirPath string,
	stagedSectorPath string,
	sealedSectorPath string,
	sectorNum abi.SectorNumber,
	minerID abi.ActorID,
	ticket abi.SealRandomness,
	pieces []abi.PieceInfo,
) (phase1Output []byte, err error) {
	return nil, filcrypto("SealPreCommitPhase1")
}

func GenerateSDR(
	proofType abi.RegisteredSealProof,
	cacheDirPath string,
	replicaId [32]byte,
) (err error) {
	return filcrypto("GenerateSDR")
}
