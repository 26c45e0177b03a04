package seal

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/porep"
)

// A crowded sink is never free at once, so each block is held back.
type crowded struct {
	pieceSink
	wrote []int64 // offsets, in order
	fails int64   // offset at which writing fails; -1: at none
}

var errCrowded = errors.New("no more")

func (s *crowded) begin(block int64, wait bool) bool { return wait && s.pieceSink.begin(block, true) }

func (s *crowded) write(b []byte, off int64) error {
	if off == s.fails {
		return errCrowded
	}
	s.wrote = append(s.wrote, off)
	return s.pieceSink.write(b, off)
}

// TestHeldBack: blocks that could not be written at once are written before what is hashed after them,
// all of them, as they are; and an error names the block that it came at, not the one at hand.
func TestHeldBack(t *testing.T) {
	const blocks = 8
	size := (blocks * pieceBlock).Unpadded()
	file, data := someFile(t, int(size))
	var want bytes.Buffer
	piece, err := CommP(t.Context(), bytes.NewReader(data), size)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := WritePiece(t.Context(), porep.StackedDrg8MiBV1_1, bytes.NewReader(data), size, &want); err != nil {
		t.Fatal(err)
	}
	for _, fails := range []int64{-1, 0, 3 * int64(pieceBlock), (blocks - 1) * int64(pieceBlock)} {
		for _, name := range []string{"stream", "file"} {
			var got bytes.Buffer
			to := &crowded{pieceSink: newStreamSink(&got), fails: fails}
			source := io.Reader(bytes.NewReader(data))
			staged, _ := someFile(t, 0)
			if name == "file" {
				if _, err := file.Seek(0, io.SeekStart); err != nil {
					t.Fatal(err)
				}
				source = file
				to.pieceSink = newTailSink(durable.TailOf(t.Context(), staged, 0, int64(blocks*pieceBlock), 0, false), 0)
			}
			progress := new(PieceProgress)
			commP, _, err := readPiece(t.Context(), source, size, passing{to: to, progress: progress})
			if name == "file" {
				if _, err := got.ReadFrom(staged); err != nil {
					t.Fatal(err)
				}
			}
			if fails >= 0 {
				wrong := (*WriteError)(nil)
				if !errors.As(err, &wrong) || wrong.Offset != fails || !errors.Is(err, errCrowded) {
					t.Errorf("%s, failing at %d: %v", name, fails, err)
				}
				continue
			}
			if err != nil || commP != piece.CommP || !bytes.Equal(got.Bytes(), want.Bytes()) {
				t.Errorf("%s: %v, comm_p %v, want %v; %d bytes, equal %v", name, err, commP, piece.CommP, got.Len(), bytes.Equal(got.Bytes(), want.Bytes()))
			}
			if done, _ := progress.Units(); done != uint64(size) {
				t.Errorf("%s: progress of %d bytes, want %d", name, done, size)
			}
			if last := to.wrote[len(to.wrote)-1]; last != (blocks-1)*int64(pieceBlock) {
				t.Errorf("%s: the last to be written is the block at %d: %v", name, last, to.wrote)
			}
			if name == "stream" && !slices.IsSorted(to.wrote) {
				t.Errorf("a stream is written in the order %v", to.wrote)
			}
		}
	}
}

// TestTurns: who does not wait for a turn is told at once, whether another one writes or the last
// block would not be the last.
func TestTurns(t *testing.T) {
	file, _ := someFile(t, 0)
	tail := newTailSink(durable.TailOf(t.Context(), file, 0, 3*int64(pieceBlock), 0, false), 0)
	tail.blocks(3)
	stream := newStreamSink(io.Discard)
	for _, tt := range []struct {
		name  string
		sink  pieceSink
		block int64
		wait  bool
		want  bool
		ends  bool // then its turn ends
	}{
		{"the last block comes first", tail, 2, false, false, false},
		{"any other", tail, 1, false, true, false},
		{"while that is written", tail, 0, false, false, true},
		{"afterwards", tail, 0, false, true, true},
		{"the last one", tail, 2, false, true, true},
		{"a later block of a stream", stream, 1, false, false, false},
		{"its first", stream, 0, true, true, true},
		{"its next", stream, 1, false, true, true},
	} {
		if got := tt.sink.begin(tt.block, tt.wait); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		if tt.ends {
			tt.sink.end()
		}
	}
	for _, sink := range []pieceSink{tail, stream} {
		sink.stop()
		if sink.begin(7, false) || sink.begin(7, true) {
			t.Error("a turn after the pass is over")
		}
	}
}
