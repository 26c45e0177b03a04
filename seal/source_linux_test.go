package seal

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sdr-engine/sdr/internal/durable"
)

// TestHolesAreNotReadAhead: what is asked for ahead is all data of the file, each byte once, and no
// hole, which would fill memory with zeros.
func TestHolesAreNotReadAhead(t *testing.T) {
	const large = 64 << 20
	f, err := os.Create(filepath.Join(t.TempDir(), "piece"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(large); err != nil {
		t.Fatal(err)
	}
	var data [1 << 20]byte
	data[0] = 1
	offsets := []int64{0, 3 << 20, 41 << 20, large - int64(len(data))} // of the data
	for _, off := range offsets {
		if _, err := f.WriteAt(data[:], off); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil { // some file systems know of holes when they have given blocks
		t.Fatal(err)
	}
	holes := durable.HolesOf(f)
	defer holes.Close()
	if !holes.Has(8<<20, 1<<20) {
		t.Skip("this file system has no holes, or does not tell where")
	}
	const start = 4096
	block := int64(pieceBlock.Unpadded())
	for _, known := range []bool{true, false} {
		s := &fileSource{f: f, start: start, size: large - start, block: block}
		if known {
			s.holes = holes
		}
		next, sum := int64(start), int64(0)
		for done := int64(0); done < s.size; done += block {
			s.toAhead(done, func(off, n int64) {
				if off < next || n <= 0 || off+n > large {
					t.Errorf("known %v: %d bytes at %d, behind %d", known, n, off, next)
				}
				next = off + n
				sum += n
			})
			if s.ahead < min(s.size, done+block) {
				t.Errorf("known %v: at %d only what is before %d was asked for", known, done, s.ahead)
			}
		}
		want := int64(len(offsets)*len(data)) - start
		if !known {
			want = s.size
		}
		if sum != want {
			t.Errorf("known %v: %d bytes asked for, want %d", known, sum, want)
		}
	}
}
