// Package piececid reads and writes the CIDs that pieces have.
//
// Version 1 ("baga6ea4seaq…") is comm_p alone: codec fil-commitment-unsealed (0xf101),
// multihash sha2-256-trunc254-padded (0x1012). It goes along with a size. Version 2
// ("bafkzcib…", FRC-0069) has the sizes in it: codec raw (0x55), multihash
// fr32-sha256-trunc254-padbintree (0x1011), whose digest is the number of zero bytes that
// fill the payload up (an unsigned varint), the height of the tree over the padded piece (a
// byte: 2 is the piece of 128 bytes) and comm_p.
package piececid

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"

	"github.com/sdr-engine/sdr/porep"
)

const (
	filCommitmentUnsealed = 0xf101
	sha256Trunc254Padded  = 0x1012
	raw                   = 0x55
	padBinTree            = 0x1011

	// maxText is far above any piece CID, in any base.
	maxText = 512

	minHeight = 2
	maxHeight = 45 // of what porep takes for a piece's size at most
)

// noPayload is comm_p of the smallest piece, of zeros alone: that of a payload of 0 bytes.
var noPayload = porep.Commitment{
	0x37, 0x31, 0xbb, 0x99, 0xac, 0x68, 0x9f, 0x66, 0xee, 0xf5, 0x97, 0x3e, 0x4a, 0x94, 0xda, 0x18,
	0x8f, 0x4d, 0xdc, 0xae, 0x58, 0x07, 0x24, 0xfc, 0x6f, 0x3f, 0xd6, 0x0d, 0xfd, 0x48, 0x83, 0x33,
}

// A CID is what a piece CID says.
type CID struct {
	Version int // 1 or 2
	CommP   porep.Commitment
	// Size is the piece's; 0 in version 1, which does not say it. Payload, also in
	// version 2 alone, is how many bytes of it are in front of the zeros that fill it.
	Size, Payload porep.UnpaddedSize
}

// An Error says why a text is no piece CID, or why there is none for a piece.
type Error struct {
	Text string // the CID, or empty where there is none yet
	// Kind is what the text is instead, "an IPFS file or directory (dag-pb)"; empty where
	// it is no CID at all, or a piece CID that contradicts itself.
	Kind   string
	Reason string
}

func (e *Error) Error() string {
	switch {
	case e.Text == "":
		return "piececid: writing a piece CID: " + e.Reason
	case e.Kind != "":
		return fmt.Sprintf("piececid: parsing piece CID: %q is %s; %s", clip(e.Text), e.Kind, e.Reason)
	}
	return fmt.Sprintf("piececid: parsing piece CID: %q: %s", clip(e.Text), e.Reason)
}

func clip(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:100], "") + "…"
}

// Parse reads a piece CID of either version, in any base. Its error is an *Error.
func Parse(text string) (CID, error) {
	failed := func(kind, format string, args ...any) (CID, error) {
		return CID{}, &Error{text, kind, fmt.Sprintf(format, args...)}
	}
	if len(text) > maxText {
		return failed("", "%d bytes, a piece CID has 64 to 80 in most bases", len(text))
	}
	c, err := cid.Decode(text)
	if err != nil {
		return failed("", "not a CID (%v)", err)
	}
	hash, err := multihash.Decode(c.Hash())
	if err != nil {
		return failed("", "not a CID (%v)", err)
	}
	// Decoders pass over letters that are too many, and bits.
	if base, err := cid.ExtractEncoding(text); err == nil {
		if again, err := c.StringOfBase(base); err != nil || again != text {
			return failed("", "not a CID in the one way that it is written: %s", again)
		}
	}
	const want = "a piece's CID begins with baga6ea4seaq or bafkzcib"
	p := c.Prefix()
	switch {
	case p.Version == 1 && p.Codec == filCommitmentUnsealed && p.MhType == sha256Trunc254Padded:
		if len(hash.Digest) != porep.NodeSize {
			return failed("", "its digest has %d bytes, comm_p has %d", len(hash.Digest), porep.NodeSize)
		}
		return CID{Version: 1, CommP: porep.Commitment(hash.Digest)}, nil
	case p.Version == 1 && p.Codec == raw && p.MhType == padBinTree:
		return parseDigest(text, hash.Digest)
	case p.MhType == padBinTree || p.Codec == filCommitmentUnsealed:
		return failed("", "codec %#x with multihash %#x, which no piece CID has; %s", p.Codec, p.MhType, want)
	}
	return failed(kindOf(p), want)
}

