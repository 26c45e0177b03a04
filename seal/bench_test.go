package seal_test

import (
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// A piece of 512 MiB that is in the page cache: its commitment alone, into a staged file that
// is not waited for, and into one that is.
func BenchmarkPiece(b *testing.B) {
	const proof = porep.StackedDrg512MiBV1_1
	size := porep.PaddedSize(512 << 20).Unpadded()
	dir := b.TempDir()
	piece := filepath.Join(dir, "piece")
	f := must(os.Create(piece))
	defer f.Close()
	if _, err := io.Copy(f, io.LimitReader(rand.NewChaCha8([32]byte{}), int64(size))); err != nil {
		b.Fatal(err)
	}
	staged := filepath.Join(dir, "staged")
	for name, do := range map[string]func(io.Reader) error{
		"commp": func(r io.Reader) error {
			_, err := seal.CommP(b.Context(), r, size)
			return err
		},
		"add": func(r io.Reader) error {
			f := must(os.Create(staged))
			defer f.Close()
			_, err := seal.AddPiece(b.Context(), proof, r, size, f, nil)
			return err
		},
		"append": func(r io.Reader) error {
			_, err := seal.AppendPiece(b.Context(), seal.Append{Proof: proof, Staged: staged}, r, size)
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(size.Padded()))
			for b.Loop() {
				b.StopTimer()
				if err := os.Remove(staged); err != nil && !os.IsNotExist(err) {
					b.Fatal(err)
				}
				must(f.Seek(0, io.SeekStart))
				b.StartTimer()
				if err := do(f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Tree-d of 512 MiB whose staged file is in the page cache: written, synced and read back.
func BenchmarkTreeD(b *testing.B) {
	dir := b.TempDir()
	staged := filepath.Join(dir, "staged")
	f := must(os.Create(staged))
	defer f.Close()
	if _, err := io.Copy(f, io.LimitReader(testSource(), 512<<20)); err != nil {
		b.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(512 << 20)
	for b.Loop() {
		must(seal.BuildTreeD(b.Context(), porep.StackedDrg512MiBV1_1, staged, dir))
	}
}

func testSource() io.Reader { return rand.NewChaCha8([32]byte{}) }
