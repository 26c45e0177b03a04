//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/seal"
)

func init() {
	// The command, which also writes to a file how many labels it has made, of how many, and how
	// many nanoseconds its hasher was at it: sdrbench-counted FILE ARGS...
	programs["sdrbench-counted"] = func() {
		os.Exit(inProcess(func(ctx context.Context, a *app) int {
			f, err := os.Create(os.Args[1])
			if err != nil {
				fmt.Fprintln(a.err, err)
				return exitUsage
			}
			stop := make(chan struct{})
			var ended sync.WaitGroup
			a.watch = func(p *seal.Progress) {
				ended.Go(func() {
					for last := false; ; {
						s := p.Labelling().Snapshot()
						c := counted{Done: s.Done, Total: s.Total}
						for _, h := range s.Hashers {
							c.Busy += uint64(h.Busy)
						}
						var b bytes.Buffer
						if c.Done > 0 && binary.Write(&b, binary.LittleEndian, c) == nil {
							_, _ = f.WriteAt(b.Bytes(), 0)
						}
						if last {
							return
						}
						select {
						case <-time.After(time.Millisecond):
						case <-stop:
							last = true
						}
					}
				})
			}
			status := a.run(ctx, os.Args[2:])
			close(stop)
			ended.Wait()
			return status
		}))
	}
}

// counted is what such a command writes, once it has made a label: what is left to make is then
// known.
type counted struct{ Done, Total, Busy uint64 }

// A killed sector is one whose pc1 is killed again and again.
type killed struct {
	s                golden.Sector
	cacheDir, sealed string
	args             []string
	left, made, busy uint64  // of the last run that made labels: how many there were to make, and it has made, in how many nanoseconds
	again            uint64  // labels made more than once
	worst            float64 // seconds of labels made again after one kill
	kills            int
}

