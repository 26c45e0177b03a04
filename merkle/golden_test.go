package merkle

import (
	"bytes"
	stdsha256 "crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/fr32"
	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

// stream reads all of a golden stream.
func stream(t testing.TB, name string, size uint64) []byte {
	t.Helper()
	b, err := io.ReadAll(golden.Stream(name, size))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func pad(t testing.TB, unpadded []byte) []byte {
	t.Helper()
	padded := make([]byte, len(unpadded)/127*128)
	if err := fr32.Pad(padded, unpadded); err != nil {
		t.Fatal(err)
	}
	return padded
}

func rootOf(t testing.TB, data []byte) porep.Commitment {
	t.Helper()
	var h Hasher
	root, err := h.Root(data)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func parseCommitment(t testing.TB, text string) porep.Commitment {
	t.Helper()
	c, err := porep.ParseCommitment(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestGoldenCommP(t *testing.T) {
	t.Parallel()
	for _, c := range golden.CommPs() {
		if c.UnpaddedSize > 16<<20 && !testkit.Long() {
			continue // the command's own test has it
		}
		root := rootOf(t, pad(t, stream(t, c.Stream, c.UnpaddedSize)))
		if root.String() != c.CommP {
			t.Errorf("%s of %d bytes: comm_p %v, want %s", c.Stream, c.UnpaddedSize, root, c.CommP)
		}
	}
}

func TestGoldenSectors(t *testing.T) {
	t.Parallel()
	trees := 0
	for _, c := range golden.Sectors() {
		size := porep.SectorSize(c.SectorSize)
		var pieces []porep.Piece
		for _, p := range c.Pieces {
			pieces = append(pieces, porep.Piece{CommP: parseCommitment(t, p.CommP), Size: porep.UnpaddedSize(p.UnpaddedSize)})
		}
		commD, covers, err := CommD(pieces)
		if err != nil || commD.String() != c.CommD || covers != porep.PaddedSize(size) {
			t.Errorf("%s: CommD: %v covers %d, error %v; want %s covers %d", c.Name, commD, covers, err, c.CommD, c.SectorSize)
		}

		if size > 8<<20 || size > 2<<10 && testing.Short() {
			continue // its golden comm_p are enough
		}
		trees++
		var staged []byte
		for _, p := range c.Pieces {
			piece := pad(t, stream(t, p.Stream, p.UnpaddedSize))
			before := -len(staged) & (len(piece) - 1)
			if got := uint64(before+len(piece)) / 128 * 127; got != p.Written {
				t.Fatalf("%s: a piece takes %d bytes with alignment, want %d", c.Name, got, p.Written)
			}
			staged = append(append(staged, make([]byte, before)...), piece...)
		}
		if int64(len(staged)) != c.StagedLen {
			t.Fatalf("%s: pieces take %d bytes, want %d", c.Name, len(staged), c.StagedLen)
		}
		tree := make(memory, TreeSize(size))
		root, err := BuildTree(t.Context(), tree, bytes.NewReader(staged), size, 2, nil)
		if err != nil || root.String() != c.CommD {
			t.Errorf("%s: BuildTree: root %v, error %v; want %s", c.Name, root, err, c.CommD)
		}
		if sum := stdsha256.Sum256(tree); hex.EncodeToString(sum[:]) != c.TreeDSHA256 {
			t.Errorf("%s: SHA-256 of tree-d %x, want %s", c.Name, sum, c.TreeDSHA256)
		}
	}
	if trees != 16 && !testing.Short() {
		t.Errorf("built %d golden trees, want 16", trees)
	}
}

// decodePieceCID takes comm_p out of a piece CID: base32 without padding of
// version 1, codec fil-commitment-unsealed, multihash sha2-256-trunc254-padded.
func decodePieceCID(t testing.TB, cid string) (c porep.Commitment) {
	t.Helper()
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(strings.TrimPrefix(cid, "b")))
	if err != nil {
		t.Fatal(err)
	}
	prefix := binary.AppendUvarint(nil, 1)
	prefix = binary.AppendUvarint(prefix, 0xf101)
	prefix = binary.AppendUvarint(prefix, 0x1012)
	prefix = binary.AppendUvarint(prefix, 32)
	digest, ok := bytes.CutPrefix(b, prefix)
	if !ok || copy(c[:], digest) != 32 {
		t.Fatalf("%s: not a piece CID: % x", cid, b)
	}
	return c
}

func TestGoldenHashHash(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file    string
		payload byte
	}{
		{"zero.txt", 0x00},
		{"0xCC.txt", 0xcc},
	} {
		lines := strings.Fields(golden.HashHash(c.file))
		if len(lines) != 18 {
			t.Fatalf("%s: %d vectors, want 18", c.file, len(lines))
		}
		for _, line := range lines {
			f := strings.Split(line, ",")
			var length, padded int
			if _, err := fmt.Sscan(f[0]+" "+f[1], &length, &padded); err != nil {
				t.Fatal(err)
			}
			want := decodePieceCID(t, f[2])

			piece := append(bytes.Repeat([]byte{c.payload}, length), make([]byte, padded/128*127-length)...)
			if got := rootOf(t, pad(t, piece)); got != want {
				t.Errorf("%d bytes %#02x: comm_p %v, want %v", length, c.payload, got, want)
			}
			if c.payload == 0 {
				if got, err := ZeroCommitment(porep.PaddedSize(padded)); err != nil || got != want {
					t.Errorf("ZeroCommitment(%d): %v, error %v; want %v", padded, got, err, want)
				}
			}
		}
	}
}

func TestZeroCommitment(t *testing.T) {
	t.Parallel()
	for size := porep.PaddedSize(64); size <= 1<<20; size *= 2 {
		tree := naiveTree(make([]byte, size))
		if got, err := ZeroCommitment(size); err != nil || got != last(tree) {
			t.Errorf("ZeroCommitment(%d): %v, error %v; want %v", size, got, err, last(tree))
		}
	}
	// comm_d of empty sectors, known to every chain explorer.
	for size, cid := range map[porep.PaddedSize]string{
		32 << 30: "baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq",
		64 << 30: "baga6ea4seaqomqafu276g53zko4k23xzh4h4uecjwicbmvhsuqi7o4bhthhm4aq",
	} {
		if got, err := ZeroCommitment(size); err != nil || got != decodePieceCID(t, cid) {
			t.Errorf("ZeroCommitment(%d): %v, error %v; want %s", size, got, err, cid)
		}
	}
	if _, err := ZeroCommitment(1 << 50); err != nil {
		t.Error(err)
	}
}
