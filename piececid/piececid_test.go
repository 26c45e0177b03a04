package piececid_test

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/piececid"
	"github.com/sdr-engine/sdr/porep"
)

// empty is FRC-0069's CID of no bytes at all.
const empty = "bafkzcibcp4bdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy"

// Both versions of published CIDs are read and written as they are.
func TestGolden(t *testing.T) {
	cases := append(golden.PieceCIDs(),
		golden.PieceCID{Payload: "nothing", Size: 0, Padding: 127, Height: 2, V2: empty},
		golden.PieceCID{Payload: "64 GiB of zeros", Size: 68182605824, Height: 31,
			V1: "baga6ea4seaqomqafu276g53zko4k23xzh4h4uecjwicbmvhsuqi7o4bhthhm4aq",
			V2: "bafkzcibcaap6mqafu276g53zko4k23xzh4h4uecjwicbmvhsuqi7o4bhthhm4aq"},
		// The same piece with one byte of its zeros more that counts as payload.
		golden.PieceCID{Payload: "513 bytes", Size: 513, Padding: 503, Height: 5,
			V1: "baga6ea4seaqn42av3szurbbscwuu3zjssvfwbpsvbjf6y3tukvlgl2nf5rha6pa",
			V2: "bafkzcibd64bqlxticxolgseegik2stpfgkkuwyf6kufex3doorkvmzpjuxwe4dz4"})
	for _, c := range cases {
		got, err := piececid.Parse(c.V2)
		if err != nil {
			t.Errorf("%s: %v", c.Payload, err)
			continue
		}
		size := porep.UnpaddedSize(127 << (c.Height - 2))
		want := piececid.CID{Version: 2, CommP: got.CommP, Size: size, Payload: porep.UnpaddedSize(c.Size)}
		if diff := cmp.Diff(want, got); diff != "" || uint64(size)-c.Size != c.Padding {
			t.Errorf("%s: %s", c.Payload, diff)
		}
		if text, err := piececid.V2(porep.Piece{CommP: got.CommP, Size: size}, got.Payload); err != nil || text != c.V2 {
			t.Errorf("%s: %s, %v, want %s", c.Payload, text, err, c.V2)
		}
		if c.V1 == "" {
			continue
		}
		v1, err := piececid.Parse(c.V1)
		if diff := cmp.Diff(piececid.CID{Version: 1, CommP: got.CommP}, v1); err != nil || diff != "" {
			t.Errorf("%s: %v %s", c.Payload, err, diff)
		}
		if text := piececid.V1(got.CommP); text != c.V1 {
			t.Errorf("%s: %s, want %s", c.Payload, text, c.V1)
		}
	}
	// FRC-0069 gives one in hex, too; capitals are another base.
	in16, err := piececid.Parse("f01559120220004496dae0cc9e265efe5a006e80626a5dc5c409e5d3155c13984caf6c8d5cfd605")
	if err != nil || in16.CommP.String() != "496dae0cc9e265efe5a006e80626a5dc5c409e5d3155c13984caf6c8d5cfd605" || in16.Size != 508 {
		t.Errorf("%+v, %v", in16, err)
	}
	if got, err := piececid.Parse(strings.ToUpper(empty)); err != nil || got.Payload != 0 || got.Size != 127 {
		t.Errorf("%+v, %v", got, err)
	}
}

// hexCID is a CID in base 16: version 1, a codec and a multihash with its digest.
func hexCID(codec, hash uint64, digest ...byte) string {
	b := binary.AppendUvarint([]byte{1}, codec)
	b = binary.AppendUvarint(b, hash)
	b = binary.AppendUvarint(b, uint64(len(digest)))
	return "f" + hex.EncodeToString(append(b, digest...))
}

// digest is one of version 2.
func digest(padding uint64, height byte, commitment int) []byte {
	return append(append(binary.AppendUvarint(nil, padding), height), make([]byte, commitment)...)
}

