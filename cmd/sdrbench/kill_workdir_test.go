//go:build unix

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/internal/testkit"
)

// TestKilledWorkDir: pc1 with --work-dir is killed at random moments, and each time its host empties the
// cache dir, and sealed, before it calls again: it goes on from the work dir, the files are the
// reference's, and nothing is left there. At most 5 seconds of labels are made again.
func TestKilledWorkDir(t *testing.T) {
	testkit.NeedsLong(t, "some sectors of 8 MiB")
	r, _ := testkit.Seeded(t)
	longest, gone := time.Second, 0
	for round := range 6 {
		work := t.TempDir()
		mode := []string{"two-layers", "one-layer"}[round%2]
		k := newKilled(t, "zero-8MiB-1.1", "--memory-mode", mode, "--checkpoint-every", "20ms", "--work-dir", work)
		began := time.Now()
		for done := false; !done; {
			var due <-chan time.Time
			if round > 0 && k.kills < 5 {
				due = time.After(time.Duration(r.Int64N(int64(longest))))
			}
			if done, _ = k.run(t, due, syscall.SIGKILL); done {
				break
			}
			if m, err := manifest.Read(t.Context(), work); err == nil && len(m.Layers)+len(m.Parts) > 0 {
				gone++
			}
			wipeCache(t, k)
		}
		if round == 0 {
			longest = time.Since(began)
		}
		k.check(t)
		if left, err := os.ReadDir(work); err != nil || len(left) > 0 {
			t.Errorf("%s: the work dir has %v, %v", mode, left, err)
		}
		if k.worst > 5 {
			t.Errorf("%s: %.2f s of labels were made again, want 5 at most", mode, k.worst)
		}
		t.Logf("%s: %d kills, %d labels made again, after one kill at most %.2f s of them", mode, k.kills, k.again, k.worst)
	}
	t.Logf("after %d kills there was something in the work dir", gone)
}

// wipeCache does what hosts do before they call phase 1 again.
func wipeCache(t *testing.T, k *killed) {
	t.Helper()
	names, err := namesIn(k.cacheDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := os.Remove(filepath.Join(k.cacheDir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(k.sealed, 0); err != nil {
		t.Fatal(err)
	}
}
