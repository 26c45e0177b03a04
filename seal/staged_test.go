package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/porep"
)

// A watched disk notes what is done to staged and its record, and fails at one thing.
type watched struct {
	t     *testing.T
	did   []string
	fail  string
	named bool // the record has its name

	// records is asked when a record is begun, synced is told when staged is on the disk.
	records, synced func() error
}

var errDisk = errors.New("the disk is on fire")

func (w *watched) with(ctx context.Context) context.Context { return durable.WithInjector(ctx, w) }

func (w *watched) Before(op *durable.Op) error {
	isRecord := strings.HasSuffix(op.Path, ".pieces")
	switch {
	case op.Kind == durable.OpSync && !isRecord:
		return w.step(fmt.Sprint("data ", size(w.t, op.Path)))
	case op.Kind == durable.OpSyncDir && w.named: // of the record's name
		w.named = false
		return w.step("name record")
	case op.Kind == durable.OpSyncDir:
		return w.step("directory " + filepath.Base(op.Path))
	case op.Kind == durable.OpReserve:
		if w.records != nil {
			if err := w.records(); err != nil {
				return err
			}
		}
		return w.step("reserve record")
	case op.Kind == durable.OpWrite && isRecord:
		temp := filepath.Join(filepath.Dir(op.Path), durable.TempName(filepath.Base(op.Path)))
		if reserved := size(w.t, temp); reserved != int64(len(op.Buf)) {
			w.t.Errorf("a record of %d bytes, %d were reserved", len(op.Buf), reserved)
		}
		return w.step("write record")
	}
	return nil
}

func (w *watched) After(op *durable.Op) error {
	if op.Kind == durable.OpPublish {
		w.named = true
	}
	if op.Kind == durable.OpSync && !strings.HasSuffix(op.Path, ".pieces") && w.synced != nil {
		return w.synced()
	}
	return nil
}

func (w *watched) step(name string) error {
	w.did = append(w.did, name)
	if name == w.fail {
		return errDisk
	}
	return nil
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// appendTo adds a piece of 508 bytes to a 2 KiB sector.
func appendTo(t *testing.T, staged string, w *watched, edit func(*Append)) error {
	t.Helper()
	a := Append{Proof: porep.StackedDrg2KiBV1, Staged: staged}
	if edit != nil {
		edit(&a)
	}
	_, err := AppendPiece(w.with(t.Context()), a, bytes.NewReader(bytes.Repeat([]byte{7}, 508)), 508)
	return err
}

// contents are the files of a directory.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(text)
	}
	return files
}

// TestAppendReachesTheDisk: first the piece, then the file's name, then the record; and
// whatever of it fails, the files are as they were.
func TestAppendReachesTheDisk(t *testing.T) {
	record := func(a *Append) { a.Record = true }
	named := func(a *Append) { a.Existing = []porep.UnpaddedSize{508} }
	for _, tt := range []struct {
		name        string
		first, next func(*Append)
		empty       bool // staged is there, but empty
		did         []string
	}{
		{"new", nil, nil, false, []string{"data 512", "directory DIR"}},
		{"empty", nil, nil, true, []string{"data 512", "directory DIR"}},
		{"second", func(*Append) {}, named, false, []string{"data 1024"}},
		{"no sync", nil, func(a *Append) { a.NoSync = true }, false, nil},
		{"new, record", nil, record, false, []string{"reserve record", "data 512", "directory DIR", "write record", "name record"}},
		{"second, record", record, nil, false, []string{"reserve record", "data 1024", "write record", "name record"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, fail := range append([]string{""}, tt.did...) {
				dir := t.TempDir()
				staged := filepath.Join(dir, "staged")
				if tt.empty {
					if err := os.WriteFile(staged, nil, 0o666); err != nil {
						t.Fatal(err)
					}
				}
				if tt.first != nil {
					if err := appendTo(t, staged, &watched{t: t}, tt.first); err != nil {
						t.Fatal(err)
					}
				}
				before := contents(t, dir)
				w := &watched{t: t, fail: strings.Replace(fail, "DIR", filepath.Base(dir), 1)}
				err := appendTo(t, staged, w, tt.next)
				if fail == "" {
					want := slices.Clone(tt.did)
					for i := range want {
						want[i] = strings.Replace(want[i], "DIR", filepath.Base(dir), 1)
					}
					if diff := cmp.Diff(want, w.did); err != nil || diff != "" {
						t.Fatalf("%v, %s", err, diff)
					}
					if diff := cmp.Diff(before, contents(t, dir)); diff == "" {
						t.Error("nothing was written")
					}
					continue
				}
				if !errors.Is(err, errDisk) {
					t.Errorf("%s failed: error %v", fail, err)
				}
				if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
					t.Errorf("%s failed: %s", fail, diff)
				}
			}
		})
	}
}

