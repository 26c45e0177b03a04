// Written by sdrbench overlay: phase 1, SDR and pieces are made by github.com/sdr-engine/sdr.
// With SDR_FFI=off in the environment they are filcrypto's again.

package ffi

import (
	"os"

	commcid "github.com/filecoin-project/go-fil-commcid"
	"github.com/filecoin-project/go-state-types/abi"
	"github.com/ipfs/go-cid"

	sdrffi "github.com/sdr-engine/sdr/ffi"
)

// SealPreCommitPhase1 is phase 1 of a sector.
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
	off, err := sdrffi.Off()
	if err != nil {
		return nil, err
	}
	if off {
		return filcryptoSealPreCommitPhase1(proofType, cacheDirPath, stagedSectorPath, sealedSectorPath, sectorNum, minerID, ticket, pieces)
	}
	all, err := sdrPieces(pieces)
	if err != nil {
		return nil, err
	}
	return sdrffi.SealPreCommitPhase1(int64(proofType), cacheDirPath, stagedSectorPath, sealedSectorPath, uint64(sectorNum), uint64(minerID), ticket, all)
}

// GenerateSDR labels a sector.
func GenerateSDR(
	proofType abi.RegisteredSealProof,
	cacheDirPath string,
	replicaId [32]byte,
) (err error) {
	off, err := sdrffi.Off()
	if err != nil {
		return err
	}
	if off {
		return filcryptoGenerateSDR(proofType, cacheDirPath, replicaId)
	}
	return sdrffi.GenerateSDR(int64(proofType), cacheDirPath, replicaId)
}

// WriteWithAlignment adds a piece to a sector.
func WriteWithAlignment(
	proofType abi.RegisteredSealProof,
	pieceFile *os.File,
	pieceBytes abi.UnpaddedPieceSize,
	stagedSectorFile *os.File,
	existingPieceSizes []abi.UnpaddedPieceSize,
) (leftAlignment, total abi.UnpaddedPieceSize, pieceCID cid.Cid, retErr error) {
	off, err := sdrffi.Off()
	if err != nil {
		return 0, 0, cid.Undef, err
	}
	if off {
		return filcryptoWriteWithAlignment(proofType, pieceFile, pieceBytes, stagedSectorFile, existingPieceSizes)
	}
	existing := make([]uint64, len(existingPieceSizes))
	for i, size := range existingPieceSizes {
		existing[i] = uint64(size)
	}
	alignment, written, commP, err := sdrffi.WriteWithAlignment(int64(proofType), pieceFile, uint64(pieceBytes), stagedSectorFile, existing)
	if err != nil {
		return 0, 0, cid.Undef, err
	}
	c, err := commcid.PieceCommitmentV1ToCID(commP[:])
	return abi.UnpaddedPieceSize(alignment), abi.UnpaddedPieceSize(written), c, err
}

// WriteWithoutAlignment adds a piece to a sector, where the file stands.
func WriteWithoutAlignment(
	proofType abi.RegisteredSealProof,
	pieceFile *os.File,
	pieceBytes abi.UnpaddedPieceSize,
	stagedSectorFile *os.File,
) (abi.UnpaddedPieceSize, cid.Cid, error) {
	off, err := sdrffi.Off()
	if err != nil {
		return 0, cid.Undef, err
	}
	if off {
		return filcryptoWriteWithoutAlignment(proofType, pieceFile, pieceBytes, stagedSectorFile)
	}
	written, commP, err := sdrffi.WriteWithoutAlignment(int64(proofType), pieceFile, uint64(pieceBytes), stagedSectorFile)
	if err != nil {
		return 0, cid.Undef, err
	}
	c, err := commcid.PieceCommitmentV1ToCID(commP[:])
	return abi.UnpaddedPieceSize(written), c, err
}

// GeneratePieceCIDFromFile is a piece's CID.
func GeneratePieceCIDFromFile(proofType abi.RegisteredSealProof, pieceFile *os.File, pieceSize abi.UnpaddedPieceSize) (cid.Cid, error) {
	off, err := sdrffi.Off()
	if err != nil {
		return cid.Undef, err
	}
	if off {
		return filcryptoGeneratePieceCIDFromFile(proofType, pieceFile, pieceSize)
	}
	commP, err := sdrffi.PieceCommitment(int64(proofType), pieceFile, uint64(pieceSize))
	if err != nil {
		return cid.Undef, err
	}
	return commcid.PieceCommitmentV1ToCID(commP[:])
}

// GenerateUnsealedCID is the CID of a sector's pieces together.
func GenerateUnsealedCID(proofType abi.RegisteredSealProof, pieces []abi.PieceInfo) (cid.Cid, error) {
	off, err := sdrffi.Off()
	if err != nil {
		return cid.Undef, err
	}
	if off {
		return filcryptoGenerateUnsealedCID(proofType, pieces)
	}
	all, err := sdrPieces(pieces)
	if err != nil {
		return cid.Undef, err
	}
	commD, err := sdrffi.UnsealedCommitment(int64(proofType), all)
	if err != nil {
		return cid.Undef, err
	}
	return commcid.DataCommitmentV1ToCID(commD[:])
}

func sdrPieces(pieces []abi.PieceInfo) ([]sdrffi.Piece, error) {
	all := make([]sdrffi.Piece, len(pieces))
	for i, p := range pieces {
		commP, err := commcid.CIDToPieceCommitmentV1(p.PieceCID)
		if err != nil {
			return nil, err
		}
		all[i] = sdrffi.Piece{CommP: commP, Size: uint64(p.Size)}
	}
	return all, nil
}
