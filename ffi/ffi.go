// Package ffi is what a host's filecoin-ffi calls in place of filcrypto: PreCommit phase 1,
// SDR, and pieces, on plain values. The file that sdrbench overlay writes puts the host's
// types around them.
//
// The first call that seals opens a machine for the process: see package sealer. It takes cores
// and memory from the whole machine for each call, raises GOMAXPROCS meanwhile, and has a
// call wait where there are none free. Calls that come within SDR_BATCH_WAIT are labelled
// together: see package lockstep. Hosts give no context, so nothing ends a call early.
//
// A host cannot be given flags, so settings are variables of its environment. One that is set
// and empty counts as not set. A wrong one is a *SettingError of each call, until it is put
// right.
//
//	SDR_FFI            off: everything is filcrypto's again; or on
//	SDR_BATCH_WAIT     how long a sector waits for others to be labelled with it, like 2s; 0 for none (default 2s)
//	SDR_BATCH          the most sectors that are labelled together (default: as many as can be labelled at the same time)
//	SDR_LOCK_DIR       where all jobs of the machine hold cores and memory (default /run/sdrbench)
//	SDR_PROFILE        the file that sdrbench tune wrote, or none (default: where tune writes it)
//	SDR_KERNEL         a label kernel, like sha-ni/2, or auto (default: the profile's, or the best)
//	SDR_MEMORY_MODE    two-layers or one-layer (default two-layers)
//	SDR_MEMORY_BUDGET  the most memory for all sectors together, like 256GiB (default: no limit)
//	SDR_PAGES          for layers: 1GiB, 2MiB, transparent or small, and what is smaller, or any (default: the profile's, or any)
//	SDR_HUGETLBFS      a directory on a mounted hugetlbfs to take layers' memory from
//	SDR_PARENT_CACHE   a directory with the parent cache files of the reference (default: parents are computed)
//	SDR_KEEP           which layers stay of SDR alone: all, or last, the key and the layer before it (default all)
//	SDR_WORK_DIR       a directory in which each sector's layers are while they are made, in one of its own, and from which they go on
//	SDR_NOTES          stderr: what is not as it might be, and how long each sector took, in lines that begin with "sdr:"; or off (default stderr)
//
// FIL_PROOFS variables are filcrypto's, and mean nothing here.
package ffi

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// A Piece is a piece of a sector.
type Piece struct {
	CommP []byte // 32 bytes
	Size  uint64 // bytes in the sector: padded
}

// A PanicError is a fault of this module, which would have ended the host.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("ffi: a fault of the program: %v\n%s", e.Value, e.Stack)
}

// recovered makes a panic an error.
func recovered(err *error) {
	switch value := recover().(type) {
	case nil:
	case *failure.Fault:
		*err = &PanicError{value.Value, value.Stack}
	default:
		*err = &PanicError{value, debug.Stack()}
	}
}

// SealPreCommitPhase1 is phase 1 of a sector: see seal.PreCommit1. It returns the phase 1
// JSON.
func SealPreCommitPhase1(proof int64, cacheDir, staged, sealed string, sector, miner uint64, ticket []byte, pieces []Piece) (phase1 []byte, err error) {
	defer recovered(&err)
	s := seal.Sector{
		Proof: porep.SealProof(proof), CacheDir: cacheDir, Staged: staged, Sealed: sealed,
		ProverID: porep.ProverIDOf(miner), Number: sector,
	}
	if len(ticket) != len(s.Ticket) {
		return nil, failure.Mark(seal.ErrBadInput, fmt.Errorf("ffi: checking the ticket: it has %d bytes, want %d", len(ticket), len(s.Ticket)))
	}
	copy(s.Ticket[:], ticket)
	if s.Pieces, err = piecesOf(pieces); err != nil {
		return nil, err
	}
	h, err := process.open()
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("sector %d of f0%d", sector, miner)
	done := h.timed(name)
	out, err := h.joiner.PreCommit1(context.Background(), s, name)
	if err != nil {
		return nil, err
	}
	done()
	return out.JSON()
}

// GenerateSDR labels a sector in a directory, nothing else: see seal.GenerateSDR.
func GenerateSDR(proof int64, cacheDir string, replicaID [32]byte) (err error) {
	defer recovered(&err)
	h, err := process.open()
	if err != nil {
		return err
	}
	name := "SDR in " + cacheDir
	done := h.timed(name)
	err = h.joiner.GenerateSDR(context.Background(), porep.SealProof(proof), engine.Sector{ReplicaID: replicaID, CacheDir: cacheDir}, h.keep, name)
	if err == nil {
		done()
	}
	return err
}

// WriteWithAlignment writes a piece to staged, which stands behind the pieces that it holds,
// aligned to its size: see seal.AddPiece. All sizes are unpadded bytes.
func WriteWithAlignment(proof int64, piece io.Reader, size uint64, staged *os.File, existing []uint64) (alignment, written uint64, commP [32]byte, err error) {
	defer recovered(&err)
	sizes := make([]porep.UnpaddedSize, len(existing))
	for i, s := range existing {
		sizes[i] = porep.UnpaddedSize(s)
	}
	a, err := seal.AddPiece(context.Background(), porep.SealProof(proof), piece, porep.UnpaddedSize(size), staged, sizes)
	return uint64(a.Alignment), uint64(a.Written), a.CommP, err
}

// WriteWithoutAlignment writes a piece to where staged stands: see seal.WritePiece.
func WriteWithoutAlignment(proof int64, piece io.Reader, size uint64, staged *os.File) (written uint64, commP [32]byte, err error) {
	defer recovered(&err)
	a, err := seal.WritePiece(context.Background(), porep.SealProof(proof), piece, porep.UnpaddedSize(size), staged)
	return uint64(a.Written), a.CommP, err
}

// PieceCommitment is comm_p of a piece of so many unpadded bytes. Like filcrypto's, it reads
// no more of a file that goes on behind it.
func PieceCommitment(proof int64, piece io.Reader, size uint64) (commP [32]byte, err error) {
	defer recovered(&err)
	if err := porep.SealProof(proof).Check(); err != nil {
		return commP, err
	}
	p, err := seal.CommP(context.Background(), io.LimitReader(piece, int64(size)), porep.UnpaddedSize(size))
	return p.CommP, err
}

// UnsealedCommitment is comm_d of a sector's pieces: see seal.CommD.
func UnsealedCommitment(proof int64, pieces []Piece) (commD [32]byte, err error) {
	defer recovered(&err)
	all, err := piecesOf(pieces)
	if err != nil {
		return commD, err
	}
	return seal.CommD(porep.SealProof(proof), all)
}

func piecesOf(pieces []Piece) ([]porep.Piece, error) {
	all := make([]porep.Piece, len(pieces))
	for i, p := range pieces {
		all[i].Size = porep.PaddedSize(p.Size).Unpadded()
		if all[i].Size.Padded() != porep.PaddedSize(p.Size) {
			return nil, failure.Mark(seal.ErrBadInput, fmt.Errorf("ffi: checking piece %d: %d padded bytes are no multiple of %d", i, p.Size, porep.PaddedUnit))
		}
		if len(p.CommP) != len(all[i].CommP) {
			return nil, failure.Mark(seal.ErrBadInput, fmt.Errorf("ffi: checking piece %d: its comm_p has %d bytes, want %d", i, len(p.CommP), len(all[i].CommP)))
		}
		copy(all[i].CommP[:], p.CommP)
	}
	return all, nil
}
