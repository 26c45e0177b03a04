package errorfs_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/errorfs"
)

// TestReader: blocks are read back as they were written, or it is an error; what is wrong
// once only is read again.
func TestReader(t *testing.T) {
	for _, again := range []bool{false, true} {
		i := &errorfs.Injector{At: -1, Fault: errorfs.Change, Again: again}
		f, err := durable.Create(i.With(t.Context()), filepath.Join(t.TempDir(), "data"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Abort()
		const block = 4096
		content := make([]byte, 8*block)
		rand.NewChaCha8([32]byte{2}).Read(content)
		if err := f.ReserveBlocks(int64(len(content)), block); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(content, 0); err != nil {
			t.Fatal(err)
		}
		r, err := f.Reader()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		got := make([]byte, 2*block)
		i.At = i.Operations()
		err = r.ReadBack(durable.Behind, got, block)
		if again != errors.As(err, new(*durable.ChangedError)) || !again && !bytes.Equal(got, content[block:3*block]) {
			t.Errorf("a bit is wrong always %v: error %v", again, err)
		}
		for _, off := range []int64{1, block / 2, 7 * block, 8 * block} {
			if err := r.ReadBack(durable.Behind, got, off); err == nil {
				t.Errorf("2 blocks at %d of 8 were read back", off)
			}
		}
	}
}
