package seal_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// TestCheckSealed: what phase 1 itself may have left in sealed is told from a replica, and
// from anything else.
func TestCheckSealed(t *testing.T) {
	const size = 8 << 20
	random := func(seed byte, n int) []byte {
		b := make([]byte, n)
		rand.NewChaCha8([32]byte{seed}).Read(b)
		return b
	}
	data := random(1, size/2+12345)
	copied := append(bytes.Clone(data), make([]byte, size-len(data))...)
	replica := random(2, size)
	with := func(edit func(b []byte)) []byte {
		b := bytes.Clone(copied)
		edit(b)
		return b
	}
	for _, tt := range []struct {
		name   string
		zero   bool // staged is DevZero
		sealed []byte
		offset int64 // of the error; -2: none
	}{
		{"empty", false, nil, -2},
		{"as copied", false, copied, -2},
		{"cut short in the data", false, copied[:1_234_567], -2},
		{"cut short in the zeros", false, copied[:size-5000], -2},
		{"zeros", false, make([]byte, size), -2},
		{"data, and zeros where a page never came to the disk", false, with(func(b []byte) { clear(b[8192 : 3<<20]) }), -2},
		{"zeros, without deals", true, make([]byte, size), -2},
		{"a replica", false, replica, 0},
		{"a replica, without deals", true, replica, 0},
		{"the beginning of a replica", false, with(func(b []byte) { copy(b, replica[:4096]) }), 0},
		{"a replica from some node on", false, with(func(b []byte) { copy(b[3<<20+32:], replica[3<<20+32:]) }), 3<<20 + 32},
		{"the last page", false, with(func(b []byte) { copy(b[size-32:], replica) }), size - 32},
		{"a few bytes", false, []byte("precious"), 0},
		{"too long", false, append(bytes.Clone(copied), 0), -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			s := seal.Sector{Proof: porep.StackedDrg8MiBV1_1, CacheDir: filepath.Join(dir, "cache"),
				Staged: filepath.Join(dir, "staged"), Sealed: filepath.Join(dir, "sealed")}
			err := errors.Join(os.Mkdir(s.CacheDir, 0o777), os.WriteFile(s.Staged, data, 0o666), os.WriteFile(s.Sealed, tt.sealed, 0o666),
				os.WriteFile(filepath.Join(s.CacheDir, "p_aux"), nil, 0o666), os.WriteFile(filepath.Join(s.CacheDir, "sc-02-data-layer-1.dat"), nil, 0o666))
			if err != nil {
				t.Fatal(err)
			}
			if tt.zero {
				s.Staged = seal.DevZero
			}
			err = s.CheckSealed(t.Context())
			if tt.offset == -2 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			checkError(t, err, new(*seal.ReplicaError), []string{s.Sealed, s.CacheDir, "p_aux"})
			if found := (*seal.ReplicaError)(nil); errors.As(err, &found) && (found.Offset != tt.offset || len(found.Phase2) != 1) {
				t.Errorf("%+v, want the offset %d and p_aux alone", found, tt.offset)
			}
		})
	}
}
