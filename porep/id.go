package porep

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// The 32-byte values of a seal. Their text form is hex in file byte order.
type (
	Commitment [32]byte // comm_p, comm_d, comm_r: a tree's root
	ProverID   [32]byte // the payload of the prover's ID address, zeros to 32 bytes
	Ticket     [32]byte // the chain's randomness for this sector
	ReplicaID  [32]byte // what makes a sector's labels its own
)

func (c Commitment) String() string { return hex.EncodeToString(c[:]) }
func (p ProverID) String() string   { return hex.EncodeToString(p[:]) }
func (t Ticket) String() string     { return hex.EncodeToString(t[:]) }
func (r ReplicaID) String() string  { return hex.EncodeToString(r[:]) }

// MarshalText writes c as hex.
func (c Commitment) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// A HexError says why a text is not the hex form of a 32-byte value.
type HexError struct {
	What   string // what the text was to be: "ticket"
	Text   string
	Reason string
}

func (e *HexError) Error() string {
	return fmt.Sprintf("porep: parsing %s: %q: %s", e.What, e.Text, e.Reason)
}

func parse32(what, text string) (v [32]byte, err error) {
	b, err := hex.DecodeString(text)
	if err == nil && len(b) == len(v) {
		return [32]byte(b), nil
	}
	reason := fmt.Sprintf("%d hex digits, want 64", len(text))
	if err != nil {
		reason = fmt.Sprintf("not hex (%v), want 64 hex digits", err)
	}
	if meant := inHex(text); meant != "" {
		reason += "; " + meant
	}
	return v, &HexError{what, text, reason}
}

// inHex says what a text that is not 64 hex digits is in hex, where it is 32 bytes
// otherwise: with 0x in front, or in base64, as hosts print them.
func inHex(text string) string {
	if b, err := hex.DecodeString(strings.TrimPrefix(text, "0x")); err == nil && len(b) == 32 {
		return fmt.Sprintf("without 0x it is %x", b)
	}
	if len(text) > base64.StdEncoding.EncodedLen(32) {
		return ""
	}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if b, err := e.Strict().DecodeString(text); err == nil && len(b) == 32 {
			return fmt.Sprintf("it is base64: in hex it is %x", b)
		}
	}
	return ""
}

// ParseCommitment reads 64 hex digits. Its error is a *HexError, as are those
// of ParseProverID, ParseTicket and ParseReplicaID.
func ParseCommitment(text string) (Commitment, error) { return parse32("commitment", text) }

// ParseProverID reads 64 hex digits.
func ParseProverID(text string) (ProverID, error) { return parse32("prover id", text) }

// ParseTicket reads 64 hex digits.
func ParseTicket(text string) (Ticket, error) { return parse32("ticket", text) }

// ParseReplicaID reads 64 hex digits.
func ParseReplicaID(text string) (ReplicaID, error) { return parse32("replica id", text) }

// ProverIDOf is the prover id of an actor number, as in f01000: its unsigned
// LEB128 bytes, then zeros.
func ProverIDOf(actor uint64) (id ProverID) {
	binary.PutUvarint(id[:], actor)
	return id
}

// TruncateToField clears the two highest bits of a little-endian field element,
// so that every digest is less than 2^254.
func TruncateToField(digest *[32]byte) { digest[31] &= 0x3f }

// NewReplicaID derives a sector's replica id: SHA-256(prover id ‖
// u64be(sector) ‖ ticket ‖ comm_d ‖ porep id), truncated to 254 bits.
func NewReplicaID(p SealProof, prover ProverID, sector uint64, ticket Ticket, commD Commitment) ReplicaID {
	msg := make([]byte, 0, 4*32+8)
	msg = append(msg, prover[:]...)
	msg = binary.BigEndian.AppendUint64(msg, sector)
	msg = append(msg, ticket[:]...)
	msg = append(msg, commD[:]...)
	porepID := p.PoRepID()
	msg = append(msg, porepID[:]...)
	id := sha256.Sum256(msg)
	TruncateToField(&id)
	return ReplicaID(id)
}

// Piece is a piece of a sector: its commitment and its size.
type Piece struct {
	CommP Commitment
	Size  UnpaddedSize
}
