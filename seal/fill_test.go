package seal

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/sdr-engine/sdr/merkle"
	"github.com/sdr-engine/sdr/porep"
)

// A sector that zero pieces complete is the one of its pieces with zeros behind, and they make
// up its comm_d, with a record and without.
func TestFillSector(t *testing.T) {
	t.Parallel()
	const proof = porep.StackedDrg2KiBV1_1
	random := rand.New(rand.NewPCG(1, 3))
	for round := range 30 {
		a := Append{Proof: proof, Staged: filepath.Join(t.TempDir(), "staged"), Record: round%2 == 0}
		var pieces []porep.Piece
		for range random.IntN(4) {
			size := porep.UnpaddedSize(127 << random.IntN(3))
			data := make([]byte, size)
			for i := range data {
				data[i] = byte(random.Uint32())
			}
			added, err := AppendPiece(t.Context(), a, bytes.NewReader(data), size)
			if err != nil {
				t.Fatal(err)
			}
			pieces, a.Existing = append(pieces, added.Piece), append(a.Existing, size)
			if a.Record {
				a.Existing = nil
			}
		}
		before, err := os.ReadFile(a.Staged)
		if err != nil && len(pieces) > 0 {
			t.Fatal(err)
		}
		end := porep.PaddedSize(len(before))
		filled, err := FillSector(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range filled {
			zero, err := merkle.ZeroCommitment(p.Size.Padded())
			if err != nil || p.CommP != zero || p.Offset != end || p.Alignment != 0 || p.Offset%p.Size.Padded() != 0 {
				t.Errorf("%+v at %d: %v", p, end, err)
			}
			end += p.Size.Padded()
			pieces = append(pieces, p.Piece)
		}
		staged, err := os.ReadFile(a.Staged)
		if err != nil || end != 2048 || !bytes.Equal(staged, append(before, make([]byte, 2048-len(before))...)) {
			t.Errorf("staged has %d bytes, the pieces %d, %v", len(staged), end, err)
		}
		var h merkle.Hasher
		root, err := h.Root(staged)
		if err != nil {
			t.Fatal(err)
		}
		if commD, err := CommD(proof, pieces); err != nil || commD != root {
			t.Errorf("comm_d %v, %v, want %v", commD, err, root)
		}
		if a.Record {
			if read, err := ReadPieces(RecordName(a.Staged), proof); err != nil || len(read) != len(pieces) {
				t.Errorf("the record has %v, %v", read, err)
			}
		}
		// It is full.
		for _, p := range filled {
			if !a.Record {
				a.Existing = append(a.Existing, p.Size)
			}
		}
		if again, err := FillSector(t.Context(), a); err != nil || again != nil {
			t.Errorf("%v, %v", again, err)
		}
	}
}

// What does not fit together is refused, and staged stays.
func TestFillRefuses(t *testing.T) {
	t.Parallel()
	staged := filepath.Join(t.TempDir(), "staged")
	if err := os.WriteFile(staged, make([]byte, 384), 0o666); err != nil {
		t.Fatal(err)
	}
	a := Append{Proof: porep.StackedDrg2KiBV1_1, Staged: staged}
	wrong := (*StagedLengthError)(nil)
	if added, err := FillSector(t.Context(), a); added != nil || !errors.As(err, &wrong) {
		t.Errorf("pieces forgotten: %v, %v", added, err)
	}
	a.Existing, a.NoAlignment = []porep.UnpaddedSize{127, 254}, true
	if added, err := FillSector(t.Context(), a); added != nil || !errors.As(err, &wrong) {
		t.Errorf("pieces without alignment: %v, %v", added, err)
	}
	a.Existing = []porep.UnpaddedSize{128}
	if added, err := FillSector(t.Context(), a); added != nil || !errors.As(err, new(*porep.PieceSizeError)) {
		t.Errorf("a size that no piece has: %v, %v", added, err)
	}
	if err := os.WriteFile(RecordName(staged), []byte(recordText(t, twoPieces())), 0o666); err != nil {
		t.Fatal(err)
	}
	a.Existing = []porep.UnpaddedSize{127}
	if added, err := FillSector(t.Context(), a); added != nil || !errors.As(err, new(*RecordError)) {
		t.Errorf("pieces that the record has not: %v, %v", added, err)
	}
	a.Proof = 99
	if added, err := FillSector(t.Context(), a); added != nil || !errors.As(err, new(*porep.UnknownProofError)) {
		t.Errorf("no proof: %v, %v", added, err)
	}
	if info, err := os.Stat(staged); err != nil || info.Size() != 384 {
		t.Errorf("staged: %v, %v", info, err)
	}
}

// Other data than was expected leaves nothing behind, neither a file nor a byte in one.
func TestAppendExpected(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := Append{Proof: porep.StackedDrg2KiBV1_1, Staged: filepath.Join(dir, "staged"), Record: true}
	right, wrong := bytes.Repeat([]byte{1}, 254), bytes.Repeat([]byte{2}, 254)
	piece, err := CommP(t.Context(), bytes.NewReader(right), 254)
	if err != nil {
		t.Fatal(err)
	}
	a.Expect = &piece.CommP
	for _, there := range []int{0, 1, 2} {
		var before []byte
		if there > 0 {
			added, err := AppendPiece(t.Context(), a, bytes.NewReader(right), 254)
			if err != nil || added.CommP != piece.CommP || added.Offset != porep.PaddedSize(256*(there-1)) {
				t.Fatalf("%+v, %v", added, err)
			}
			if before, err = os.ReadFile(a.Staged); err != nil {
				t.Fatal(err)
			}
		}
		_, err := AppendPiece(t.Context(), a, bytes.NewReader(wrong), 254)
		other := (*OtherPieceError)(nil)
		if !errors.As(err, &other) || other.Want != piece.CommP || other.Got.CommP == piece.CommP {
			t.Fatalf("other data: %v", err)
		}
		after, err := os.ReadFile(a.Staged)
		if there == 0 && !errors.Is(err, os.ErrNotExist) || there > 0 && !bytes.Equal(before, after) {
			t.Errorf("%d pieces: staged has %d bytes, had %d, %v", there, len(after), len(before), err)
		}
		names, err := os.ReadDir(dir)
		if want := min(2*there, 2); err != nil || len(names) != want {
			t.Errorf("%d pieces: %v, want %d files", there, names, want)
		}
	}
}
