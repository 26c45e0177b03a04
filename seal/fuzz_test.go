package seal

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/sdr-engine/sdr/fr32"
	"github.com/sdr-engine/sdr/merkle"
	"github.com/sdr-engine/sdr/porep"
)

// littleReads yields as many bytes at a time as its source of chance says.
type littleReads struct {
	r   io.Reader
	rnd *rand.Rand
}

func (l littleReads) Read(b []byte) (int, error) {
	return l.r.Read(b[:min(len(b), 1+l.rnd.IntN(1<<l.rnd.IntN(20)))])
}

// FuzzPiece: a payload of any length, zeros anywhere in it, from a file with holes or a stream
// that yields little, is padded and committed to as it would be in one piece of memory; unpadded,
// it is what it was; and what follows it are zeros.
func FuzzPiece(f *testing.F) {
	const block = uint32(pieceBlock / porep.PaddedUnit * porep.UnpaddedUnit)
	for _, length := range []uint32{1, 126, 127, 128, 508, block - 1, block, block + 1, 2 * block, 3*block - 127, 4 * block} {
		f.Add(length, uint64(length), false)
		f.Add(length, uint64(length)+1, true)
	}
	f.Fuzz(func(t *testing.T, length uint32, seed uint64, file bool) {
		length = 1 + length%(5*block)
		rnd := rand.New(rand.NewPCG(seed, 1))
		payload := make([]byte, length)
		dir := t.TempDir()
		sparse, err := os.Create(filepath.Join(dir, "piece"))
		if err != nil {
			t.Fatal(err)
		}
		defer sparse.Close()
		if err := sparse.Truncate(int64(length)); err != nil {
			t.Fatal(err)
		}
		for range 1 + rnd.IntN(4) { // islands in zeros
			from := rnd.IntN(len(payload))
			part := payload[from:min(len(payload), from+1+rnd.IntN(1<<rnd.IntN(20)))]
			for i := range part {
				part[i] = byte(rnd.Uint32())
			}
			if _, err := sparse.WriteAt(part, int64(from)); err != nil {
				t.Fatal(err)
			}
		}
		size := porep.UnpaddedSize(length).NextPieceSize()
		whole := append(bytes.Clone(payload), make([]byte, int(size)-len(payload))...)
		want := make([]byte, size.Padded())
		if err := fr32.Pad(want, whole); err != nil {
			t.Fatal(err)
		}
		var h merkle.Hasher
		root, err := h.Root(want)
		if err != nil {
			t.Fatal(err)
		}
		source := func() io.Reader {
			if !file {
				return littleReads{bytes.NewReader(payload), rnd}
			}
			if _, err := sparse.Seek(0, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			return sparse
		}
		for _, p := range []Payload{{}, {Size: size, Fill: true}} {
			piece, n, err := CommPOf(t.Context(), source(), p)
			if err != nil || n != porep.UnpaddedSize(length) || piece != (porep.Piece{CommP: root, Size: size}) {
				t.Fatalf("payload of %d bytes, %+v: %v, %d bytes, %v, want comm_p %v of %d", length, p, piece, n, err, root, size)
			}
		}
		staged, err := os.Create(filepath.Join(dir, "staged"))
		if err != nil {
			t.Fatal(err)
		}
		defer staged.Close()
		added, err := addPiece(t.Context(), porep.StackedDrg8MiBV1_1, source(), size, staged, 0, 0, adding{fill: true})
		if err != nil || added.CommP != root || added.Payload != porep.UnpaddedSize(length) {
			t.Fatalf("payload of %d bytes: %+v, %v", length, added, err)
		}
		got, err := os.ReadFile(staged.Name())
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("payload of %d bytes: staged has %d bytes that are not the padded ones, %v", length, len(got), err)
		}
		back := make([]byte, len(whole))
		if err := fr32.Unpad(back, got); err != nil || !bytes.Equal(back, whole) {
			t.Fatalf("payload of %d bytes: unpadded it is another, %v", length, err)
		}
	})
}
