package cabi

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/ffi"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/processor"
	"github.com/sdr-engine/sdr/lockstep"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/sealer"
)

// atOp does something before an operation of a kind on a layer's file.
type atOp struct {
	kind durable.Kind
	do   func(temp string)
}

func (a atOp) Before(op *durable.Op) error {
	if name := filepath.Base(op.Path); op.Kind == a.kind && strings.HasPrefix(name, "sc-02-data-layer") {
		a.do(filepath.Join(filepath.Dir(op.Path), durable.TempName(name)))
	}
	return nil
}

func (atOp) After(*durable.Op) error { return nil }

// said is an error that was only told as text.
type said struct{ kind, text string }

func (s said) Error() string { return s.text }

// doors are the ways into the engine. Those that take no context of their caller's are not told
// what a test does by way of one.
var doors = []struct {
	name    string
	context bool
	do      func(context.Context, *testing.T, seal.Sector) error
}{
	{"engine", true, func(ctx context.Context, _ *testing.T, s seal.Sector) error {
		c := engine.Config{Proof: s.Proof, Sectors: []engine.Sector{{CacheDir: s.CacheDir}}}
		if err := c.CheckMachine(); err != nil {
			return err
		}
		_, err := engine.Run(ctx, c)
		return err
	}},
	{"seal", true, func(ctx context.Context, _ *testing.T, s seal.Sector) error {
		_, err := seal.PreCommit1(ctx, s, seal.Options{})
		return err
	}},
	{"sealer", true, func(ctx context.Context, t *testing.T, s seal.Sector) error {
		_, err := machineOf(t).PreCommit1(ctx, []seal.Sector{s}, sealer.Job{Wait: true})
		return err
	}},
	{"lockstep", true, func(ctx context.Context, t *testing.T, s seal.Sector) error {
		j, err := lockstep.New(machineOf(t), lockstep.Options{})
		if err == nil {
			_, err = j.PreCommit1(ctx, s, "kinds")
		}
		return err
	}},
	{"processor", true, func(ctx context.Context, t *testing.T, s seal.Sector) error {
		// The work alone has the context: one that has ended serves nobody.
		in, out := io.MultiReader(strings.NewReader(`{"id":1,"task":{}}`+"\n"), blocked(t)), new(bytes.Buffer)
		serving, end := context.WithCancel(context.Background())
		err := processor.Serve(serving, in, out, processor.Options{Stage: "pc1"},
			func([]byte) (seal.Sector, error) { return s, nil },
			func(_ context.Context, s seal.Sector, _ func()) ([]byte, error) {
				defer end()
				_, err := seal.PreCommit1(ctx, s, seal.Options{})
				return nil, err
			})
		if err != nil {
			return err
		}
		var reply struct {
			Message string `json:"err_msg"`
		}
		_, line, _ := strings.Cut(out.String(), "\n")
		if err := json.Unmarshal([]byte(line), &reply); err != nil {
			return err
		}
		kind, _, _ := strings.Cut(reply.Message, ": ")
		return said{kind, reply.Message}
	}},
	{"ffi", false, func(_ context.Context, _ *testing.T, s seal.Sector) error {
		var pieces []ffi.Piece
		for _, p := range s.Pieces {
			pieces = append(pieces, ffi.Piece{CommP: p.CommP[:], Size: uint64(p.Size.Padded())})
		}
		_, err := ffi.SealPreCommitPhase1(int64(s.Proof), s.CacheDir, s.Staged, s.Sealed, s.Number, 1000, s.Ticket[:], pieces)
		return err
	}},
	{"cabi", false, func(_ context.Context, t *testing.T, s seal.Sector) error {
		var l Library
		machine := open(t, &l, object{"kernel": "generic/1"})
		request := object{"proof": s.Proof.String(), "cache-dir": s.CacheDir, "staged": s.Staged, "sealed": s.Sealed, "miner": "1000",
			"sector": fmt.Sprint(s.Number), "ticket": hex.EncodeToString(s.Ticket[:])}
		if len(s.Pieces) > 0 {
			request["piece"] = []string{fmt.Sprintf("%v:%d", s.Pieces[0].CommP, s.Pieces[0].Size)}
		}
		a := call(&l, PreCommit1, machine, requestOf(t, object{"sectors": []object{request}}))
		r := parsed(t, a)
		if len(r.Sectors) > 0 && r.Sectors[0].Kind != r.Kind {
			t.Errorf("%s: the sector is of another kind", a.Result)
		}
		return said{string(r.Kind), a.Error}
	}},
}

// blocked is a reader that says nothing until the test ends.
func blocked(t *testing.T) io.Reader {
	r, w := io.Pipe()
	t.Cleanup(func() { w.Close() })
	return r
}

