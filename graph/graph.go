// Package graph computes the parents of the nodes of a stacked depth-robust
// graph: the six base parents, in the node's own layer, from ChaCha8 draws, and
// the eight expander parents, in the layer before, from a permutation.
//
// The permutation is a three-round Feistel network whose round function is
// BLAKE2b of a half index and a key. A half has at most 17 bits, so a Graph
// holds the round function as three tables and hashes nothing after New.
//
// Source of the rules: rust-fil-proofs, storage-proofs-core/src/drgraph.rs and
// storage-proofs-porep/src/stacked/vanilla/graph.rs.
package graph

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/sdr-engine/sdr/porep"
)

// A Graph knows the parents of every node of one seal proof's graph. It is
// immutable: any number of goroutines may use it at once.
type Graph struct {
	proof       porep.SealProof
	nodes       uint64
	feistelKeys [4]uint64
	base        *baseSampler
	expander    expander
}

// New builds the graph of p. Its tables take 1.5 MiB for 32 and 64 GiB sectors,
// 192 KiB or less for the others, and up to a tenth of a second of BLAKE2b. Its
// error wraps a *porep.UnknownProofError.
func New(p porep.SealProof) (*Graph, error) {
	if err := p.Check(); err != nil {
		return nil, fmt.Errorf("graph: building the graph of %v: %w", p, err)
	}
	g := &Graph{proof: p, nodes: p.SectorSize().Nodes(), feistelKeys: FeistelKeys(p)}
	g.base = newBaseSampler(seed(p, "Filecoin_DRSample"), p.APIVersion())
	g.expander = newExpander(g.nodes, g.feistelKeys, p.APIVersion())
	return g, nil
}

// seed derives the seed of one of the two random sources of p's graph.
func seed(p porep.SealProof, tag string) [32]byte {
	id := p.PoRepID()
	return sha256.Sum256(append([]byte(tag), id[:]...))
}

// FeistelKeys returns the four keys derived from the Feistel seed of p, of which
// the permutation uses the first three. They are part of what names a parent
// cache file.
func FeistelKeys(p porep.SealProof) (keys [4]uint64) {
	s := seed(p, "Filecoin_Feistel")
	for i := range keys {
		keys[i] = binary.LittleEndian.Uint64(s[8*i:])
	}
	return keys
}

// Proof is the seal proof that the graph was built for.
func (g *Graph) Proof() porep.SealProof { return g.proof }

// Nodes is the number of nodes in a layer: 64 for 2 KiB, 2^31 for 64 GiB.
func (g *Graph) Nodes() uint64 { return g.nodes }

// batch is how many consecutive nodes are computed together: enough that the
// processor always has independent work, few enough that the scratch memory of
// a batch stays in the first-level cache.
const batch = 64

// Parents writes the parents of len(dst)/porep.Degree consecutive nodes, from
// node first on: for each node 6 base parents, then 8 expander parents. It
// allocates nothing. The error is a *RangeError if len(dst) is no multiple of
// porep.Degree or if the span leaves the layer; dst is then untouched.
func (g *Graph) Parents(dst []uint32, first uint64) error {
	if err := CheckRange(len(dst), first, g.nodes); err != nil {
		return err
	}
	for len(dst) > 0 {
		rows := dst[:min(len(dst), batch*porep.Degree)]
		g.base.parents(rows, uint32(first))
		g.expander.parents(rows, first)
		dst = dst[len(rows):]
		first += batch
	}
	return nil
}

// BaseParents is Parents for those who need only the 6 base parents of each node,
// as in layer 1: what it leaves in the other elements is not defined.
func (g *Graph) BaseParents(dst []uint32, first uint64) error {
	if err := CheckRange(len(dst), first, g.nodes); err != nil {
		return err
	}
	for len(dst) > 0 {
		rows := dst[:min(len(dst), batch*porep.Degree)]
		g.base.parents(rows, uint32(first))
		dst = dst[len(rows):]
		first += batch
	}
	return nil
}

// A RangeError says why a span of nodes has no parents.
type RangeError struct {
	First  uint64 // the span's first node
	Length int    // elements of the slice for the parents
	Nodes  uint64 // nodes of a layer
}

func (e *RangeError) Error() string {
	const op = "graph: getting parents from node %d on"
	if e.Length%porep.Degree != 0 {
		return fmt.Sprintf(op+": the slice's length of %d is no multiple of %d", e.First, e.Length, porep.Degree)
	}
	return fmt.Sprintf(op+": a span of %d nodes leaves the layer of %d nodes", e.First, e.Length/porep.Degree, e.Nodes)
}

// CheckRange returns a *RangeError unless length elements are whole rows of
// porep.Degree parents of nodes from first on in a layer of that many nodes.
func CheckRange(length int, first, nodes uint64) error {
	count := uint64(length) / porep.Degree
	if length < 0 || length%porep.Degree != 0 || first > nodes || count > nodes-first {
		return &RangeError{first, length, nodes}
	}
	return nil
}
