package engine_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

// troubled has operations of a kind on a layer's file fail, so many times; below zero always.
type troubled struct {
	kind  durable.Kind
	layer int
	err   error

	// published, if not nil, is closed when layer 1 has its name: no operation fails before that.
	published chan struct{}

	mu    sync.Mutex
	times int
	seen  int
}

func (f *troubled) Before(op *durable.Op) error {
	if op.Kind != f.kind || filepath.Base(op.Path) != fmt.Sprintf("sc-02-data-layer-%d.dat", f.layer) {
		return nil
	}
	if f.published != nil {
		<-f.published
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen++; f.times == 0 {
		return nil
	}
	f.times--
	return f.err
}

func (f *troubled) After(op *durable.Op) error {
	if f.published != nil && op.Kind == durable.OpPublish && filepath.Base(op.Path) == layers.Name(1) {
		close(f.published)
	}
	return nil
}

// TestPauses: a job that finds no room waits, says so, and goes on to the files that it makes
// otherwise; in both memory modes, in one lane and in several.
func TestPauses(t *testing.T) {
	const proof = porep.StackedDrg2KiBV1_1
	want := sectors(t, 2)
	if _, err := engine.Run(t.Context(), engine.Config{Proof: proof, Sectors: want}); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []engine.MemoryMode{engine.TwoLayers, engine.OneLayer} {
		for _, fault := range []*troubled{
			{kind: durable.OpWrite, layer: 1, err: syscall.ENOSPC, times: 2},
			{kind: durable.OpWrite, layer: 2, err: syscall.EDQUOT, times: 1},
			{kind: durable.OpWrite, layer: 2, err: syscall.EIO, times: 1},
			{kind: durable.OpReserve, layer: 2, err: syscall.ENOSPC, times: 1},
			{kind: durable.OpPublish, layer: 1, err: syscall.ENOSPC, times: 1},
		} {
			for lanes := 1; lanes <= 2; lanes++ {
				f := &troubled{kind: fault.kind, layer: fault.layer, err: fault.err, times: fault.times}
				var told []error
				c := engine.Config{Proof: proof, Sectors: sectors(t, lanes), Hashers: 1, MemoryMode: mode, Progress: new(engine.Progress), Patience: time.Hour}
				c.Paused = func(err error) {
					told = append(told, err)
				}
				if _, err := engine.Run(durable.WithInjector(t.Context(), f), c); err != nil {
					t.Errorf("%v, %s of layer %d, %v: %v", mode, f.kind, f.layer, f.err, err)
					continue
				}
				if diff := cmp.Diff(digests(t, proof, want[:lanes]), digests(t, proof, c.Sectors)); diff != "" {
					t.Errorf("%v, %s of layer %d, %v: other files:\n%s", mode, f.kind, f.layer, f.err, diff)
				}
				if len(told) < 2 || !errors.Is(told[0], fault.err) || told[len(told)-1] != nil || c.Progress.Paused() != nil {
					t.Errorf("%v, %s of layer %d, %v: told %v", mode, f.kind, f.layer, f.err, told)
				}
			}
		}
	}
}

// TestPauseEnds: when no room comes, what ends the sector says what there was no room for; what was
// finished stays, and the other sector of the batch goes on.
func TestPauseEnds(t *testing.T) {
	whole := oneSector(t.TempDir())
	if _, err := engine.Run(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		fault    *troubled
		patience time.Duration
		kind     error
		attempts int // at least
	}{
		{"at once", &troubled{kind: durable.OpWrite, layer: 2, err: syscall.ENOSPC, times: -1}, 0, engine.ErrNoSpace, 1},
		{"after a while", &troubled{kind: durable.OpWrite, layer: 2, err: syscall.EDQUOT, times: -1}, time.Millisecond, engine.ErrNoSpace, 2},
		{"a failing disk", &troubled{kind: durable.OpWrite, layer: 2, err: syscall.EIO, times: -1}, time.Millisecond, engine.ErrHardwareSuspect, 2},
		{"a limit of file sizes", &troubled{kind: durable.OpWrite, layer: 2, err: syscall.EFBIG, times: -1}, time.Hour, engine.ErrNoSpace, 1},
		{"a sync", &troubled{kind: durable.OpSync, layer: 2, err: syscall.EIO, times: 1}, time.Hour, engine.ErrHardwareSuspect, 1},
		{"a sync without room", &troubled{kind: durable.OpSync, layer: 2, err: syscall.ENOSPC, times: 1}, time.Hour, engine.ErrNoSpace, 1},
		{"canceled", &troubled{kind: durable.OpWrite, layer: 2, err: syscall.ENOSPC, times: -1}, time.Hour, engine.ErrNoSpace, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			// Layer 1 is not only written, but there when something of layer 2 fails: nobody else waits for that.
			tt.fault.published = make(chan struct{})
			c := oneSector(t.TempDir())
			c.Patience, c.CheckpointEvery = tt.patience, -1
			c.Paused = func(error) {
				if tt.name == "canceled" {
					cancel()
				}
			}
			_, err := engine.Run(durable.WithInjector(ctx, tt.fault), c)
			if !errors.Is(err, tt.kind) || !errors.Is(err, tt.fault.err) {
				t.Errorf("%v, want %v", err, tt.kind)
			}
			if !strings.Contains(fmt.Sprint(err), "sc-02-data-layer-2.dat") {
				t.Errorf("%v: the path is not in it", err)
			}
			if tt.fault.kind == durable.OpSync && tt.fault.seen != 1 || tt.fault.seen < tt.attempts {
				t.Errorf("%d attempts", tt.fault.seen)
			}
			got := fileNames(t, c.Sectors[0].CacheDir)
			if want := digests(t, c.Proof, whole.Sectors)[0]; len(got) != 1 || testkit.Digest(t, layers.Path(c.Sectors[0].CacheDir, 1)) != want {
				t.Errorf("left %q, want layer 1", got)
			}
			if _, err := engine.Run(t.Context(), c); err != nil {
				t.Errorf("and again: %v", err)
			} else if diff := cmp.Diff(digests(t, c.Proof, whole.Sectors), digests(t, c.Proof, c.Sectors)); diff != "" {
				t.Errorf("and again: other layers:\n%s", diff)
			}
		})
	}
}
