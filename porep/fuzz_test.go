package porep_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/porep"
)

// FuzzParse: ids and proofs that are read say themselves; whatever else comes is an error that has a type.
func FuzzParse(f *testing.F) {
	f.Add("StackedDrg32GiBV1_1")
	f.Add(strings.Repeat("0f", 32))
	f.Fuzz(func(t *testing.T, text string) {
		p, err := porep.ParseSealProof(text)
		if err == nil && p.String() != text || err != nil && !errors.As(err, new(*porep.UnknownProofError)) {
			t.Errorf("%q is %v, %v", text, p, err)
		}
		commitment, err := porep.ParseCommitment(text)
		ticket, errTicket := porep.ParseTicket(text)
		prover, errProver := porep.ParseProverID(text)
		replica, errReplica := porep.ParseReplicaID(text)
		for _, other := range []error{errTicket, errProver, errReplica} {
			if (other == nil) != (err == nil) {
				t.Errorf("%q: %v, and %v", text, err, other)
			}
		}
		if err != nil {
			if !errors.As(err, new(*porep.HexError)) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if want := strings.ToLower(text); hex.EncodeToString(commitment[:]) != want || replica.String() != want || [32]byte(ticket) != [32]byte(prover) || [32]byte(ticket) != [32]byte(commitment) {
			t.Errorf("%q is %v", text, commitment)
		}
	})
}