// parseDigest reads version 2's digest.
func parseDigest(text string, digest []byte) (CID, error) {
	failed := func(format string, args ...any) (CID, error) {
		return CID{}, &Error{Text: text, Reason: fmt.Sprintf(format, args...)}
	}
	padding, n := binary.Uvarint(digest)
	// The shortest form is the only one.
	if n <= 0 || n > 1 && digest[n-1] == 0 {
		return failed("its digest of %d bytes does not begin with a number of padding bytes", len(digest))
	}
	if rest := len(digest) - n; rest != 1+porep.NodeSize {
		return failed("its digest has %d bytes behind the padding, want %d: height and comm_p", rest, 1+porep.NodeSize)
	}
	h := int(digest[n])
	if h < minHeight || h > maxHeight {
		return failed("height %d, a piece has one from %d (128 bytes, padded) to %d", h, minHeight, maxHeight)
	}
	c := CID{Version: 2, CommP: porep.Commitment(digest[n+1:]), Size: porep.PaddedSize(porep.NodeSize << h).Unpadded()}
	if padding > uint64(c.Size) {
		return failed("padding of %d bytes, more than the whole piece of height %d has, %d", padding, h, c.Size)
	}
	c.Payload = c.Size - porep.UnpaddedSize(padding)
	if least := c.Payload.NextPieceSize(); least != c.Size {
		return failed("padding of %d bytes is not less than the payload of %d: a piece of height %d would do, it says %d",
			padding, c.Payload, heightOf(least), h)
	}
	if c.Payload == 0 && c.CommP != noPayload {
		return failed("a payload of 0 bytes, of which comm_p is %v, but comm_p is %v", noPayload, c.CommP)
	}
	return c, nil
}

// kindOf says what a CID is that is no piece's.
func kindOf(p cid.Prefix) string {
	switch p.Codec {
	case 0xf102:
		return "a sealed sector's CID, comm_r (fil-commitment-sealed)"
	case cid.DagProtobuf:
		return "the CID of an IPFS file or directory (dag-pb), the payload's root, not the piece's"
	case cid.DagCBOR:
		return "the CID of a CBOR object (dag-cbor), a deal proposal or a message perhaps"
	case 0x0202:
		return "a CAR file's CID (car), not the piece's"
	case raw:
		return fmt.Sprintf("the CID of raw data (multihash %#x), an IPFS block", p.MhType)
	}
	return fmt.Sprintf("a CID of codec %#x with multihash %#x", p.Codec, p.MhType)
}

// heightOf is the height of the tree over a piece.
func heightOf(size porep.UnpaddedSize) int {
	return bits.Len64(uint64(size.Padded()/porep.NodeSize)) - 1
}

// V1 is the text of version 1: "baga6ea4seaq…".
func V1(commP porep.Commitment) string {
	return text(filCommitmentUnsealed, sha256Trunc254Padded, commP[:])
}

// V2 is the text of version 2, "bafkzcib…", of a piece whose payload zeros fill up to its
// size. The error is a *porep.PieceSizeError, or an *Error if the payload is larger, or a
// smaller piece would hold it: version 2 has no such padding, so the zeros that fill it to
// size count as payload; or if it is of 0 bytes, and comm_p is not.
func V2(piece porep.Piece, payload porep.UnpaddedSize) (string, error) {
	if err := piece.Size.CheckPieceSize(); err != nil {
		return "", err
	}
	if payload > piece.Size {
		return "", &Error{Reason: fmt.Sprintf("the payload has %d bytes, more than the piece, %d", payload, piece.Size)}
	}
	if least := payload.NextPieceSize(); least != piece.Size {
		return "", &Error{Reason: fmt.Sprintf("a payload of %d bytes fills a piece of %d, not of %d: let the zeros behind it count as payload", payload, least, piece.Size)}
	}
	if payload == 0 && piece.CommP != noPayload {
		return "", &Error{Reason: fmt.Sprintf("comm_p of a payload of 0 bytes is %v, the piece's is %v: it has some", noPayload, piece.CommP)}
	}
	digest := binary.AppendUvarint(nil, uint64(piece.Size-payload))
	digest = append(digest, byte(heightOf(piece.Size)))
	return text(raw, padBinTree, append(digest, piece.CommP[:]...)), nil
}

func text(codec, hash uint64, digest []byte) string {
	encoded, _ := multihash.Encode(digest, hash) // fails for no code
	return cid.NewCidV1(codec, encoded).String()
}
