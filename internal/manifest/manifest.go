// Package manifest says, in a file beside a sector's layers, whose layers they are and
// what is in them: the seal proof, the replica id, and of each layer a hash that was taken
// while it was made.
package manifest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/porep"
)

// Name is the file's, in the sector's cache dir.
const Name = "sdr-manifest.json"

// Path is where the manifest of the sector in cacheDir lies.
func Path(cacheDir string) string { return filepath.Join(cacheDir, Name) }

const (
	// Schema is of the fields below, and what they mean.
	Schema = 1

	maxBytes  = 64 << 10
	maxLayers = 32 // more than any seal proof has
)

// A Manifest is what is known of the layers in a cache dir.
type Manifest struct {
	// Scheme is how its hashes are made, the package's if empty. A job goes on from its own alone;
	// who checks layers takes any.
	Scheme    string
	Proof     porep.SealProof
	ReplicaID porep.ReplicaID
	Engine    string // the version of the program that wrote it
	// Layers are those that have their names, in ascending order.
	Layers []Layer
	// Parts are what is on the disk of layers that are being made, under their temporary
	// names, in ascending order; a job that has ended well leaves none.
	Parts []Part
}

// A Layer is a finished one.
type Layer struct {
	Number  int // from 1
	Hash    Hash
	Kernel  string // that made its labels
	Checked string // how it was known to be what was made: a Checked… constant
}

// How a layer was checked.
const (
	CheckedReadBack = "read back" // from the disk, and compared with what was written
	CheckedSample   = "sampled"   // there was no manifest: a sample of its labels was recomputed
)

// A Part is the beginning of a layer's file: so many bytes, whole blocks.
type Part struct {
	Number int
	Bytes  int64
	Hash   Hash
	Kernel string
}

// A SchemaError says that a manifest is of another version, or its hashes are of another kind.
type SchemaError struct{ Path, What, Found, Want string }

func (e *SchemaError) Error() string {
	return fmt.Sprintf("manifest: reading %s: its %s is %s, this program knows %s: another version of it has made these layers", e.Path, e.What, e.Found, e.Want)
}

// A DamagedError says that a manifest is not what was written.
type DamagedError struct{ Path, Reason string }

func (e *DamagedError) Error() string {
	return fmt.Sprintf("manifest: reading %s: %s: it is torn, damaged or not ours, and proves nothing", e.Path, e.Reason)
}

// An OtherError says that the layers in a cache dir are another sector's.
type OtherError struct {
	Path              string
	Proof, WantProof  porep.SealProof
	ReplicaID, WantID porep.ReplicaID
}

func (e *OtherError) Error() string {
	return fmt.Sprintf("manifest: comparing sectors: %s is of replica id %s, proof %v, want replica id %s, proof %v: these are another sector's layers",
		e.Path, e.ReplicaID, e.Proof, e.WantID, e.WantProof)
}

// Of is nil if the manifest, which lies in cacheDir, is of that sector, and otherwise an
// *OtherError.
func (m *Manifest) Of(cacheDir string, proof porep.SealProof, id porep.ReplicaID) error {
	if m.Proof == proof && m.ReplicaID == id {
		return nil
	}
	return &OtherError{Path(cacheDir), m.Proof, proof, m.ReplicaID, id}
}

// Layer is what is known of a finished layer.
func (m *Manifest) Layer(number int) (Layer, bool) {
	i := slices.IndexFunc(m.Layers, func(l Layer) bool { return l.Number == number })
	if i < 0 {
		return Layer{}, false
	}
	return m.Layers[i], true
}

// Part is what is known of a layer that is being made.
func (m *Manifest) Part(number int) (Part, bool) {
	i := slices.IndexFunc(m.Parts, func(p Part) bool { return p.Number == number })
	if i < 0 {
		return Part{}, false
	}
	return m.Parts[i], true
}

