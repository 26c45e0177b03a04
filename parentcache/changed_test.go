package parentcache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

const changing = porep.StackedDrg8MiBV1_1

// openChanging opens a cache and, for writing, its file.
func openChanging(t *testing.T) (*Cache, *os.File) {
	t.Helper()
	c, err := Open(t.Context(), changing, makeCache(t, changing))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	f, err := os.OpenFile(c.Path(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return c, f
}

// checkParents fails unless c has what the graph has.
func checkParents(t *testing.T, c *Cache, first, n uint64) {
	t.Helper()
	g, err := graph.New(changing)
	if err != nil {
		t.Fatal(err)
	}
	got, want := make([]uint32, n*porep.Degree), make([]uint32, n*porep.Degree)
	if err := errors.Join(c.Parents(got, first), g.Parents(want, first)); err != nil {
		t.Error(err)
	} else if !slices.Equal(got, want) {
		t.Errorf("%d nodes from %d on differ from the graph's", n, first)
	}
}

// TestChangedWhileMapped: whatever is done to the file while it is mapped, nobody gets
// other parents than those that were verified.
func TestChangedWhileMapped(t *testing.T) {
	c, f := openChanging(t)
	write := func(b []byte, off int64) {
		t.Helper()
		if _, err := f.WriteAt(b, off); err != nil {
			t.Fatal(err)
		}
	}
	good, err := os.ReadFile(c.Path())
	if err != nil {
		t.Fatal(err)
	}
	truncate := func(size int64) {
		t.Helper()
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
	}
	changes := []struct {
		name   string
		change func(off int64) // of the byte at off, and more in its page or behind
		want   string
	}{
		{"byte", func(off int64) { write([]byte{good[off] ^ 4}, off) }, "CRC-32C is "},
		{"page", func(off int64) {
			page := slices.Clone(good[(off&^4095+1<<20)%(12<<20):][:4096])
			page[off%4096] = good[off] ^ 1
			write(page, off&^4095)
		}, "CRC-32C is "},
		{"cut in a page", func(off int64) { truncate(off) }, "cut short: unexpected EOF"},
		{"cut at a page", func(off int64) { truncate(off &^ 4095) }, "cut short: unexpected EOF"},
		{"cut, and long again", func(off int64) {
			truncate(off)
			truncate(int64(len(good)))
			write([]byte{good[off] ^ 1}, off)
		}, "CRC-32C is "},
	}
	for _, ch := range changes {
		t.Run(ch.name, func(t *testing.T) {
			for i := range uint64(testkit.Rounds(5, 20)) {
				node := 200 + i*10_007
				off := int64(node*rowSize + i)
				ch.change(off)
				for _, span := range []struct{ first, nodes uint64 }{
					{node, 1},
					{node / sumNodes * sumNodes, sumNodes},
					{node - 200, 1000},
				} {
					err := c.Parents(make([]uint32, span.nodes*porep.Degree), span.first)
					var e *ReadError
					if !errors.As(err, &e) || e.Path != c.Path() || e.First > node || span.nodes < 1000 && e.First+e.Nodes <= node {
						t.Fatalf("node %d changed, %d nodes read from %d on: error %v, want a ReadError with the node", node, span.nodes, span.first, err)
					}
					prefix := fmt.Sprintf("parentcache: reading %s: nodes %d to %d: ", c.Path(), e.First, e.First+e.Nodes-1)
					if text := err.Error(); !strings.Contains(text, ch.want) || !strings.HasPrefix(text, prefix) {
						t.Errorf("error %v, want %s… %s", err, prefix, ch.want)
					}
				}
				if i == 0 {
					var e *ReadError
					if _, err := c.Copy(t.Context(), hugepages.Options{}); !errors.As(err, &e) {
						t.Errorf("copying: error %v, want a ReadError", err)
					}
				}
				if page := off &^ 4095; strings.HasPrefix(ch.name, "cut") {
					write(good[page:], page)
				} else {
					write(good[page:][:4096], page)
				}
				checkParents(t, c, node-200, 1000)
			}
		})
	}
}

// TestChangedAfterVerification: the checksums are of the bytes that were verified, not of
// what is there when the file is mapped.
func TestChangedAfterVerification(t *testing.T) {
	for _, p := range []porep.SealProof{small, unpublished} {
		for _, step := range []Step{StepVerify, StepGenerate} {
			dir := t.TempDir()
			if step == StepVerify {
				dir = makeCache(t, p)
			}
			path := filepath.Join(dir, name(p))
			c, err := Ensure(t.Context(), p, dir, func(e Event) {
				if e.Step != step {
					return
				}
				for _, file := range []string{path, filepath.Join(filepath.Dir(path), durable.TempName(filepath.Base(path)))} {
					if f, err := os.OpenFile(file, os.O_WRONLY, 0); err == nil {
						if _, err := f.WriteAt([]byte{99}, 17*rowSize); err != nil {
							t.Error(err)
						}
						f.Close()
					}
				}
			})
			if err != nil {
				// What has just been written is read back, and compared with the graph if no
				// digest is published.
				if step != StepGenerate || !errors.As(err, new(*CorruptError)) && !errors.As(err, new(*durable.ChangedError)) {
					t.Errorf("%v changed in step %v: error %v", p, step, err)
				}
				continue
			}
			var e *ReadError
			if err := c.Parents(make([]uint32, porep.Degree), 17); !errors.As(err, &e) || e.First != 0 || e.Nodes != 64 {
				t.Errorf("%v changed in step %v: error %v, want a ReadError", p, step, err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestReadAgain: what is wrong in memory alone comes from the disk.
func TestReadAgain(t *testing.T) {
	c, _ := openChanging(t)
	mapped := c.data
	c.data = slices.Clone(mapped)
	defer func() { c.data = mapped }()
	for _, node := range []uint64{0, 127, 128, 5000, c.Nodes() - 1} {
		c.data[node*rowSize+3] ^= 1
		checkParents(t, c, node, 1)
		checkParents(t, c, node/sumNodes*sumNodes, sumNodes)
	}
	checkParents(t, c, 0, c.Nodes())
}
