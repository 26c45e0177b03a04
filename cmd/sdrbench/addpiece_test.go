package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// A quarter of an 8 MiB sector: two of the chunks that are padded and written at a time.
const quarter = 2080768

// An adding is an addpiece of an 8 MiB sector in this process, with a piece from stdin.
type adding struct {
	exit  int // once it has ended
	ended chan struct{}

	mu     sync.Mutex
	stderr bytes.Buffer
}

func startAdding(ctx context.Context, staged string, stdin io.Reader, args ...string) *adding {
	r := &adding{ended: make(chan struct{})}
	a := &app{in: stdin, out: io.Discard, err: r}
	go func() {
		defer close(r.ended)
		r.exit = a.run(ctx, append([]string{"addpiece", "--proof", "StackedDrg8MiBV1_1", "--piece", "-",
			"--piece-size", fmt.Sprint(quarter), "--staged", staged}, args...))
	}()
	return r
}

// wait waits until it has ended, and wants that exit code and a line that says it.
func (r *adding) wait(t *testing.T, exit int, says string) {
	t.Helper()
	<-r.ended
	if r.exit != exit || !strings.Contains(r.said(), says) {
		t.Fatalf("exit code %d, want %d; %q, want %q in it", r.exit, exit, r.said(), says)
	}
}

func (r *adding) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stderr.String()
}

func (r *adding) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stderr.Write(b)
}

// waits reports whether it came to wait for another job, and not to its end.
func (r *adding) waits() bool {
	for {
		select {
		case <-r.ended:
			return false
		case <-time.After(time.Millisecond):
			if strings.Contains(r.said(), "waiting for another job that adds a piece to") {
				return true
			}
		}
	}
}

func pieceOf(b byte) io.Reader { return bytes.NewReader(bytes.Repeat([]byte{b}, quarter)) }

