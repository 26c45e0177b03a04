package seal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/piececid"
	"github.com/sdr-engine/sdr/porep"
)

// twoPieces is a record of a 2 KiB sector, whose second piece is aligned.
func twoPieces() *PieceRecord {
	return &PieceRecord{porep.StackedDrg2KiBV1_1, []PlacedPiece{
		{0, porep.Piece{CommP: porep.Commitment{1}, Size: 127}},
		{512, porep.Piece{CommP: porep.Commitment{2}, Size: 508}},
	}}
}

func recordText(t testing.TB, r *PieceRecord) string {
	t.Helper()
	text, err := r.text()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestBadRecords: what is no record is a *RecordError that says why.
func TestBadRecords(t *testing.T) {
	good := recordText(t, twoPieces())
	with := func(old, new string) string {
		t.Helper()
		if !strings.Contains(good, old) {
			t.Fatalf("no %q in the record", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for _, tt := range []struct {
		name, text string
		as         any
		says       []string
	}{
		{"empty", "", nil, []string{"no piece record", "unexpected end"}},
		{"no JSON", "pieces", nil, []string{"no piece record"}},
		{"cut", good[:len(good)-5], nil, []string{"unexpected end"}},
		{"more behind", good + "{}", nil, []string{"after top-level value"}},
		{"list", "[1]", nil, []string{"no piece record"}},
		{"null", "null", nil, []string{"no schema, want 1"}},
		{"no schema", "{}", nil, []string{"no schema, want 1"}},
		{"other schema", `{"schema": 2, "parts": []}`, nil, []string{"schema 2, only 1"}},
		{"schema is text", with(`"schema": 1`, `"schema": "1"`), nil, []string{"schema"}},
		{"unknown field", with(`"proof"`, `"sector": 3, "proof"`), nil, []string{`unknown field "sector"`}},
		{"unknown field of a piece", with(`"offset": 512`, `"offset": 512, "\u001b[31m": 1`), nil, []string{`unknown field "\x1b[31m"`}},
		{"field twice", with(`"offset": 512`, `"offset": 0, "offset": 512`), nil, []string{"there twice"}},
		{"field in another case", with(`"offset": 512`, `"Offset": 512`), nil, []string{"otherwise than it is written"}},
		{"field missing", with(`"offset": 0,`, ``), nil, []string{"a field is missing"}},
		{"fields in another order", strings.Replace(with(`"schema": 1,`, ``), "]", `], "schema": 1`, 1), nil, []string{"otherwise than it is written"}},
		{"unknown proof", with("2KiB", "9KiB"), new(*porep.UnknownProofError), []string{`"StackedDrg9KiBV1_1" is not registered`}},
		{"long proof", with("2KiB", strings.Repeat("9", 100000)), new(*porep.UnknownProofError), []string{"999…"}},
		{"no pieces", `{"schema": 1, "proof": "StackedDrg2KiBV1_1", "pieces": []}`, nil, []string{"no pieces"}},
		{"pieces null", `{"schema": 1, "proof": "StackedDrg2KiBV1_1", "pieces": null}`, nil, []string{"no pieces"}},
		{"overlap", with(`"offset": 512`, `"offset": 0`), nil, []string{"piece 1 begins at 0, before the end at 128"}},
		{"disorder", with(`"offset": 0`, `"offset": 1024`), nil, []string{"piece 1 begins at 512, before the end at 1152"}},
		{"odd offset", with(`"offset": 512`, `"offset": 513`), nil, []string{"begins at 513", "multiple of 128"}},
		{"past the sector", with(`"offset": 512`, `"offset": 1664`), nil, []string{"512 padded bytes from 1664 on", "2048"}},
		{"far past the sector", with(`"offset": 512`, `"offset": 18446744073709551488`), nil, []string{"18446744073709551488"}},
		{"offset too large", with(`"offset": 512`, `"offset": 18446744073709551616`), nil, []string{"18446744073709551616"}},
		{"offset below zero", with(`"offset": 512`, `"offset": -128`), nil, []string{"-128"}},
		{"offset not whole", with(`"offset": 512`, `"offset": 512.5`), nil, []string{"512.5"}},
		{"size", with(`508`, `509`), new(*porep.PieceSizeError), []string{"piece 1", "509"}},
		{"size past the sector", with(`508`, `4064`), new(*porep.PieceSizeError), []string{"4064", "2048"}},
		{"comm_p", with(`"01`, `"0x`), new(*porep.HexError), []string{"piece 0", "not hex"}},
		{"comm_p too short", with(`"01`, `"1`), new(*porep.HexError), []string{"want 64"}},
		{"comm_p of another kind", with(`"01`+strings.Repeat("0", 62), `"bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi`), new(*piececid.Error), []string{"piece 0", "IPFS file"}},
		{"comm_p of another size", with(`"01`+strings.Repeat("0", 62), `"bafkzcibcaaces3nobte6ezpp4wqan2age2s5yxcatzotcvobhgcmv5wi2xh5mbi`), nil, []string{"piece 0: the CID is of a piece of 508 unpadded bytes, unpadded_size is 127"}},
		{"comm_p with a size", with(`"01`+strings.Repeat("0", 62), `"01`+strings.Repeat("0", 62)+`:127`), nil, []string{"has a size"}},
		{"comm_p in capitals", with(`"02`, `"0A`), nil, []string{"otherwise than it is written"}},
		{"too long", good + strings.Repeat(" ", maxRecord), nil, []string{"more than 1048576 bytes"}},
		{"deep", strings.Repeat("[", 100000), nil, []string{"no piece record"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "staged.pieces")
			if err := os.WriteFile(path, []byte(tt.text), 0o666); err != nil {
				t.Fatal(err)
			}
			pieces, err := ReadPieces(path, porep.StackedDrg2KiBV1_1)
			var bad *RecordError
			if pieces != nil || !errors.As(err, &bad) || bad.Path != path || tt.as != nil && !errors.As(err, tt.as) {
				t.Fatalf("%v, error %T %v", pieces, err, err)
			}
			for _, says := range tt.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("error %q does not say %q", err, says)
				}
			}
			if len(err.Error()) > 2000 || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }) {
				t.Errorf("error %q is long, or more than text", err)
			}
		})
	}
}

