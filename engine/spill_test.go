package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	kernels "github.com/sdr-engine/sdr/sha256"
)

// TestScratchBits: of bits that flip in what is read back from scratch files, far parents and the index of
// them, none is in a label: it is found before it is used, and the layers are the same.
func TestScratchBits(t *testing.T) {
	want := oneSector(t.TempDir())
	if _, err := engine.Run(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(17, 101))
	flipped := 0
	for range 8 {
		c := oneSector(t.TempDir())
		c.MemoryMode = engine.OneLayer
		c.Progress = new(engine.Progress)
		skip := r.IntN(40)
		bit, done := r.Uint32(), false
		var mu sync.Mutex // reads come from several goroutines
		ctx := durable.WithInjector(t.Context(), afterOps(func(op *durable.Op) {
			mu.Lock()
			defer mu.Unlock()
			if op.Kind != durable.OpRead || !strings.Contains(op.Path, "scratch") || len(op.Buf) == 0 {
				return
			}
			if skip--; skip < 0 { // from then on, or it would be read right when it is read once more
				at := int(bit) % (8 * len(op.Buf))
				op.Buf[at/8] ^= 1 << (at % 8)
				done = true
			}
		}))
		if _, err := engine.Run(ctx, c); err != nil {
			t.Fatal(err)
		}
		if done {
			flipped++
		}
		if slowed := c.Progress.Slowed(); (slowed != nil) != done {
			t.Errorf("bit %d, flipped %v: %v", bit, done, slowed)
		}
		if diff := cmp.Diff(digests(t, want.Proof, want.Sectors), digests(t, c.Proof, c.Sectors)); diff != "" {
			t.Errorf("bit %d, flipped %v: other layers:\n%s", bit, done, diff)
		}
	}
	if flipped == 0 {
		t.Error("no scratch file was read")
	}
}

// afterOps sees each operation of a job that went well.
type afterOps func(op *durable.Op)

func (afterOps) Before(*durable.Op) error     { return nil }
func (f afterOps) After(op *durable.Op) error { f(op); return nil }

var errSpill = errors.New("no space today")

// TestSpillFails: whatever fails of the file for far parents, and whenever, the layers
// are the same. As long as nothing does, and however slow it is, it is used for every
// segment that has far parents, and no more once it has failed.
func TestSpillFails(t *testing.T) {
	t.Parallel()
	const count, far = 4, engine.Segments - engine.SegmentsKept
	want := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: sectors(t, 3), Kernel: "generic/1", Hashers: 1}
	hooks := engine.Hooks{Layers: count}
	if _, err := hooks.Run(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	tested := []*kernels.Kernel{kernels.Best(1)}
	for _, lanes := range []int{4, 2} {
		if k := kernels.Best(lanes); k != nil {
			tested = append(tested, k)
			break
		}
	}
	for _, k := range tested {
		kernel, batches := k.Name, (3+k.Lanes-1)/k.Lanes
		for _, tt := range []struct {
			operation string
			from      uint64 // the segment
			reads     int    // that are tried, in a batch; -1: it depends
		}{
			{"none", 0, count * far},
			{"slow", 0, count * far},
			{"index", 0, 0},
			{"open", 0, 0},
			{"write", 0, 0},
			{"write", 5, -1},
			{"write", 31, -1},
			{"write", engine.Segments + 2, -1},
			{"read", 4, 1},
			{"read", 9, 6},
			{"read", engine.Segments + engine.SegmentsKept, far + 1},
		} {
			c := want
			c.Sectors, c.Kernel, c.MemoryMode = sectors(t, 3), kernel, engine.OneLayer
			var mu sync.Mutex
			var reads []uint64
			hooks.Spill = func(operation string, segment uint64) error {
				mu.Lock()
				defer mu.Unlock()
				if operation == "read" {
					reads = append(reads, segment)
				}
				if tt.operation == "slow" && operation == "write" && segment%7 == 2 {
					time.Sleep(200 * time.Microsecond)
				}
				if operation == tt.operation && segment >= tt.from {
					return fmt.Errorf("segment %d: %w", segment, errSpill)
				}
				return nil
			}
			c.Progress = new(engine.Progress)
			if _, err := hooks.Run(t.Context(), c); err != nil {
				t.Fatalf("%s, %+v: %v", kernel, tt, err)
			}
			fails := tt.operation != "none" && tt.operation != "slow"
			if slowed := c.Progress.Slowed(); errors.Is(slowed, errSpill) != fails || (slowed != nil) != fails {
				t.Errorf("%s, %+v: what is said to have slowed it: %v", kernel, tt, slowed)
			}
			for i, s := range c.Sectors {
				for layer := 1; layer <= count; layer++ {
					a, b := testkit.Digest(t, layers.Path(want.Sectors[i].CacheDir, layer)), testkit.Digest(t, layers.Path(s.CacheDir, layer))
					if a != b {
						t.Errorf("%s, %+v: layer %d of sector %d differs", kernel, tt, layer, i)
					}
				}
				if left := fileNames(t, s.CacheDir); len(left) != count {
					t.Errorf("%s, %+v: left %q", kernel, tt, left)
				}
			}
			if tt.reads >= 0 && len(reads) != batches*tt.reads {
				t.Errorf("%s, %+v: segments %v were read, want %d of %d batches each", kernel, tt, reads, tt.reads, batches)
			}
			if tt.operation == "write" && slices.ContainsFunc(reads, func(n uint64) bool { return n >= tt.from+engine.SegmentsKept }) {
				t.Errorf("%s, %+v: segments %v were read", kernel, tt, reads)
			}
		}
	}
}