func machineOf(t *testing.T) *sealer.Machine {
	o := sealer.Options{LockDir: t.TempDir()}
	o.Kernel = "generic/1" // which need not be timed
	m, err := sealer.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// Each kind of error has its real causes, and is found behind every door.
func TestKinds(t *testing.T) {
	t.Setenv("SDR_KERNEL", "generic/1")
	t.Setenv("SDR_BATCH_WAIT", "0")
	canceled, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("the operator has said so"))
	big := hugepages.Check(hugepages.Options{Size: 100 << 30}) != nil
	treeD := func(s seal.Sector) string { return filepath.Join(s.CacheDir, "sc-02-data-tree-d.dat") }
	for _, cause := range []struct {
		kind    error
		name    seal.Kind
		how     string
		labels  bool // it shows without any data
		context context.Context
		before  func(*testing.T, *seal.Sector)
	}{
		{kind: seal.ErrBadInput, name: "bad-input", how: "pieces that the data is not", before: func(t *testing.T, s *seal.Sector) {
			s.Pieces = []porep.Piece{{CommP: porep.Commitment{1}, Size: 2032}}
		}},
		{kind: seal.ErrBadInput, name: "bad-input", how: "no cache dir", labels: true, before: func(t *testing.T, s *seal.Sector) { s.CacheDir += "-not" }},
		{kind: seal.ErrBusy, name: "busy", how: "another job has the cache dir", labels: true, before: func(t *testing.T, s *seal.Sector) {
			dir, err := durable.OpenDir(t.Context(), s.CacheDir)
			if err == nil {
				err = dir.Lock()
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(dir.Close)
		}},
		{kind: seal.ErrNoSpace, name: "no-space", how: "a file system of one page", labels: true, before: func(t *testing.T, s *seal.Sector) {
			if err := syscall.Mount("none", s.CacheDir, "tmpfs", 0, "size=4k"); err != nil {
				t.Skipf("mounting a file system: %v", err)
			}
			t.Cleanup(func() { syscall.Unmount(s.CacheDir, 0) })
		}},
		{kind: seal.ErrNoMemory, name: "no-memory", how: "a sector that is too large for the machine", labels: true, before: func(t *testing.T, s *seal.Sector) {
			if !big {
				t.Skip("a machine with so much memory would label it")
			}
			s.Proof = porep.StackedDrg64GiBV1_1
		}},
		{kind: seal.ErrHardwareSuspect, name: "hardware-suspect", how: "staged that cannot be read", before: func(t *testing.T, s *seal.Sector) {
			s.Staged = "/proc/self/mem" // it looks like a file; no memory is at 0
		}},
		{kind: seal.ErrCorrupt, name: "corrupt", how: "a tree-d that is none", before: func(t *testing.T, s *seal.Sector) {
			if err := os.WriteFile(treeD(*s), bytes.Repeat([]byte{1}, 127*32), 0o666); err != nil {
				t.Fatal(err)
			}
		}},
		{kind: seal.ErrCancelled, name: "cancelled", how: "the caller's context", labels: true, context: canceled},
		{kind: seal.ErrLost, name: "lost", how: "a layer is removed", labels: true, context: durable.WithInjector(context.Background(), atOp{durable.OpPublish, func(temp string) { os.Remove(temp) }})},
		{kind: seal.ErrChanged, name: "changed", how: "a layer is written to", labels: true, context: durable.WithInjector(context.Background(), atOp{durable.OpSync, func(temp string) {
			if f, err := os.OpenFile(temp, os.O_WRONLY, 0); err == nil {
				f.WriteAt([]byte("another"), 100)
				f.Close()
			}
		}})},
	} {
		for _, door := range doors {
			if cause.context != nil && !door.context || !cause.labels && door.name == "engine" {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s/%s", cause.name, cause.how, door.name), func(t *testing.T) {
				dir := t.TempDir()
				s := seal.Sector{Proof: porep.StackedDrg2KiBV1_1, CacheDir: filepath.Join(dir, "cache"), Staged: seal.DevZero, Sealed: filepath.Join(dir, "sealed"), Number: 1}
				if err := errors.Join(os.Mkdir(s.CacheDir, 0o777), os.WriteFile(s.Sealed, nil, 0o666)); err != nil {
					t.Fatal(err)
				}
				if cause.before != nil {
					cause.before(t, &s)
				}
				ctx := cause.context
				if ctx == nil {
					ctx = t.Context()
				}
				err := door.do(ctx, t, s)
				var text said
				switch {
				case errors.As(err, &text):
					// A sector too large lacks disk space, too.
					if seal.Kind(text.kind) != cause.name && cause.kind != seal.ErrNoMemory {
						t.Errorf("kind %q, want %q: %v", text.kind, cause.name, err)
					}
				case !errors.Is(err, cause.kind):
					t.Errorf("%v is not of the kind %v", err, cause.kind)
				case cause.kind != seal.ErrNoMemory && seal.KindOf(err) != cause.name:
					t.Errorf("kind %q, want %q: %v", seal.KindOf(err), cause.name, err)
				}
			})
		}
	}
}
