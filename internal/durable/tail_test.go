package durable

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/sdr-engine/sdr/internal/failure"
)

// TestTail: what is written in any order, by several goroutines, is in the file after Finish, which
// stands behind it; the rest of many windows is a hole.
func TestTail(t *testing.T) {
	const before, windows = 100, 40
	f, err := os.Create(filepath.Join(t.TempDir(), "staged"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(string(make([]byte, before))); err != nil {
		t.Fatal(err)
	}
	end := int64(before + windows*behindWindow)
	tail := TailOf(t.Context(), f, before, end, before, true)
	part := bytes.Repeat([]byte{5}, 1000)
	errs := make(chan error)
	for i := range int64(windows) {
		go func() {
			from := before + (windows-1-i)*behindWindow
			err := tail.WriteAt(part, from)
			if !tail.Zeros(from+int64(len(part)), behindWindow-int64(len(part))) {
				t.Errorf("zeros at %d have to be written", from)
			}
			errs <- err
		}()
	}
	for range windows {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if err := tail.Finish(); err != nil {
		t.Fatal(err)
	}
	if n := len(tail.places); n != 0 {
		t.Errorf("windows still on their way: %d", n)
	}
	if at, err := f.Seek(0, 1); err != nil || at != end {
		t.Errorf("the file stands at %d, %v, want %d", at, err, end)
	}
	if info, err := f.Stat(); err != nil || info.Size() != end {
		t.Errorf("the file has %v bytes, %v, want %d", info.Size(), err, end)
	}
	got := make([]byte, len(part)+1)
	for i := range int64(windows) {
		if _, err := f.ReadAt(got[:len(part)], before+i*behindWindow); err != nil || !bytes.Equal(got[:len(part)], part) {
			t.Errorf("window %d: %v, or other bytes", i, err)
		}
	}
}

// TestTailNotToDisk: what the disk refuses while a long part is written is Finish's error, also where
// nobody syncs, and where the way there cannot be begun early it is none.
func TestTailNotToDisk(t *testing.T) {
	defer func(before func(*os.File, int64, int64) error) { startWriteback = before }(startWriteback)
	for _, tt := range []struct{ says, want error }{
		{syscall.EIO, failure.ErrHardwareSuspect},
		{fmt.Errorf("no way: %w", errors.ErrUnsupported), nil},
	} {
		calls := 0
		startWriteback = func(_ *os.File, off, _ int64) error {
			if calls++; off == 3*behindWindow {
				return tt.says
			}
			return nil
		}
		f, err := os.Create(filepath.Join(t.TempDir(), "staged"))
		if err != nil {
			t.Fatal(err)
		}
		tail := TailOf(t.Context(), f, 0, keptTail+behindWindow, 0, false)
		for i := range int64(8) { // all of it holes
			if !tail.Zeros(i*behindWindow, behindWindow) {
				t.Fatal("no hole")
			}
			tail.behind.Wait() // in this order
		}
		err = tail.Finish()
		if !errors.Is(err, tt.want) || tt.want != nil && (calls != 4 || !errors.Is(err, syscall.EIO)) || tt.want == nil && calls != 8 {
			t.Errorf("%v: %v after %d calls", tt.says, err, calls)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