func TestRefused(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"", "not a CID"},
		{"b", "not a CID"},
		{"baga6ea4seaq", "not a CID"},
		{"baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mp1", "not a CID"},
		{"baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2m", "not a CID"},
		{" " + empty, "not a CID"},
		{strings.Repeat("b", 1<<20), "1048576 bytes, a piece CID has 64 to 80"},
		{"\x00\x01\xff", "not a CID"},
		// Of another kind.
		{hexCID(0xf102, 0xb401, make([]byte, 32)...), "is a sealed sector's CID, comm_r (fil-commitment-sealed); a piece's CID begins with baga6ea4seaq or bafkzcib"},
		{"bagboea4b5abcaenkiv6pvnr3neyiqfcwtsnntjrisoqhzuyqt7kfmrfldnfocdwt", "is a sealed sector's CID"},
		{"bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi", "is the CID of an IPFS file or directory (dag-pb)"},
		{"QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG", "is the CID of an IPFS file or directory (dag-pb)"},
		{"bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy", "is the CID of raw data (multihash 0x12), an IPFS block"},
		{hexCID(0x71, 0x12, make([]byte, 32)...), "dag-cbor"},
		{hexCID(0x0202, 0x12, make([]byte, 32)...), "a CAR file's CID"},
		{hexCID(0x78, 0x12, make([]byte, 32)...), "a CID of codec 0x78 with multihash 0x12"},
		{hexCID(0xf101, 0x12, make([]byte, 32)...), "codec 0xf101 with multihash 0x12, which no piece CID has"},
		{hexCID(0xf101, 0x1011, digest(0, 2, 32)...), "which no piece CID has"},
		{hexCID(0x70, 0x1011, digest(0, 2, 32)...), "which no piece CID has"},
		// Short, long, contradicting themselves.
		{hexCID(0xf101, 0x1012, make([]byte, 31)...), "its digest has 31 bytes, comm_p has 32"},
		{hexCID(0xf101, 0x1012, make([]byte, 33)...), "its digest has 33 bytes"},
		{hexCID(0x55, 0x1011), "its digest of 0 bytes does not begin"},
		{hexCID(0x55, 0x1011, 0x80, 0x80), "does not begin with a number of padding bytes"},
		{hexCID(0x55, 0x1011, append([]byte{0x80, 0, 3}, make([]byte, 32)...)...), "does not begin with a number of padding bytes"},
		{hexCID(0x55, 0x1011, append([]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1}, make([]byte, 33)...)...), "does not begin with a number"},
		{hexCID(0x55, 0x1011, 0), "has 0 bytes behind the padding, want 33"},
		{hexCID(0x55, 0x1011, digest(0, 2, 31)...), "has 32 bytes behind the padding, want 33"},
		{hexCID(0x55, 0x1011, digest(0, 2, 33)...), "has 34 bytes behind the padding, want 33"},
		{hexCID(0x55, 0x1011, digest(0, 1, 32)...), "height 1, a piece has one from 2"},
		{hexCID(0x55, 0x1011, digest(0, 46, 32)...), "height 46, a piece has one from 2 (128 bytes, padded) to 45"},
		{hexCID(0x55, 0x1011, digest(0, 255, 32)...), "height 255"},
		{hexCID(0x55, 0x1011, digest(128, 2, 32)...), "padding of 128 bytes, more than the whole piece of height 2 has, 127"},
		{hexCID(0x55, 0x1011, digest(1<<63, 30, 32)...), "padding of 9223372036854775808 bytes, more than the whole piece"},
		{hexCID(0x55, 0x1011, digest(508, 5, 32)...), "padding of 508 bytes is not less than the payload of 508: a piece of height 4 would do, it says 5"},
		{hexCID(0x55, 0x1011, digest(127, 2, 32)...), "a payload of 0 bytes, of which comm_p is 3731bb99"},
		{hexCID(0x55, 0x1011, digest(1016, 5, 32)...), "padding of 1016 bytes is not less than the payload of 0: a piece of height 2 would do"},
	} {
		got, err := piececid.Parse(c.text)
		var bad *piececid.Error
		if !errors.As(err, &bad) || bad.Text != c.text || got != (piececid.CID{}) || !strings.Contains(err.Error(), c.says) || len(err.Error()) > 2000 {
			t.Errorf("%.80q: %+v, %v; want %q", c.text, got, err, c.says)
		}
	}
	for _, c := range []struct {
		size, payload porep.UnpaddedSize
		says          string
	}{
		{128, 100, "128"},
		{127, 128, "the payload has 128 bytes, more than the piece, 127"},
		{1016, 508, "a payload of 508 bytes fills a piece of 508, not of 1016"},
		{127, 0, "comm_p of a payload of 0 bytes is 3731bb99"},
		{254, 0, "a payload of 0 bytes fills a piece of 127, not of 254"},
	} {
		if text, err := piececid.V2(porep.Piece{Size: c.size}, c.payload); text != "" || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %s, %v", c, text, err)
		}
	}
}

// What is written is read as it was, for every payload.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := piececid.CID{
			Version: 2,
			CommP:   porep.Commitment(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "comm_p")),
			Payload: porep.UnpaddedSize(rapid.Uint64Range(0, 1<<50/128*127).Draw(t, "payload")),
		}
		if want.Payload == 0 { // which has one comm_p
			c, err := piececid.Parse(empty)
			if err != nil {
				t.Fatal(err)
			}
			want.CommP = c.CommP
		}
		want.Size = want.Payload.NextPieceSize()
		text, err := piececid.V2(porep.Piece{CommP: want.CommP, Size: want.Size}, want.Payload)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := piececid.Parse(text); err != nil || got != want || !strings.HasPrefix(text, "bafkzcib") {
			t.Fatalf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	})
}

// FuzzParse: what is taken for a piece CID is one that would be written so.
func FuzzParse(f *testing.F) {
	f.Add(empty)
	f.Add("baga6ea4seaqes3nobte6ezpp4wqan2age2s5yxcatzotcvobhgcmv5wi2xh5mbi")
	f.Add("f01559120220004496dae0cc9e265efe5a006e80626a5dc5c409e5d3155c13984caf6c8d5cfd605")
	f.Add(hexCID(0x55, 0x1011, digest(508, 5, 32)...))
	f.Add("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := piececid.Parse(text)
		if err != nil {
			if bad := (*piececid.Error)(nil); !errors.As(err, &bad) || c != (piececid.CID{}) {
				t.Fatalf("%+v, %T %v", c, err, err)
			}
			return
		}
		again := piececid.V1(c.CommP)
		if c.Version == 2 {
			if again, err = piececid.V2(porep.Piece{CommP: c.CommP, Size: c.Size}, c.Payload); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := piececid.Parse(again); err != nil || got != c {
			t.Fatalf("%q is read as %+v, written as %q, which is read as %+v, %v", text, c, again, got, err)
		}
	})
}

// A CID is written in one way: what decoders pass over, letters that are too many, bits behind
// the last byte, capitals among others, is a slip.
func TestOneWay(t *testing.T) {
	good := piececid.V1(porep.Commitment{1, 2, 3})
	if _, err := piececid.Parse(good); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{good + "a", good[:20] + strings.ToUpper(good[20:21]) + good[21:], good + "\n", good[:9] + "\n" + good[9:]} {
		if c, err := piececid.Parse(bad); err == nil {
			t.Errorf("%q is taken for %v", bad, c)
		}
	}
}
