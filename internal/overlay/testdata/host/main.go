// Host does with sectors what hosts do with filecoin-ffi. It reads them as JSON, all at
// once, and prints what came of them, in the same order.
package main

import (
	"encoding/json"
	"log"
	"os"
	"path/filepath"
	"sync"

	ffi "github.com/filecoin-project/filecoin-ffi"
	"github.com/filecoin-project/go-state-types/abi"
	"github.com/ipfs/go-cid"
)

type sector struct {
	Dir       string
	Proof     abi.RegisteredSealProof
	Miner     abi.ActorID
	Number    abi.SectorNumber
	Ticket    []byte
	ReplicaID [32]byte
	Staged    string // where it is /dev/zero
	Pieces    []piece
}

type piece struct {
	File string
	Size abi.UnpaddedPieceSize
}

type result struct {
	Pieces   []written
	Unsealed string
	Phase1   string
	Errors   map[string]string // by function
}

type written struct {
	CID, FileCID       string
	Alignment, Written abi.UnpaddedPieceSize
}

func main() {
	var sectors []sector
	if err := json.NewDecoder(os.Stdin).Decode(&sectors); err != nil {
		log.Fatal(err)
	}
	results := make([]result, len(sectors))
	var all sync.WaitGroup
	for i := range sectors {
		all.Go(func() { results[i] = seal(&sectors[i]) })
	}
	all.Wait()
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		log.Fatal(err)
	}
}

func seal(s *sector) result {
	r := result{Errors: map[string]string{}}
	note := func(function string, err error) {
		if err != nil {
			r.Errors[function] = err.Error()
		}
	}
	path := func(name string) string { return filepath.Join(s.Dir, name) }
	for _, dir := range []string{"cache", "sdr"} {
		note("Mkdir", os.Mkdir(path(dir), 0o777))
	}
	note("WriteFile", os.WriteFile(path("sealed"), nil, 0o666))
	staged, err := os.Create(path("staged"))
	note("Create", err)
	defer staged.Close()

	var infos []abi.PieceInfo
	var existing []abi.UnpaddedPieceSize
	for i, p := range s.Pieces {
		f, err := os.Open(p.File)
		note("Open", err)
		var w written
		var c cid.Cid
		if i == 0 {
			w.Written, c, err = ffi.WriteWithoutAlignment(s.Proof, f, p.Size, staged)
			note("WriteWithoutAlignment", err)
		} else {
			w.Alignment, w.Written, c, err = ffi.WriteWithAlignment(s.Proof, f, p.Size, staged, existing)
			note("WriteWithAlignment", err)
		}
		f.Close()
		ofFile, err := ffi.GeneratePieceCID(s.Proof, p.File, p.Size)
		note("GeneratePieceCIDFromFile", err)
		w.CID, w.FileCID = c.String(), ofFile.String()
		r.Pieces = append(r.Pieces, w)
		infos = append(infos, abi.PieceInfo{Size: abi.PaddedPieceSize(p.Size / 127 * 128), PieceCID: c})
		existing = append(existing, p.Size)
	}
	unsealed, err := ffi.GenerateUnsealedCID(s.Proof, infos)
	note("GenerateUnsealedCID", err)
	r.Unsealed = unsealed.String()
	note("GenerateSDR", ffi.GenerateSDR(s.Proof, path("sdr"), s.ReplicaID))
	from := path("staged")
	if s.Staged != "" {
		from = s.Staged
	}
	phase1, err := ffi.SealPreCommitPhase1(s.Proof, path("cache"), from, path("sealed"), s.Number, s.Miner, s.Ticket, infos)
	note("SealPreCommitPhase1", err)
	r.Phase1 = string(phase1)
	return r
}
