package porep_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/porep"
)

func TestSealProofs(t *testing.T) {
	type row struct {
		Name   string
		ID     int
		Size   uint64
		Layers int
		API    string
		V1     string
	}
	var got []row
	for _, p := range porep.SealProofs() {
		got = append(got, row{p.String(), int(p), uint64(p.SectorSize()), p.Layers(), p.APIVersion().String(), p.V1().String()})
		if parsed, err := porep.ParseSealProof(p.String()); err != nil || parsed != p {
			t.Errorf("ParseSealProof(%q) = %d, %v", p, parsed, err)
		}
	}
	var want []row
	for v, version := range []struct{ suffix, api string }{
		{"V1", "1.0.0"},
		{"V1_1", "1.1.0"},
		{"V1_1_Feat_SyntheticPoRep", "1.2.0"},
		{"V1_2_Feat_NonInteractivePoRep", "1.2.0"},
	} {
		for s, size := range []struct {
			name   string
			bytes  uint64
			layers int
		}{
			{"2KiB", 2048, 2}, {"8MiB", 8388608, 2}, {"512MiB", 536870912, 2}, {"32GiB", 34359738368, 11}, {"64GiB", 68719476736, 11},
		} {
			want = append(want, row{"StackedDrg" + size.name + version.suffix, 5*v + s, size.bytes, size.layers, version.api, "StackedDrg" + size.name + "V1"})
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPoRepID(t *testing.T) {
	id := porep.StackedDrg64GiBV1_2_Feat_NonInteractivePoRep.PoRepID()
	if got, want := hex.EncodeToString(id[:]), "13"+strings.Repeat("0", 62); got != want {
		t.Errorf("porep id %s, want %s", got, want)
	}
}

func TestUnknownProof(t *testing.T) {
	for _, name := range []string{"", "StackedDrg32GiBV2", "stackeddrg2kibv1", "StackedDrg2KiBV1 "} {
		_, err := porep.ParseSealProof(name)
		var unknown *porep.UnknownProofError
		if !errors.As(err, &unknown) || unknown.Value != name {
			t.Errorf("ParseSealProof(%q): %v", name, err)
			continue
		}
		for _, p := range porep.SealProofs() {
			if !strings.Contains(err.Error(), p.String()) {
				t.Errorf("%v does not list %v", err, p)
			}
		}
	}
	// A number, or a size without a version, is answered with what was meant.
	for name, says := range map[string]string{
		"8":               `"8" is the number of StackedDrg32GiBV1_1: give its name`,
		"0":               `"0" is the number of StackedDrg2KiBV1: `,
		"32GiB":           `"32GiB" is a size without its version: it is one of these four: StackedDrg32GiBV1, StackedDrg32GiBV1_1, StackedDrg32GiBV1_1_Feat_SyntheticPoRep, StackedDrg32GiBV1_2_Feat_NonInteractivePoRep`,
		"stackeddrg64gib": "it is one of these four: StackedDrg64GiBV1, ",
		"34359738368":     `"34359738368" is a size without its version: it is one of these four: StackedDrg32GiBV1, `,
		"34359738367":     `"34359738367" is not registered; there are: `,
		"20":              `"20" is not registered; there are: `,
		"33GiB":           `"33GiB" is not registered; there are: `,
		"StackedDrg":      `"StackedDrg" is not registered; there are: `,
	} {
		if _, err := porep.ParseSealProof(name); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("ParseSealProof(%q): %v, want %q", name, err, says)
		}
	}
	for _, p := range []porep.SealProof{-1, 20, 1 << 40} {
		if p.Check() == nil || p.SectorSize() != 0 || p.Layers() != 0 || p.APIVersion() != 0 || p.V1() != p || p.PoRepID() != [32]byte{} || p.String() == "" {
			t.Errorf("SealProof(%d) is not refused", int64(p))
		}
	}
}

// TestReplicaID takes inputs and results from the reference implementation.
func TestReplicaID(t *testing.T) {
	for _, s := range golden.Sectors() {
		p, err1 := porep.ParseSealProof(s.RegisteredProof)
		prover, err2 := porep.ParseProverID(s.ProverID)
		ticket, err3 := porep.ParseTicket(s.Ticket)
		commD, err4 := porep.ParseCommitment(s.CommD)
		want, err5 := porep.ParseReplicaID(s.ReplicaID)
		if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
			t.Fatal(err)
		}
		if got := porep.NewReplicaID(p, prover, s.SectorID, ticket, commD); got != want {
			t.Errorf("replica id %v, want %v", got, want)
		}
	}
}

func TestProverIDOf(t *testing.T) {
	for actor, want := range map[uint64]string{
		0:         "00",
		127:       "7f",
		128:       "8001",
		1000:      "e807",
		1<<64 - 1: "ffffffffffffffffff01",
	} {
		if got := porep.ProverIDOf(actor).String(); got != want+strings.Repeat("0", 64-len(want)) {
			t.Errorf("prover id of %d is %s, want %s and zeros", actor, got, want)
		}
	}
}

func TestParseHex(t *testing.T) {
	good := strings.Repeat("0a", 32)
	if c, err := porep.ParseCommitment(good); err != nil || c.String() != good {
		t.Errorf("%v, %v", c, err)
	}
	for _, bad := range []string{"", "0", good[2:], good + "00", good[1:], "zz" + good[2:], "0x" + good} {
		_, err := porep.ParseTicket(bad)
		var e *porep.HexError
		if !errors.As(err, &e) || e.What != "ticket" || !strings.Contains(err.Error(), "64") {
			t.Errorf("ParseTicket(%q): %v", bad, err)
		}
	}
}

// A value in base64, or with 0x in front, is answered with its hex form.
func TestMeantInHex(t *testing.T) {
	const digits = "a0b1c2d3e4f5061728394a5b6c7d8e9fa0b1c2d3e4f5061728394a5b6c7dfbff"
	for text, says := range map[string]string{
		"oLHC0+T1BhcoOUpbbH2On6CxwtPk9QYXKDlKW2x9+/8=": "not hex (encoding/hex: invalid byte: U+006F 'o'), want 64 hex digits; it is base64: in hex it is " + digits,
		"oLHC0+T1BhcoOUpbbH2On6CxwtPk9QYXKDlKW2x9+/8":  "it is base64: in hex it is " + digits,
		"oLHC0-T1BhcoOUpbbH2On6CxwtPk9QYXKDlKW2x9-_8=": "it is base64: in hex it is " + digits,
		"oLHC0-T1BhcoOUpbbH2On6CxwtPk9QYXKDlKW2x9-_8":  "it is base64: in hex it is " + digits,
		"0x" + digits: "without 0x it is " + digits,
	} {
		if _, err := porep.ParseTicket(text); err == nil || !strings.HasSuffix(err.Error(), says) {
			t.Errorf("ParseTicket(%q): %v, want %q", text, err, says)
		}
	}
	for _, text := range []string{"0x" + digits[2:], digits[1:], "oLHC0+T1BhcoOUpbbH2On6CxwtPk9QYXKDlKW2x9+/9=", strings.Repeat("A", 100)} {
		if _, err := porep.ParseTicket(text); err == nil || strings.Contains(err.Error(), "it is") {
			t.Errorf("ParseTicket(%q): %v", text, err)
		}
	}
}

func TestPieceSizes(t *testing.T) {
	for _, u := range []porep.UnpaddedSize{127, 254, 508, 1016, 2032, 8323072, 34091302912} {
		if err := u.CheckPieceSize(); err != nil {
			t.Error(err)
		}
		if got := u.NextPieceSize(); got != u {
			t.Errorf("the next piece size of %d is %d", u, got)
		}
	}
	for u, says := range map[porep.UnpaddedSize]string{
		0:         "too small",
		126:       "too small",
		128:       "128 is padded; unpadded it is 127; the next piece size is 254",
		129:       "not a multiple of 127; the next piece size is 254",
		2048:      "2048 is padded; unpadded it is 2032",
		1 << 49:   "562949953421312 is padded; unpadded it is 558551906910208",
		381:       "384 when padded, which is no power of two; the next piece size is 508",
		1<<64 - 1: "larger",
	} {
		err := u.CheckPieceSize()
		var e *porep.PieceSizeError
		if !errors.As(err, &e) || e.Size != u || !strings.Contains(err.Error(), says) {
			t.Errorf("size %d: %v does not say %q", u, err, says)
		}
	}
	if err := porep.UnpaddedSize(4064).CheckPieceIn(2048); err == nil || !strings.Contains(err.Error(), "4096") {
		t.Errorf("a piece of 4096 in a sector of 2048: %v", err)
	}
	if err := porep.UnpaddedSize(2032).CheckPieceIn(2048); err != nil {
		t.Error(err)
	}
}

func TestNextPieceSize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := porep.UnpaddedSize(rapid.Uint64Range(0, 1<<40).Draw(t, "size"))
		next := u.NextPieceSize()
		if err := next.CheckPieceSize(); err != nil {
			t.Fatal(err)
		}
		if next < u || next > porep.UnpaddedUnit && next/2 >= u {
			t.Fatalf("the next piece size of %d is %d", u, next)
		}
		if next.Padded().Unpadded() != next {
			t.Fatalf("%d padded and back is %d", next, next.Padded().Unpadded())
		}
	})
}
