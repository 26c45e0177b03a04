package seal_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// TestZeroSectors: however the zeros of a sector without pieces are kept, its files are the
// reference's, and those that need no block of the disk take none.
func TestZeroSectors(t *testing.T) {
	for _, g := range golden.ZeroSectors() {
		if g.SectorSize > 2<<10 && !testkit.Long() {
			continue
		}
		for name, make := range map[string]func(path string, size int64) error{
			"a hole": func(path string, size int64) error {
				return os.Truncate(path, size)
			},
			"empty": func(path string, _ int64) error { return nil },
			"stored": func(path string, size int64) error {
				return os.WriteFile(path, bytes.Repeat([]byte{0}, int(size)), 0o666)
			},
			"a piece": func(path string, size int64) error {
				_, err := seal.WriteStaged(t.Context(), must(porep.ParseSealProof(g.RegisteredProof)), path, nil)
				return err
			},
		} {
			t.Run(g.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				s := newSector(t, g)
				s.Staged = filepath.Join(filepath.Dir(s.CacheDir), "staged")
				if err := os.WriteFile(s.Staged, nil, 0o666); err != nil {
					t.Fatal(err)
				}
				if err := make(s.Staged, int64(g.SectorSize)); err != nil {
					t.Fatal(err)
				}
				check(t, g, s, seal.Options{})
				if name == "stored" || runtime.GOOS != "linux" {
					return
				}
				for _, path := range []string{s.Staged, s.Sealed} {
					if n := linux.Allocated(must(os.Stat(path))); n > 0 {
						t.Errorf("%s takes %d bytes of the disk", filepath.Base(path), n)
					}
				}
			})
		}
	}
}

// littleReader returns a few bytes at a time.
type littleReader struct {
	r   io.Reader
	rnd *rand.Rand
}

func (l littleReader) Read(b []byte) (int, error) {
	return l.r.Read(b[:min(len(b), 1+l.rnd.IntN(40000))])
}

// TestZerosAnywhere: a piece with zeros anywhere, kept as holes or stored, from a file or a
// stream that yields little, behind another or not, is padded and committed to as one that is
// taken as it comes.
func TestZerosAnywhere(t *testing.T) {
	const proof = porep.StackedDrg8MiBV1_1
	rnd := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	for range 4 {
		size := porep.PaddedSize(2<<20) << rnd.IntN(2)
		data := make([]byte, size.Unpadded())
		sparse := must(os.Create(filepath.Join(dir, "piece")))
		if err := sparse.Truncate(int64(len(data))); err != nil {
			t.Fatal(err)
		}
		for range 1 + rnd.IntN(4) {
			from := rnd.IntN(len(data))
			part := data[from:min(len(data), from+1+rnd.IntN(300<<10))]
			for i := range part {
				part[i] = byte(rnd.Uint32())
			}
			must(sparse.WriteAt(part, int64(from)))
		}
		before := []porep.UnpaddedSize{2080768}
		var want []byte
		var commP porep.Commitment
		for i, source := range []io.Reader{bytes.NewReader(data), sparse, littleReader{bytes.NewReader(data), rnd}} {
			for _, to := range []string{"stream", "file", "overwritten"} {
				var got []byte
				var added seal.AddedPiece
				var err error
				switch to {
				case "stream":
					var b bytes.Buffer
					added, err = seal.AddPiece(t.Context(), proof, source, size.Unpadded(), &b, before)
					got = b.Bytes()
				default:
					f := must(os.Create(filepath.Join(dir, "staged")))
					if to == "overwritten" {
						must(f.Write(bytes.Repeat([]byte{7}, 7<<20)))
						must(f.Seek(0, io.SeekStart))
					}
					added, err = seal.AddPiece(t.Context(), proof, source, size.Unpadded(), f, before)
					end := must(f.Seek(0, io.SeekCurrent))
					got = must(os.ReadFile(f.Name()))[:end]
					f.Close()
				}
				if err != nil {
					t.Fatal(err)
				}
				if want == nil {
					want, commP = got, added.CommP
				}
				if !bytes.Equal(got, want) || added.CommP != commP {
					t.Errorf("source %d to %s: other bytes, or comm_p %v, want %v", i, to, added.CommP, commP)
				}
				switch r := source.(type) {
				case io.Seeker:
					must(r.Seek(0, io.SeekStart))
				case littleReader:
					must(r.r.(io.Seeker).Seek(0, io.SeekStart))
				}
			}
		}
		sparse.Close()
		// The commitment of what was written is another way to the same value.
		direct := must(seal.CommP(t.Context(), bytes.NewReader(data), size.Unpadded()))
		if direct.CommP != commP {
			t.Errorf("comm_p %v, added %v", direct.CommP, commP)
		}
	}
}