// TestRecordPutBack: where the new record has its name, but its directory is not on the
// disk, the old one comes back; where that cannot be, staged keeps what the record says.
func TestRecordPutBack(t *testing.T) {
	for _, again := range []bool{true, false} {
		dir := t.TempDir()
		staged := filepath.Join(dir, "staged")
		w := &watched{t: t}
		if err := appendTo(t, staged, w, func(a *Append) { a.Record = true }); err != nil {
			t.Fatal(err)
		}
		before := contents(t, dir)
		times := 0
		w.fail = "name record"
		w.records = func() error {
			if times++; times == 2 && !again {
				return errDisk
			}
			return nil
		}
		err := appendTo(t, staged, w, nil)
		if !errors.Is(err, errDisk) || times != 2 {
			t.Errorf("error %v, %d records", err, times)
		}
		if again {
			if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
				t.Error(diff)
			}
			continue
		}
		r, _, readErr := readRecord(RecordName(staged))
		if readErr != nil || len(r.Pieces) != 2 || size(t, staged) != 1024 || !strings.Contains(err.Error(), "staged keeps it") {
			t.Errorf("record %v, %v; staged has %d bytes; error %v", r, readErr, size(t, staged), err)
		}
	}
}

// TestAppendInterfered: who takes no lock and writes to staged, or puts another file in
// its place, is found out, and loses nothing.
func TestAppendInterfered(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(staged string) error
		says string
		left map[string]int // of the files in the directory
	}{
		{"appended", func(staged string) error { return os.Truncate(staged, 700) }, "somebody else writes to it, so it keeps them", map[string]int{"staged": 700}},
		{"cut", func(staged string) error { return os.Truncate(staged, 128) }, "it has 128 bytes, with the piece it should have 512", map[string]int{}},
		{"removed", os.Remove, "it has been removed", map[string]int{}},
		{"renamed", func(staged string) error { return os.Rename(staged, staged+"2") }, "it has been removed", map[string]int{"staged2": 0}},
		{"replaced", func(staged string) error {
			return errors.Join(os.Remove(staged), os.WriteFile(staged, make([]byte, 512), 0o666))
		}, "another file has taken its place", map[string]int{"staged": 512}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			staged := filepath.Join(dir, "staged")
			w := &watched{t: t, synced: func() error { return tt.do(staged) }}
			err := appendTo(t, staged, w, nil)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want %q in it", err, tt.says)
			}
			left := map[string]int{}
			for name, text := range contents(t, dir) {
				left[name] = len(text)
			}
			if diff := cmp.Diff(tt.left, left); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestAppendErrors: errors that callers tell apart.
func TestAppendErrors(t *testing.T) {
	real := &watched{t: t}
	staged := filepath.Join(t.TempDir(), "staged")
	if err := appendTo(t, staged, real, nil); err != nil {
		t.Fatal(err)
	}
	var length *StagedLengthError
	if err := appendTo(t, staged, real, nil); !errors.As(err, &length) || length.Length != 512 || length.End != 0 || length.Pieces != 0 {
		t.Errorf("error %v", err)
	}
	var record *RecordError
	if err := appendTo(t, staged, real, func(a *Append) { a.Record, a.Existing = true, []porep.UnpaddedSize{508} }); !errors.As(err, &record) || record.Path != RecordName(staged) {
		t.Errorf("error %v", err)
	}
	recorded := filepath.Join(filepath.Dir(staged), "recorded")
	for _, begin := range []bool{true, false} { // one that is to be begun, and one that is there
		before := contents(t, filepath.Dir(staged))
		err := appendTo(t, recorded, real, func(a *Append) { a.Record, a.NoSync = begin, true })
		if !errors.As(err, &record) || record.Path != RecordName(recorded) || !errors.Is(err, ErrBadInput) || !strings.Contains(err.Error(), "no sync") {
			t.Errorf("a record without sync: error %v", err)
		}
		if diff := cmp.Diff(before, contents(t, filepath.Dir(staged))); diff != "" {
			t.Error(diff)
		}
		if err := appendTo(t, recorded, real, func(a *Append) { a.Record = true }); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(staged)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := linux.TryLock(f); err != nil {
		t.Skip("locks are Linux's")
	}
	var busy *StagedBusyError
	if err := appendTo(t, staged, real, func(a *Append) { a.NoWait = true }); !errors.As(err, &busy) || busy.Path != staged || !errors.Is(err, ErrBusy) {
		t.Errorf("error %v", err)
	}

	// A record that cannot be made shows before the piece is read.
	other := filepath.Join(filepath.Dir(staged), "other")
	making, err := durable.Create(t.Context(), RecordName(other))
	if err != nil {
		t.Fatal(err)
	}
	defer making.Abort()
	if err := appendTo(t, other, real, func(a *Append) { a.Record = true }); !errors.Is(err, ErrBusy) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(other); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("staged is left: %v", err)
	}
}