// padded is a piece as it stands in staged.
func padded(t *testing.T, piece io.Reader, size porep.UnpaddedSize) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := seal.WritePiece(t.Context(), porep.StackedDrg8MiBV1_1, piece, size, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Two jobs that add to one staged file at the same time do so one after the other.
// Where a record says what is there, both pieces are in it, whole and once. Where
// nothing says it, the second finds what it did not expect.
func TestAddPieceRace(t *testing.T) {
	needLocks(t)
	dir := t.TempDir()
	const size = 130048
	add := func(staged string, b byte, args ...string) *adding {
		return startAdding(t.Context(), staged, io.LimitReader(pieceOf(b), size), append(args, "--piece-size", fmt.Sprint(size))...)
	}
	one, two := padded(t, io.LimitReader(pieceOf(1), size), size), padded(t, io.LimitReader(pieceOf(2), size), size)
	for round := range testkit.Rounds(8, 50) {
		staged := filepath.Join(dir, fmt.Sprint("staged", round))
		a, b := add(staged, 1, "--record"), add(staged, 2, "--record")
		a.wait(t, exitDone, "")
		b.wait(t, exitDone, "")
		if got := readFile(t, staged); !bytes.Equal(got, slices.Concat(one, two)) && !bytes.Equal(got, slices.Concat(two, one)) {
			t.Fatalf("with a record: %d bytes that are not the two pieces", len(got))
		}
		pieces, err := seal.ReadPieces(seal.RecordName(staged), porep.StackedDrg8MiBV1_1)
		if err != nil || len(pieces) != 2 || pieces[0] == pieces[1] {
			t.Fatalf("the record has %v, %v", pieces, err)
		}

		staged += "-without"
		a, b = add(staged, 1), add(staged, 2)
		<-a.ended
		<-b.ended
		want := one
		if b.exit == exitDone {
			a, b, want = b, a, two
		}
		a.wait(t, exitDone, "")
		b.wait(t, exitFailed, fmt.Sprintf("has %d bytes; existing pieces that were named: 0, which end at 0", len(one)))
		if got := readFile(t, staged); !bytes.Equal(got, want) {
			t.Fatalf("without a record: %d bytes, want the piece that was acknowledged", len(got))
		}
		if err := os.Remove(staged); err != nil {
			t.Fatal(err)
		}
	}
}

// A job that fails takes nothing away that another was told is there.
func TestAddPieceBesideFailure(t *testing.T) {
	needLocks(t)
	one, two := padded(t, pieceOf(1), quarter), padded(t, pieceOf(2), quarter)
	for round := range testkit.Rounds(6, 20) {
		dir := t.TempDir()
		staged := filepath.Join(dir, "staged")
		want, existing := two, ""
		if round%2 == 1 {
			want, existing = slices.Concat(one, two), fmt.Sprint(quarter)
			startAdding(t.Context(), staged, pieceOf(1)).wait(t, exitDone, "")
		}
		// It has begun, and waits for the rest of its piece.
		fails, rest := startHalfWay(t, staged, "--existing", existing)
		beside := startAdding(t.Context(), staged, pieceOf(2), "--existing", existing)
		if !beside.waits() {
			t.Errorf("exit code %d: %s", beside.exit, beside.said())
		}
		startAdding(t.Context(), staged, pieceOf(2), "--existing", existing, "--no-wait").
			wait(t, exitFailed, "is held by another job that adds a piece")
		rest.Close()
		fails.wait(t, exitFailed, fmt.Sprintf("%d were announced", quarter))
		beside.wait(t, exitDone, "")
		if got := readFile(t, staged); !bytes.Equal(got, want) {
			t.Fatalf("staged has %d bytes, want %d: what was acknowledged", len(got), len(want))
		}
		if names, err := namesIn(dir); err != nil || len(names) != 1 {
			t.Errorf("%q, %v, want staged alone", names, err)
		}
	}
}

// Who waits for another job can be canceled, and leaves that alone.
func TestAddPieceWaitsNoLonger(t *testing.T) {
	needLocks(t)
	staged := filepath.Join(t.TempDir(), "staged")
	first, rest := startHalfWay(t, staged)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	second := startAdding(ctx, staged, pieceOf(2))
	if !second.waits() {
		t.Errorf("exit code %d: %s", second.exit, second.said())
	}
	cancel()
	second.wait(t, exitFailed, "sdrbench: canceled\n")
	if _, err := rest.Write(bytes.Repeat([]byte{1}, quarter-quarter/2)); err != nil {
		t.Fatal(err)
	}
	rest.Close()
	first.wait(t, exitDone, "")
	if got := readFile(t, staged); !bytes.Equal(got, padded(t, pieceOf(1), quarter)) {
		t.Errorf("staged has %d bytes, want the first one's piece", len(got))
	}
}

// What a kill leaves of a piece is found, and told with the length to cut staged back to.
func TestAddPieceAfterKill(t *testing.T) {
	for _, flags := range [][]string{{"--record"}, nil} {
		dir := t.TempDir()
		staged := filepath.Join(dir, "staged")
		startAdding(t.Context(), staged, pieceOf(1), flags...).wait(t, exitDone, "")
		if flags == nil {
			flags = []string{"--existing", fmt.Sprint(quarter)}
		}
		want := readFile(t, staged)

		piece, rest, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "sdrbench", append([]string{"addpiece", "--proof", "StackedDrg8MiBV1_1",
			"--piece", "-", "--piece-size", fmt.Sprint(quarter), "--staged", staged}, flags...)...)
		cmd.Stdin = piece
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		piece.Close()
		if _, err := rest.Write(bytes.Repeat([]byte{1}, quarter/2)); err != nil {
			t.Fatal(err)
		}
		for !longer(t, staged, len(want)) {
			time.Sleep(time.Millisecond)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		rest.Close()

		startAdding(t.Context(), staged, pieceOf(2), flags...).wait(t, exitFailed, fmt.Sprintf("(truncate -s %d)", len(want)))
		if err := os.Truncate(staged, int64(len(want))); err != nil {
			t.Fatal(err)
		}
		startAdding(t.Context(), staged, pieceOf(2), flags...).wait(t, exitDone, "")
		if got := readFile(t, staged); !bytes.Equal(got, append(want, padded(t, pieceOf(2), quarter)...)) {
			t.Errorf("staged has %d bytes that are not the two pieces", len(got))
		}
	}
}

func needLocks(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("locks are Linux's")
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// startHalfWay starts a job that has half of a piece, and a part of it in staged.
func startHalfWay(t *testing.T, staged string, args ...string) (*adding, *io.PipeWriter) {
	t.Helper()
	before := 0
	if info, err := os.Stat(staged); err == nil {
		before = int(info.Size())
	}
	piece, rest := io.Pipe()
	r := startAdding(t.Context(), staged, piece, args...)
	if _, err := rest.Write(bytes.Repeat([]byte{1}, quarter/2)); err != nil {
		t.Fatal(err)
	}
	for !longer(t, staged, before) {
		time.Sleep(time.Millisecond)
	}
	return r, rest
}

func longer(t *testing.T, path string, than int) bool {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil && info.Size() > int64(than)
}
