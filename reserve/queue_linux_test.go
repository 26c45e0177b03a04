package reserve_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/reserve"
)

// Who asked first for a turn is served first, whatever the order in which they wait; who
// gives up is passed over.
func TestQueue(t *testing.T) {
	const rounds, jobs = 50, 5
	for range rounds {
		dir := t.TempDir()
		d := open(t, dir, "/")
		var turns []*reserve.Turn
		for i := range jobs {
			turn, err := d.Queue(t.Context(), fmt.Sprint(i), "")
			if err != nil {
				t.Fatal(err)
			}
			turns = append(turns, turn)
		}
		waiting, err := d.Waiting(t.Context())
		if err != nil || len(waiting) != jobs || waiting[2].Job != "2" || waiting[2].PID != os.Getpid() {
			t.Fatalf("%v waiting, %v", waiting, err)
		}
		ctx, giveUp := context.WithCancel(t.Context())
		defer giveUp()
		served := make(chan int, jobs)
		failed := make(chan error, jobs)
		for i := range jobs {
			go func() {
				ctx := ctx
				if i != 3 {
					ctx = t.Context()
				}
				err := turns[i].Wait(ctx, nil)
				if err == nil {
					served <- i
				}
				turns[i].Leave()
				failed <- err
			}()
			if i == 3 {
				giveUp()
			}
		}
		var errs []error
		for range jobs {
			errs = append(errs, <-failed)
		}
		close(served)
		var order []int
		for i := range served {
			order = append(order, i)
		}
		// The third may have given up before its turn came, or have had it.
		if !slices.IsSorted(order) || len(order) < jobs-1 || len(order) < jobs && !errors.Is(errors.Join(errs...), context.Canceled) {
			t.Fatalf("served in the order %v, %v", order, errs)
		}
		if left, err := filepath.Glob(filepath.Join(dir, "turn-*")); err != nil || len(left) > 0 {
			t.Fatalf("left: %v, %v", left, err)
		}
	}
}

// A turn that a crash left behind holds nobody up, and goes.
func TestStaleTurn(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, "/")
	stale := filepath.Join(dir, "turn-41.lock")
	if err := os.WriteFile(stale, []byte(`{"job":"gone","pid":1}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if waiting, err := d.Waiting(t.Context()); err != nil || len(waiting) != 0 {
		t.Errorf("%v, %v: a turn that nobody has", waiting, err)
	}
	turn, err := d.Queue(t.Context(), "next", "")
	if err != nil {
		t.Fatal(err)
	}
	defer turn.Leave()
	if err := turn.Wait(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "turn-*")); !slices.Equal(names, []string{filepath.Join(dir, "turn-42.lock")}) {
		t.Errorf("%v", names)
	}
	// Turns are no cores.
	if held, err := d.Held(t.Context()); err != nil || len(held) != 0 {
		t.Errorf("%v, %v", held, err)
	}
}

// Who looks while others come and leave never fails: Linux finds a file by its name and tells,
// if the name goes in that moment, of one without names.
func TestTurnsLeaveMeanwhile(t *testing.T) {
	turns := testkit.Rounds(500, 5000)
	d := open(t, t.TempDir(), "/")
	left := make(chan error, 1)
	go func() {
		for range turns {
			turn, err := d.Queue(t.Context(), "short", "")
			if err != nil {
				left <- err
				return
			}
			turn.Leave()
		}
		left <- nil
	}()
	for {
		select {
		case err := <-left:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
		if waiting, err := d.Waiting(t.Context()); err != nil || len(waiting) > 1 {
			t.Fatalf("%v, %v", waiting, err)
		}
	}
}