// file is how a manifest is written. Its sum is the SHA-256 of the text with an empty sum.
type file struct {
	Schema    int         `json:"schema"`
	Proof     string      `json:"proof"`
	ReplicaID string      `json:"replica_id"`
	Engine    string      `json:"engine"`
	Scheme    string      `json:"hash_scheme"`
	Block     int         `json:"hash_block"`
	Layers    []fileLayer `json:"layers"`
	Parts     []filePart  `json:"parts,omitempty"`
	Sum       string      `json:"sum"`
}

type fileLayer struct {
	Layer   int    `json:"layer"`
	Length  uint64 `json:"length"`
	Hash    string `json:"hash"`
	Kernel  string `json:"kernel"`
	Checked string `json:"checked"`
}

type filePart struct {
	Layer  int    `json:"layer"`
	Bytes  int64  `json:"bytes"`
	Hash   string `json:"hash"`
	Kernel string `json:"kernel"`
}

func (m *Manifest) scheme() string { return cmp.Or(m.Scheme, Scheme) }

// Encode is the file's content. Equal manifests have equal bytes.
func (m *Manifest) Encode() ([]byte, error) {
	size := m.Proof.SectorSize()
	f := file{
		Schema: Schema, Proof: m.Proof.String(), ReplicaID: m.ReplicaID.String(), Engine: m.Engine,
		Scheme: m.scheme(), Block: BlockBytes(size), Layers: []fileLayer{},
	}
	for _, l := range m.Layers {
		f.Layers = append(f.Layers, fileLayer{l.Number, uint64(size), l.Hash.String(), l.Kernel, l.Checked})
	}
	for _, p := range m.Parts {
		f.Parts = append(f.Parts, filePart{p.Number, p.Bytes, p.Hash.String(), p.Kernel})
	}
	text, err := f.encode()
	if err != nil {
		return nil, fmt.Errorf("manifest: encoding: %w", err)
	}
	sum := sha256.Sum256(text)
	f.Sum = hex.EncodeToString(sum[:])
	if text, err = f.encode(); err != nil {
		return nil, fmt.Errorf("manifest: encoding: %w", err)
	}
	return text, nil
}

func (f *file) encode() ([]byte, error) {
	text, err := json.MarshalIndent(f, "", " ")
	return append(text, '\n'), err
}

// Decode reads the content of the file at path. Only what Encode yields, byte for byte, is
// a manifest: a flipped bit, a field twice or in another case is a *DamagedError. One of
// another version is a *SchemaError, as far as that can be told.
func Decode(path string, text []byte) (*Manifest, error) {
	damaged := func(format string, args ...any) (*Manifest, error) {
		return nil, &DamagedError{path, fmt.Sprintf(format, args...)}
	}
	if len(text) > maxBytes {
		return damaged("it has %d bytes, want %d at most", len(text), maxBytes)
	}
	var version struct{ Schema *int }
	if err := json.Unmarshal(text, &version); err != nil {
		return damaged("%v", err)
	}
	if version.Schema == nil {
		return damaged("it has no schema")
	}
	if *version.Schema != Schema {
		return nil, &SchemaError{path, "schema", fmt.Sprint(*version.Schema), fmt.Sprint(Schema)}
	}
	var f file
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return damaged("%v", err)
	}
	if schemes[f.Scheme] == nil {
		return nil, &SchemaError{path, "hash_scheme", fmt.Sprintf("%q", f.Scheme), fmt.Sprintf("%q", Scheme)}
	}
	m := &Manifest{Scheme: f.Scheme, Engine: f.Engine}
	var err error
	if m.Proof, err = porep.ParseSealProof(f.Proof); err != nil {
		return damaged("%v", err)
	}
	if m.ReplicaID, err = porep.ParseReplicaID(f.ReplicaID); err != nil {
		return damaged("%v", err)
	}
	size := m.Proof.SectorSize()
	if len(f.Layers) > maxLayers || len(f.Parts) > maxLayers {
		return damaged("it has %d layers and %d parts, want %d at most", len(f.Layers), len(f.Parts), maxLayers)
	}
	last := 0
	next := func(number int, hash string) (h Hash, err error) {
		if number <= last || number > maxLayers {
			return h, fmt.Errorf("layer %d follows layer %d", number, last)
		}
		last = number
		raw, err := hex.DecodeString(hash)
		if err != nil || len(raw) != len(h) {
			return h, fmt.Errorf("the hash of layer %d is %q", number, hash)
		}
		return Hash(raw), nil
	}
	for _, l := range f.Layers {
		hash, err := next(l.Layer, l.Hash)
		if err != nil {
			return damaged("%v", err)
		}
		if l.Length != uint64(size) {
			return damaged("layer %d has %d bytes, want %d", l.Layer, l.Length, uint64(size))
		}
		if l.Checked != CheckedReadBack && l.Checked != CheckedSample {
			return damaged("layer %d was checked by %q", l.Layer, l.Checked)
		}
		m.Layers = append(m.Layers, Layer{l.Layer, hash, l.Kernel, l.Checked})
	}
	last = 0
	for _, p := range f.Parts {
		hash, err := next(p.Layer, p.Hash)
		if err != nil {
			return damaged("%v", err)
		}
		if _, both := m.Layer(p.Layer); both {
			return damaged("layer %d is finished, and is being made", p.Layer)
		}
		if p.Bytes <= 0 || p.Bytes > int64(size) || p.Bytes%int64(BlockBytes(size)) != 0 {
			return damaged("layer %d has %d bytes", p.Layer, p.Bytes)
		}
		m.Parts = append(m.Parts, Part{p.Layer, p.Bytes, hash, p.Kernel})
	}
	if again, err := m.Encode(); err != nil || !bytes.Equal(again, text) {
		return damaged("its sum is not that of what it says")
	}
	return m, nil
}

