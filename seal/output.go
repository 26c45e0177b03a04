package seal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/porep"
)

// Output is the result of PreCommit phase 1, from which phase 2 goes on.
type Output struct {
	Proof     porep.SealProof
	CacheDir  string
	CommD     porep.Commitment
	ReplicaID porep.ReplicaID
	Timings   Timings
}

// storeConfig names a file of the cache dir: sc-02-data-{id}.dat.
type storeConfig struct {
	Path          string `json:"path"`
	ID            string `json:"id"`
	Size          uint64 `json:"size"` // in nodes
	RowsToDiscard int    `json:"rows_to_discard"`
}

type labelsJSON struct {
	Labels []storeConfig `json:"labels"`
	H      *struct{}     `json:"_h"`
}

type phase1JSON struct {
	RegisteredProof string                `json:"registered_proof"`
	Labels          map[string]labelsJSON `json:"labels"`
	Config          storeConfig           `json:"config"`
	CommD           [32]byte              `json:"comm_d"`
}

// checkUTF8 refuses a cache dir that JSON cannot hold.
func checkUTF8(cacheDir string) error {
	if !utf8.ValidString(cacheDir) {
		return failure.Mark(ErrBadInput, fmt.Errorf("seal: encoding output: the cache dir's name is not UTF-8: %q", cacheDir))
	}
	return nil
}

// JSON is the reference's serialisation, byte for byte.
func (o *Output) JSON() ([]byte, error) {
	if err := checkUTF8(o.CacheDir); err != nil {
		return nil, err
	}
	nodes := o.Proof.SectorSize().Nodes()
	layers := make([]storeConfig, o.Proof.Layers())
	for i := range layers {
		layers[i] = storeConfig{o.CacheDir, "layer-" + strconv.Itoa(i+1), nodes, 0}
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(phase1JSON{
		RegisteredProof: o.Proof.String(),
		Labels:          map[string]labelsJSON{o.Proof.V1().String(): {Labels: layers}},
		Config:          storeConfig{o.CacheDir, "tree-d", 2*nodes - 1, 0},
		CommD:           o.CommD,
	})
	if err != nil {
		return nil, fmt.Errorf("seal: encoding output: %w", err)
	}
	// Two characters that the reference's encoder writes as they are. An escaped
	// backslash in front of what looks like one of them is passed over.
	text := strings.NewReplacer(`\\`, `\\`, `\u2028`, "\u2028", `\u2029`, "\u2029").Replace(buf.String())
	return []byte(strings.TrimSuffix(text, "\n")), nil
}