// run runs pc1, and sends it a signal when that is due, unless it has ended. It reports whether
// it was done, and how long it took to end, once the signal was sent.
func (k *killed) run(t *testing.T, due <-chan time.Time, sig os.Signal) (done bool, took time.Duration) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "counted")
	cmd := exec.Command("sdrbench-counted", append([]string{file}, k.args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var err error
	select {
	case <-due:
		sent := time.Now()
		_ = cmd.Process.Signal(sig)
		err = <-ended
		took = time.Since(sent)
	case err = <-ended:
	}
	var c counted
	b, readErr := os.ReadFile(file)
	if readErr != nil && !errors.Is(readErr, fs.ErrNotExist) { // it may be killed before it has made the file
		t.Fatal(readErr)
	}
	if len(b) > 0 {
		if err := binary.Read(bytes.NewReader(b), binary.LittleEndian, &c); err != nil {
			t.Fatal(err)
		}
		if k.left > 0 {
			k.note(c.Total)
		}
		k.left, k.made, k.busy = c.Total, c.Done, c.Busy
	}
	if err == nil {
		want := strings.ReplaceAll(k.s.P1Output, "$CACHE", k.cacheDir) + "\n"
		if stdout.String() != want {
			t.Errorf("pc1 printed %s, want %s", &stdout, want)
		}
		return true, took
	}
	if sig == syscall.SIGKILL && cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled() || sig != syscall.SIGKILL && strings.HasSuffix(stderr.String(), "sdrbench: canceled\n") {
		k.kills++
		return false, took
	}
	t.Fatalf("%v: %s", err, &stderr)
	panic("unreachable")
}

// noted yields when the manifest in the cache dir has become another.
func (k *killed) noted(t *testing.T) <-chan time.Time {
	was, _ := os.ReadFile(manifest.Path(k.cacheDir))
	due := make(chan time.Time)
	go func() {
		for t.Context().Err() == nil {
			if is, err := os.ReadFile(manifest.Path(k.cacheDir)); err == nil && !bytes.Equal(is, was) {
				close(due)
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	return due
}

// note counts what the run before had made, and this one, which has so much left, makes again. The run may
// have made, and kept, more than it had counted when it was killed: then that is nothing.
func (k *killed) note(left uint64) {
	var again uint64
	if all := k.made + left; all > k.left {
		again = all - k.left
	}
	k.again += again
	if k.made > 0 && k.busy > 0 {
		k.worst = max(k.worst, float64(again)*float64(k.busy)/float64(k.made)/1e9)
	}
}

func newKilled(t *testing.T, name string, flags ...string) *killed {
	t.Helper()
	for _, s := range append(golden.Sectors(), golden.ZeroSectors()...) {
		if s.Name == name {
			cacheDir, _, sealed, sector := layOut(t, s)
			return &killed{s: s, cacheDir: cacheDir, sealed: sealed, args: append(append([]string{"pc1", "--policy", "none"}, flags...), sector...)}
		}
	}
	t.Fatalf("no golden sector %s", name)
	panic("unreachable")
}

// check compares all that is left with the reference.
func (k *killed) check(t *testing.T) {
	t.Helper()
	wantDigest(t, k.sealed, k.s.SealedSHA256)
	wantDigest(t, filepath.Join(k.cacheDir, "sc-02-data-tree-d.dat"), k.s.TreeDSHA256)
	wantLayers(t, k.cacheDir, k.s, "sc-02-data-tree-d.dat", manifest.Name)
	m, err := manifest.Read(t.Context(), k.cacheDir)
	if err != nil || len(m.Layers) != 2 || len(m.Parts) != 0 || m.ReplicaID.String() != k.s.ReplicaID {
		t.Errorf("manifest %+v, %v", m, err)
	}
}

// TestKilled: pc1 is killed at random moments, and run again until it is done: the files are the
// reference's, and after each kill at most 5 seconds of labels are made again, as many as its
// hasher makes in so long. SDR_KILL_SECTOR and SDR_KILL_ROUNDS have it do more: `make kill`.
func TestKilled(t *testing.T) {
	r, _ := testkit.Seeded(t)
	name, rounds := "zero-8MiB-1.1", 12
	if text := os.Getenv("SDR_KILL_ROUNDS"); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	} else {
		testkit.NeedsLong(t, "a dozen sectors of 8 MiB")
	}
	if text := os.Getenv("SDR_KILL_SECTOR"); text != "" {
		name = text
	}
	kills, sectors, worst := 0, 0, 0.0
	longest := time.Duration(0)
	for kills < rounds && !t.Failed() {
		// A test of its own, whose files go when it ends: all of them together would fill a disk.
		t.Run(fmt.Sprint("sector ", sectors), func(t *testing.T) {
			mode := []string{"two-layers", "one-layer"}[sectors%2]
			k := newKilled(t, name, "--memory-mode", mode, "--kernel", "auto")
			began := time.Now()
			for done := false; !done; {
				var due <-chan time.Time // the first one is not killed: how long does it take?
				if kills+k.kills < rounds && longest > 0 {
					due = time.After(time.Duration(r.Int64N(int64(longest))))
				}
				done, _ = k.run(t, due, syscall.SIGKILL)
			}
			if k.kills == 0 {
				longest = max(longest, time.Since(began))
			}
			k.check(t)
			kills, sectors, worst = kills+k.kills, sectors+1, max(worst, k.worst)
			t.Logf("%s: %d kills, %d labels made again, after one kill at most %.2f s of them", mode, k.kills, k.again, k.worst)
			if k.worst > 5 {
				t.Errorf("%s: %.2f s of labels were made again, want 5 at most", mode, k.worst)
			}
		})
	}
	t.Logf("%d kills of %d sectors: at most %.2f s of labels made again after one", kills, sectors, worst)
}

// TestCancelled: after each of the signals pc1 brings what is labelled to the disk and says that it
// is canceled; with --drain it has finished its layer. The next one goes on. How long it took is
// logged.
func TestCancelled(t *testing.T) {
	testkit.NeedsLong(t, "it labels slowly for seconds")
	hearHangup(t)
	k := newKilled(t, "zero-8MiB-1.1", "--kernel", "generic/1", "--memory-mode", "one-layer", "--checkpoint-every", "10ms")
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if done, took := k.run(t, k.noted(t), sig); !done {
			t.Logf("%v: it took %v", sig, took)
			if _, err := manifest.Read(t.Context(), k.cacheDir); err != nil {
				t.Error(err)
			}
		}
	}
	k.args = append(k.args, "--kernel", "auto") // what is left need not be slow
	if done, _ := k.run(t, nil, os.Interrupt); !done {
		t.Error("it is not done")
	}
	if k.worst > 5 {
		t.Errorf("%.2f s of labels were made again", k.worst)
	}
	k.check(t)
}