// Read reads the manifest in a cache dir. None is fs.ErrNotExist; one that cannot be
// believed is a *SchemaError or a *DamagedError. A link is not followed.
func Read(ctx context.Context, cacheDir string) (*Manifest, error) {
	dir, err := durable.OpenDir(ctx, cacheDir)
	if err != nil {
		return nil, fmt.Errorf("manifest: reading: %w", err)
	}
	defer dir.Close()
	return ReadIn(dir)
}

// ReadIn is Read in a directory that is open.
func ReadIn(dir *durable.Dir) (*Manifest, error) {
	path := dir.PathOf(Name)
	if is, err := dir.IsRegular(Name); err == nil && !is {
		return nil, &DamagedError{path, "it is not a file"}
	}
	r, err := dir.Open(Name)
	if err != nil {
		return nil, fmt.Errorf("manifest: reading %s: %w", path, err)
	}
	defer r.Close()
	if info, err := r.File().Stat(); err != nil {
		return nil, fmt.Errorf("manifest: reading %s: %w", path, err)
	} else if !info.Mode().IsRegular() {
		return nil, &DamagedError{path, "it is not a file"}
	}
	text := make([]byte, maxBytes+1)
	n, err := r.ReadAt(text, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("manifest: reading %s: %w", path, err)
	}
	return Decode(path, text[:n])
}

// Write puts the manifest into a cache dir, atomically, in the place of any other: when it
// returns, it is on the disk and was read back. The caller has the dir's lock. On an error
// the one before is still there.
func (m *Manifest) Write(ctx context.Context, dir *durable.Dir) (err error) {
	text, err := m.Encode()
	if err != nil {
		return err
	}
	f, err := dir.Create(Name)
	if err != nil {
		return fmt.Errorf("manifest: writing: %w", err)
	}
	defer f.Abort()
	if err := f.Reserve(int64(len(text))); err != nil {
		return fmt.Errorf("manifest: writing: %w", err)
	}
	if _, err := f.WriteAt(text, 0); err != nil {
		return fmt.Errorf("manifest: writing: %w", err)
	}
	if err := f.Replace(ctx); err != nil {
		return fmt.Errorf("manifest: writing: %w", err)
	}
	return nil
}
