// Package parentcache generates, verifies and maps the reference
// implementation's parent cache: a file with the parents of every node of a
// seal proof's graph, porep.Degree u32 little-endian for each node, in order of
// node.
//
// A file that was not verified is never used, and none appears under its final
// name before it was.
//
// What verifying means depends on the proof. For those of API versions 1.0.0 and
// 1.1.0 the reference publishes the SHA-256 of the file: the file must have it.
// The synthetic and non-interactive proofs, of API version 1.2.0, have other
// seeds, hence other parents and files of their own, for which nothing is
// published: the file must equal the parents as package graph computes them now.
//
// The reference generates in place, under a lock on the file itself. It need not
// be waited for: its unfinished file is found wrong and replaced by another,
// while it finishes the one that it has open and then opens the new one.
//
// Source of the names, the format and the digests: rust-fil-proofs,
// storage-proofs-porep/src/stacked/vanilla/cache.rs and parent_cache.json.
package parentcache

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"path/filepath"

	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/porep"
)

// DefaultDir is the directory that the reference uses unless it is told otherwise.
const DefaultDir = "/var/tmp/filecoin-parents"

// rowSize is the number of bytes of a node's parents.
const rowSize = porep.Degree * 4

// Name is the name of p's file: "v28-sdr-parent-", a SHA-256 over what defines
// the graph, ".cache". Its error wraps a *porep.UnknownProofError.
func Name(p porep.SealProof) (string, error) {
	if err := p.Check(); err != nil {
		return "", fmt.Errorf("parentcache: naming the file of %v: %w", p, err)
	}
	return name(p), nil
}

func name(p porep.SealProof) string {
	const hasher = "poseidon_hasher"
	nodes := p.SectorSize().Nodes()
	id := fmt.Appendf(nil, "%s"+
		"stacked_graph::StackedGraph{expansion_degree: %d base_graph: drgraph::BucketGraph{size: %d; degree: %d; hasher: %s} }",
		hasher, porep.ExpDegree, nodes, porep.BaseDegree, hasher)
	for _, key := range graph.FeistelKeys(p) {
		id = binary.LittleEndian.AppendUint64(id, key)
	}
	id = binary.LittleEndian.AppendUint32(id, uint32(nodes))
	return fmt.Sprintf("v28-sdr-parent-%x.cache", sha256.Sum256(id))
}

// Size is the length of p's file in bytes.
func Size(p porep.SealProof) int64 { return int64(p.SectorSize().Nodes()) * rowSize }

// ProofOf tells from a file's name, without regard to its directory, which seal
// proof the file is for. Its error is an *UnknownNameError.
func ProofOf(path string) (porep.SealProof, error) {
	for _, p := range porep.SealProofs() {
		if name(p) == filepath.Base(path) {
			return p, nil
		}
	}
	return 0, &UnknownNameError{path}
}

// An UnknownNameError says that a file does not have the name of any seal
// proof's parent cache.
type UnknownNameError struct {
	Path string
}

// Is reports whether target is the kind ErrBadInput.
func (e *UnknownNameError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *UnknownNameError) Error() string {
	return fmt.Sprintf("parentcache: finding the seal proof of %s: %q is not the name of any seal proof's parent cache (v28-sdr-parent-….cache)",
		e.Path, filepath.Base(e.Path))
}

// Digest is the SHA-256 of p's file as the reference publishes it. It publishes
// none for proofs of API version 1.2.0; ok is false for those.
func Digest(p porep.SealProof) (digest [32]byte, ok bool) {
	text, ok := digests[p]
	if ok {
		_, _ = hex.Decode(digest[:], []byte(text)) // constants, decoded in a test
	}
	return digest, ok
}

var digests = map[porep.SealProof]string{
	porep.StackedDrg2KiBV1:     "3da49221e2ed55371b86d0bf3d6526fcf128af61bed904f966428db1b531750d",
	porep.StackedDrg8MiBV1:     "a76604f2f59f2744c7151653bbb1d8596b6b57d295e6fa6c1f0c41d725b502ce",
	porep.StackedDrg512MiBV1:   "3adcc092423aa76d6a7184016893406da44dd974b219a89cd3ece25e4e3018f5",
	porep.StackedDrg32GiBV1:    "3c4f9841fcc75aed8c695800e58d08480629f25af3a2aefd81904181d75cc0b6",
	porep.StackedDrg64GiBV1:    "2778a732ad46a7dc18e0564dfdf59fd321dcde74ab476fd6d3c4e6735d7cd89c",
	porep.StackedDrg2KiBV1_1:   "840057702eea7652cf97e04306c30fe57174714d90de156a25eddd6075c25b97",
	porep.StackedDrg8MiBV1_1:   "03cd13565ded97c240a5f52e54295ad127bd0461b57904cb3a4d79b097bbecab",
	porep.StackedDrg512MiBV1_1: "b5877d1963793efebc261fd8fde4dd6bc59e6b5c7abf52617a4ee023b8dc173a",
	porep.StackedDrg32GiBV1_1:  "93deeac5e3052b6927467d4b2641bb782f05491de18d510147c93eeedd8672da",
	porep.StackedDrg64GiBV1_1:  "2698b74eb2606b55b98d8b095e18b6320b47f46e00075956d48640ccd1641b03",
}
