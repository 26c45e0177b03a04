// Package golden is what the reference implementation, filecoin-proofs-api
// 19.1.0, made of known inputs, and the piece CIDs of FRC-0069: what every package's
// tests compare with.
package golden

import (
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"encoding/json"
	"io"
)

//go:embed testdata
var files embed.FS

// A Sector is a whole sector up to the end of phase 1. Hex is in file byte order.
type Sector struct {
	Name            string `json:"name"`
	RegisteredProof string `json:"registered_proof"`
	SectorSize      uint64 `json:"sector_size"`
	ProverID        string `json:"prover_id"`
	SectorID        uint64 `json:"sector_id"`
	Ticket          string `json:"ticket"`
	Pieces          []struct {
		Stream       string `json:"stream"`
		UnpaddedSize uint64 `json:"unpadded_size"`
		CommP        string `json:"comm_p"`
		Written      uint64 `json:"written"` // with alignment
	} `json:"pieces"`
	StagedSHA256 string `json:"staged_sha256"`
	StagedLen    int64  `json:"staged_len"`
	SealedSHA256 string `json:"sealed_sha256_after_p1"`
	CommD        string `json:"comm_d"`
	ReplicaID    string `json:"replica_id"`
	TreeDSHA256  string `json:"tree_d_sha256"`
	Layers       []struct {
		SHA256     string `json:"sha256"`
		FirstLabel string `json:"first_label"`
		LastLabel  string `json:"last_label"`
	} `json:"layers"`
	P1Output string `json:"p1_output"` // with $CACHE for the cache dir
	CommR    string `json:"comm_r"`    // as phase 2 computes it from the files
}

// Sectors are 2 KiB and 8 MiB sectors of all versions and one of 512 MiB.
func Sectors() (v []Sector) { read("sectors.json", &v); return v }

// ZeroSectors are sectors without deals: staged is /dev/zero, there are no pieces.
func ZeroSectors() (v []Sector) { read("zero-sectors.json", &v); return v }

// A Graph is the 14 parents of some nodes, by node.
type Graph struct {
	RegisteredProof string              `json:"registered_proof"`
	Parents         map[string][]uint32 `json:"parents"`
}

// Graphs has one for each seal proof.
func Graphs() (v []Graph) { read("graph.json", &v); return v }

// A Layer1 is the beginning of layer 1 of a large sector.
type Layer1 struct {
	RegisteredProof string `json:"registered_proof"`
	ReplicaID       string `json:"replica_id"`
	Count           uint64 `json:"count"` // labels
	SHA256          string `json:"sha256"`
	LastLabel       string `json:"last_label"`
}

// Layers1 has one for each seal proof of 32 and 64 GiB.
func Layers1() (v []Layer1) { read("layer1.json", &v); return v }

// A CommP is the commitment of a piece.
type CommP struct {
	Stream       string `json:"stream"`
	UnpaddedSize uint64 `json:"unpadded_size"`
	CommP        string `json:"comm_p"`
}

// CommPs are of pieces from 127 bytes to 64 MiB.
func CommPs() (v []CommP) { read("commp.json", &v); return v }

// HashHash returns a list of vectors that github.com/filecoin-project/go-fil-commp-hashhash
// publishes (MIT/Apache-2.0), "0xCC.txt" or "zero.txt": a line for each, of
// payload length, padded piece size and piece CID. The payload is that byte,
// filled with zeros to the piece's unpadded size.
func HashHash(name string) string {
	return string(must(files.ReadFile("testdata/commp-hashhash/" + name)))
}

// A PieceCID is the CIDs of a piece whose payload is described in words.
type PieceCID struct {
	Payload string `json:"payload"`
	Size    uint64 `json:"size"` // bytes of the payload
	Padding uint64 `json:"padding"`
	Height  int    `json:"height"`
	V1      string `json:"v1"` // may be empty
	V2      string `json:"v2"`
}

// PieceCIDs are the test cases of FRC-0069, as of 2026-05, which were checked against comm_p.
func PieceCIDs() []PieceCID {
	var v struct {
		Cases []PieceCID `json:"cases"`
	}
	read("piececid-v2.json", &v)
	return v.Cases
}

func read(name string, v any) {
	if err := json.Unmarshal(must(files.ReadFile("testdata/"+name)), v); err != nil {
		panic(err) // it is part of this program
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// Stream yields the first n bytes of the stream of that name: SHA-256(name ‖
// u64le(0)) ‖ SHA-256(name ‖ u64le(1)) ‖ …
func Stream(name string, n uint64) io.Reader {
	return io.LimitReader(&stream{msg: append([]byte(name), make([]byte, 8)...)}, int64(n))
}

type stream struct {
	msg  []byte // name and counter
	next uint64
	rest []byte // of the last digest
}

func (s *stream) Read(b []byte) (n int, _ error) {
	for n < len(b) {
		if len(s.rest) == 0 {
			binary.LittleEndian.PutUint64(s.msg[len(s.msg)-8:], s.next)
			digest := sha256.Sum256(s.msg)
			s.rest = digest[:]
			s.next++
		}
		k := copy(b[n:], s.rest)
		n, s.rest = n+k, s.rest[k:]
	}
	return n, nil
}