// A record that somebody writes may have piece CIDs of both versions; it is kept in hex.
func TestRecordOfCIDs(t *testing.T) {
	want := twoPieces()
	v2, err := piececid.V2(want.Pieces[1].Piece, 300)
	if err != nil {
		t.Fatal(err)
	}
	text := recordText(t, want)
	text = strings.Replace(text, want.Pieces[0].CommP.String(), piececid.V1(want.Pieces[0].CommP), 1)
	text = strings.Replace(text, want.Pieces[1].CommP.String(), v2, 1)
	got, err := ParsePieceRecord([]byte(text))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Fatalf("%v %s", err, diff)
	}
	if again := recordText(t, got); again != recordText(t, want) {
		t.Errorf("kept as %s", again)
	}
}

// TestRecordLimit: a record does not grow past what is read.
func TestRecordLimit(t *testing.T) {
	of := func(n int) *PieceRecord {
		r := &PieceRecord{Proof: porep.StackedDrg32GiBV1_1}
		for range n {
			r.Pieces = append(r.Pieces, PlacedPiece{r.End(), porep.Piece{Size: 127}})
		}
		return r
	}
	most := sort.Search(20000, func(n int) bool { return len(recordText(t, of(n))) > maxRecord }) - 1
	r := of(most)
	if got, err := ParsePieceRecord([]byte(recordText(t, r))); err != nil || len(got.Pieces) != most {
		t.Errorf("%d pieces: %v", most, err)
	}
	_, _, err := r.with("staged.pieces", PlacedPiece{r.End(), porep.Piece{Size: 127}})
	if bad := (*RecordError)(nil); !errors.As(err, &bad) || !strings.Contains(err.Error(), "1048576 are the most") {
		t.Errorf("one more than %d pieces: error %v", most, err)
	}
}

// FuzzParsePieceRecord: no text makes it panic, and what is read is what would be written.
func FuzzParsePieceRecord(f *testing.F) {
	good := recordText(f, twoPieces())
	for _, text := range []string{good, "", "{}", `{"schema":1}`, strings.ReplaceAll(good, "512", "128"), strings.ReplaceAll(good, "127", "508"),
		strings.ReplaceAll(good, "offset", "OFFSET"), strings.ReplaceAll(good, "\n", ""), good[:100], strings.ReplaceAll(good, "2KiB", "64GiB")} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParsePieceRecord(text)
		if err != nil {
			if bad := (*RecordError)(nil); r != nil || !errors.As(err, &bad) {
				t.Errorf("%v, error %T %v", r, err, err)
			}
			return
		}
		var end porep.PaddedSize
		for _, p := range r.Pieces {
			if p.Offset < end || p.Size.CheckPieceIn(r.Proof.SectorSize()) != nil {
				t.Errorf("piece %v behind %d", p, end)
			}
			end = p.Offset + p.Size.Padded()
		}
		if end != r.End() || end > porep.PaddedSize(r.Proof.SectorSize()) {
			t.Errorf("end %d", end)
		}
		again, err := ParsePieceRecord([]byte(recordText(t, r)))
		if diff := cmp.Diff(r, again); err != nil || diff != "" {
			t.Errorf("%v, %s", err, diff)
		}
		if pieces, err := r.Aligned(); err == nil {
			if _, err := CommD(r.Proof, pieces); err != nil && !errors.As(err, new(*CommDError)) {
				t.Errorf("comm_d: %v", err)
			}
		}
		if !bytes.Contains(text, []byte("schema")) {
			t.Error("no schema")
		}
	})
}
