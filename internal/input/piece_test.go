package input

import (
	"strconv"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/piececid"
	"github.com/sdr-engine/sdr/porep"
)

// The piece of FRC-0069's test cases that has padding, in all its names.
const (
	commP = "6de682bbcb348c4215a94de7249496cb07d950a4bec6e7455666e9a5ec4e0f3c"
	v1    = "baga6ea4seaqn42av3szurbbscwuu3zjssvfwbpsvbjf6y3tukvlgl2nf5rha6pa"
	v2    = "bafkzcibd7abqlxticxolgseegik2stpfgkkuwyf6kufex3doorkvmzpjuxwe4dz4" // 512 bytes in 1016
	empty = "bafkzcibcp4bdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy"
)

func TestPieceNames(t *testing.T) {
	c, err := piececid.Parse(v1)
	if err != nil {
		t.Fatal(err)
	}
	hex := c.CommP.String()
	sized := porep.Piece{CommP: c.CommP, Size: 1016}
	for text, want := range map[string]Name{
		hex:           {Piece: porep.Piece{CommP: c.CommP}},
		v1:            {Piece: porep.Piece{CommP: c.CommP}},
		hex + ":1016": {Piece: sized},
		v1 + ":1016":  {Piece: sized},
		v2:            {sized, 512, true},
		v2 + ":1016":  {sized, 512, true},
	} {
		if got, err := PieceName(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
		piece, err := Piece(text)
		if want.Size != 0 && (err != nil || piece != want.Piece) || want.Size == 0 && (err == nil || !strings.Contains(err.Error(), "it has no size")) {
			t.Errorf("piece %s: %+v, %v", text, piece, err)
		}
		if !strings.Contains(text, ":") {
			if got, err := CommD(text); err != nil || got.CommP != c.CommP {
				t.Errorf("commitment %s: %v, %v", text, got, err)
			}
		}
	}
}

// A mistake is answered with what was meant.
func TestBadPieces(t *testing.T) {
	const bagboea = "bagboea4b5abcaenkiv6pvnr3neyiqfcwtsnntjrisoqhzuyqt7kfmrfldnfocdwt"
	for text, says := range map[string]string{
		"":                      `"" is not COMM_P:UNPADDED, nor a piece CID of version 2`,
		"x":                     `"x" is not COMM_P:UNPADDED`,
		"x:127":                 "not hex",
		":":                     "0 hex digits",
		commP[1:] + ":127":      "odd length hex string",
		commP + ":":             `"" is not a number of bytes`,
		commP + ":2048":         "2048 is padded; unpadded it is 2032",
		commP + ":32GiB":        `"32GiB" is not a number of bytes: 32GiB, padded, is 34091302912 unpadded`,
		commP + ":3GiB":         `"3GiB" is not a number of bytes`,
		commP + ":127:127":      `"127:127" is not a number of bytes`,
		v2 + ":508":             "the CID is of a piece of 1016 unpadded bytes, the size beside it is 508",
		v2 + ":2032":            "the CID is of a piece of 1016 unpadded bytes, the size beside it is 2032",
		v2 + ":1024":            "1024 is padded; unpadded it is 1016",
		empty:                   "is the CID of a payload of 0 bytes: no piece of a sector is",
		empty + ":127":          "is the CID of a payload of 0 bytes",
		bagboea:                 "is a sealed sector's CID, comm_r",
		bagboea + ":127":        "is a sealed sector's CID, comm_r",
		v1[:len(v1)-1]:          "not a CID",
		v2[:len(v2)-2] + ":127": "piececid: parsing piece CID",
		"bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi:1016": "is the CID of an IPFS file or directory",
		"QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG":                   "is the CID of an IPFS file or directory",
	} {
		if piece, err := Piece(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, %v; want %q", text, piece, err, says)
		}
	}
}

// FuzzPiece: what is taken for a piece can be written in three ways that are read as the same.
func FuzzPiece(f *testing.F) {
	for _, text := range []string{v1 + ":1016", v2, v2 + ":1016", commP + ":1016", empty, "x:y", commP + ":2048"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		piece, err := Piece(text)
		if err != nil {
			return
		}
		size := ":" + strconv.FormatUint(uint64(piece.Size), 10)
		v2, err := piececid.V2(piece, piece.Size)
		if err != nil {
			t.Fatal(err)
		}
		for _, again := range []string{piece.CommP.String() + size, piececid.V1(piece.CommP) + size, v2, v2 + size} {
			if got, err := Piece(again); err != nil || got != piece {
				t.Fatalf("%q is read as %v, %q as %v, %v", text, piece, again, got, err)
			}
		}
	})
}
