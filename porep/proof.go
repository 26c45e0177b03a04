// Package porep is the field's vocabulary: registered seal proofs, sector and
// piece sizes, and the 32-byte values that name a prover, a sector's replica,
// and a commitment. It computes nothing that needs a graph or a file.
package porep

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// The shape of the graph, the same for every proof: each node has Degree
// parents, BaseDegree of them in its own layer and ExpDegree in the layer
// before.
const (
	NodeSize   = 32 // bytes of a label
	BaseDegree = 6
	ExpDegree  = 8
	Degree     = BaseDegree + ExpDegree
)

// SealProof is the numeric id of a registered seal proof, the number that
// Filecoin's actors use: 5·version + index of the sector size.
type SealProof int64

// The registered seal proofs.
const (
	StackedDrg2KiBV1 SealProof = iota
	StackedDrg8MiBV1
	StackedDrg512MiBV1
	StackedDrg32GiBV1
	StackedDrg64GiBV1

	StackedDrg2KiBV1_1
	StackedDrg8MiBV1_1
	StackedDrg512MiBV1_1
	StackedDrg32GiBV1_1
	StackedDrg64GiBV1_1

	StackedDrg2KiBV1_1_Feat_SyntheticPoRep
	StackedDrg8MiBV1_1_Feat_SyntheticPoRep
	StackedDrg512MiBV1_1_Feat_SyntheticPoRep
	StackedDrg32GiBV1_1_Feat_SyntheticPoRep
	StackedDrg64GiBV1_1_Feat_SyntheticPoRep

	StackedDrg2KiBV1_2_Feat_NonInteractivePoRep
	StackedDrg8MiBV1_2_Feat_NonInteractivePoRep
	StackedDrg512MiBV1_2_Feat_NonInteractivePoRep
	StackedDrg32GiBV1_2_Feat_NonInteractivePoRep
	StackedDrg64GiBV1_2_Feat_NonInteractivePoRep

	sealProofs // how many there are
)

// APIVersion is the version of the graph's rules that a seal proof follows.
type APIVersion uint8

// The API versions in the order they came.
const (
	APIv1_0 APIVersion = iota // predecessor is base parent 5; expander parents are truncated to 32 bits
	APIv1_1                   // predecessor is base parent 0
	APIv1_2                   // the same graph as APIv1_1
)

func (v APIVersion) String() string {
	if v > APIv1_2 {
		return fmt.Sprintf("APIVersion(%d)", uint8(v))
	}
	return [...]string{"1.0.0", "1.1.0", "1.2.0"}[v]
}

// versions and sizes are the two axes of the table of seal proofs.
var (
	versions = [...]struct {
		suffix string
		api    APIVersion
	}{
		{"V1", APIv1_0},
		{"V1_1", APIv1_1},
		{"V1_1_Feat_SyntheticPoRep", APIv1_2},
		{"V1_2_Feat_NonInteractivePoRep", APIv1_2},
	}
	sizes = [...]struct {
		size   SectorSize
		layers int
	}{
		{2 << 10, 2},
		{8 << 20, 2},
		{512 << 20, 2},
		{32 << 30, 11},
		{64 << 30, 11},
	}
)

// SealProofs returns all registered seal proofs in the order of their ids.
func SealProofs() []SealProof {
	all := make([]SealProof, sealProofs)
	for i := range all {
		all[i] = SealProof(i)
	}
	return all
}

// An UnknownProofError says that a name or a number is no registered seal proof.
type UnknownProofError struct {
	Value string
}

func (e *UnknownProofError) Error() string {
	var names, ofSize []string
	size := strings.TrimPrefix(strings.ToLower(e.Value), "stackeddrg")
	for _, p := range SealProofs() {
		if e.Value == strconv.Itoa(int(p)) {
			return fmt.Sprintf("porep: parsing seal proof: %q is the number of %v: give its name", e.Value, p)
		}
		names = append(names, p.String())
		if strings.ToLower(p.SectorSize().String()) == size || strconv.FormatUint(uint64(p.SectorSize()), 10) == size {
			ofSize = append(ofSize, p.String())
		}
	}
	if len(ofSize) > 0 {
		return fmt.Sprintf("porep: parsing seal proof: %q is a size without its version: it is one of these four: %s", e.Value, strings.Join(ofSize, ", "))
	}
	return fmt.Sprintf("porep: parsing seal proof: %q is not registered; there are: %s", e.Value, strings.Join(names, ", "))
}

// ParseSealProof returns the seal proof of a registered name, for example
// "StackedDrg32GiBV1_1". Its error is an *UnknownProofError.
func ParseSealProof(name string) (SealProof, error) {
	for _, p := range SealProofs() {
		if p.String() == name {
			return p, nil
		}
	}
	return 0, &UnknownProofError{name}
}

// Check returns an *UnknownProofError unless p is registered. The other methods
// of an unregistered proof return zero values.
func (p SealProof) Check() error {
	if p < 0 || p >= sealProofs {
		return &UnknownProofError{fmt.Sprint(int64(p))}
	}
	return nil
}

// String is the registered name.
func (p SealProof) String() string {
	if p.Check() != nil {
		return fmt.Sprintf("SealProof(%d)", int64(p))
	}
	return "StackedDrg" + p.SectorSize().String() + versions[int(p)/len(sizes)].suffix
}

// SectorSize is the sector's size in bytes, padded.
func (p SealProof) SectorSize() SectorSize {
	if p.Check() != nil {
		return 0
	}
	return sizes[int(p)%len(sizes)].size
}

// Layers is how many layers of labels phase 1 leaves.
func (p SealProof) Layers() int {
	if p.Check() != nil {
		return 0
	}
	return sizes[int(p)%len(sizes)].layers
}

// APIVersion is the version of the graph's rules.
func (p SealProof) APIVersion() APIVersion {
	if p.Check() != nil {
		return 0
	}
	return versions[int(p)/len(sizes)].api
}

// V1 is the first version's proof of the same sector size: the name under which
// phase 1 output lists its layers.
func (p SealProof) V1() SealProof {
	if p.Check() != nil {
		return p
	}
	return p % SealProof(len(sizes))
}

// PoRepID is the 32-byte id from which the graph's seeds are derived:
// u64le(id) ‖ u64le(nonce = 0) ‖ 16 zero bytes.
func (p SealProof) PoRepID() (id [32]byte) {
	if p.Check() == nil {
		binary.LittleEndian.PutUint64(id[:], uint64(p))
	}
	return id
}
