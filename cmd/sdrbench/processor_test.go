//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// A child is `sdrbench processor` as damocles runs it.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	outEnd *os.File
	stderr bytes.Buffer
	nextID uint64
}

// startChild starts a processor, with more in its environment, and reads its first line.
func startChild(t *testing.T, stage string, env []string, args ...string) *child {
	t.Helper()
	c := &child{t: t, cmd: exec.Command("sdrbench", append([]string{"processor", stage}, args...)...)}
	c.cmd.Stderr = &c.stderr
	c.start(env)
	return c
}

func (c *child) start(env []string) {
	t := c.t
	t.Helper()
	c.cmd.Env = slices.Concat(os.Environ(), []string{"SDR_LOCK_DIR=" + filepath.Join(t.TempDir(), "locks")}, env) // not the machine's
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.cmd.Stdout, c.in, c.out, c.outEnd = w, in, bufio.NewReader(r), r
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() { c.in.Close(); r.Close(); _ = c.cmd.Process.Kill() })
	if line, err := c.out.ReadString('\n'); line != c.cmd.Args[2]+" processor ready\n" {
		_ = c.cmd.Wait()
		t.Fatalf("the first line is %q, %v: %s", line, err, &c.stderr)
	}
}

// send sends a task and returns its id.
func (c *child) send(task any) uint64 {
	c.t.Helper()
	c.nextID++
	line, err := json.Marshal(map[string]any{"id": c.nextID, "task": task})
	if err == nil {
		_, err = c.in.Write(append(line, '\n'))
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return c.nextID
}

// reply reads one.
func (c *child) reply() (id uint64, output, failed string) {
	c.t.Helper()
	line, err := c.out.ReadString('\n')
	var r struct {
		ID     *uint64          `json:"id"`
		Err    *string          `json:"err_msg"`
		Output *json.RawMessage `json:"output"`
	}
	if err == nil {
		err = json.Unmarshal([]byte(line), &r)
	}
	if err != nil || r.ID == nil || (r.Err == nil) == (r.Output == nil) {
		c.t.Fatalf("no reply: %q, %v", line, err)
	}
	if r.Err != nil {
		return *r.ID, "", *r.Err
	}
	return *r.ID, string(*r.Output), ""
}

// exits checks how the child ends. Nothing but replies was on its standard output.
func (c *child) exits(want int) {
	c.t.Helper()
	rest, _ := io.ReadAll(c.out)
	for line := range bytes.Lines(rest) {
		if !bytes.HasPrefix(line, []byte(`{"id":`)) || !json.Valid(line) {
			c.t.Errorf("standard output has %q", line)
		}
	}
	_ = c.cmd.Wait()
	if got := c.cmd.ProcessState.ExitCode(); got != want {
		c.t.Errorf("exit code %d, want %d: %s", got, want, &c.stderr)
	}
}

// A numbers is a byte array in Rust's JSON.
type numbers []byte

func (n numbers) MarshalJSON() ([]byte, error) {
	all := make([]int, len(n))
	for i, b := range n {
		all[i] = int(b)
	}
	return json.Marshal(all)
}

// A processorCase is a golden sector, ready for phase 1.
type processorCase struct {
	golden.Sector
	dir string
}

func (s *processorCase) path(name string) string { return filepath.Join(s.dir, name) }

// processorCases are golden sectors of a size, with their staged files; so many at most.
func processorCases(t *testing.T, size uint64, most int) (all []*processorCase) {
	t.Helper()
	for _, g := range golden.Sectors() {
		if g.SectorSize != size || len(all) == most {
			continue
		}
		s := &processorCase{g, t.TempDir()}
		var existing []string
		for i, p := range g.Pieces {
			piece := s.path(fmt.Sprint("piece", i))
			writeStream(t, piece, p.Stream, p.UnpaddedSize)
			args := []string{"addpiece", "--proof", g.RegisteredProof, "--piece", piece, "--piece-size", fmt.Sprint(p.UnpaddedSize), "--staged", s.path("staged"), "--existing", strings.Join(existing, ",")}
			mustRun(t, nil, args...)
			existing = append(existing, fmt.Sprint(p.UnpaddedSize))
		}
		s.prepare(t)
		all = append(all, s)
	}
	return all
}

// prepare is what damocles does before the stage.
func (s *processorCase) prepare(t *testing.T) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(s.path("cache")), os.Mkdir(s.path("cache"), 0o777), os.WriteFile(s.path("sealed"), nil, 0o666)); err != nil {
		t.Fatal(err)
	}
}

func (s *processorCase) task() map[string]any {
	prover, _ := porep.ParseProverID(s.ProverID)
	ticket, _ := porep.ParseTicket(s.Ticket)
	pieces := []any{}
	for _, p := range s.Pieces {
		c, _ := porep.ParseCommitment(p.CommP)
		pieces = append(pieces, map[string]any{"commitment": numbers(c[:]), "size": p.UnpaddedSize})
	}
	return map[string]any{
		"registered_proof": s.RegisteredProof, "cache_path": s.path("cache"), "in_path": s.path("staged"), "out_path": s.path("sealed"),
		"prover_id": numbers(prover[:]), "sector_id": s.SectorID, "ticket": numbers(ticket[:]), "piece_infos": pieces, "later": nil,
	}
}

// right compares all that a sector's task has left.
func (s *processorCase) right(t *testing.T, output string) {
	t.Helper()
	if want := strings.ReplaceAll(s.P1Output, "$CACHE", s.path("cache")); output != want {
		t.Errorf("%s: %s, want %s", s.Name, output, want)
		return
	}
	wantDigest(t, s.path("sealed"), s.SealedSHA256)
	wantDigest(t, s.path("cache/sc-02-data-tree-d.dat"), s.TreeDSHA256)
	wantLayers(t, s.path("cache"), s.Sector, "sc-02-data-tree-d.dat")
}

// All golden sectors of 2 KiB at once, each for itself and joined; bad ones among them.
func TestProcessorPC1(t *testing.T) {
	cases := processorCases(t, 2<<10, 100)
	for _, args := range [][]string{nil, {"--batch", "4", "--batch-wait", "50ms"}} {
		c := startChild(t, "pc1", nil, args...)
		byID := map[uint64]*processorCase{}
		for i, s := range cases {
			s.prepare(t)
			task := s.task()
			byID[c.send(task)] = s
			if i == 1 {
				task["in_path"] = s.path("missing")
				task["cache_path"] = t.TempDir()
				task["out_path"] = s.path("piece0")
				byID[c.send(task)] = nil
			}
		}
		for range len(byID) {
			id, output, failed := c.reply()
			if s := byID[id]; s != nil {
				s.right(t, output)
			} else if !strings.Contains(failed, "missing") {
				t.Errorf("%q, %q", output, failed)
			}
		}
		c.in.Close()
		c.exits(0)
	}
}

// What is wrong with a request is in its reply, or noted, and the child goes on.
func TestProcessorBadInput(t *testing.T) {
	s := processorCases(t, 2<<10, 1)[0]
	c := startChild(t, "pc1", nil)
	with := func(field string, value any) map[string]any {
		task := s.task()
		if task[field] = value; value == nil {
			delete(task, field)
		}
		return task
	}
	for _, tt := range []struct {
		task any
		want string
	}{
		{with("prover_id", make([]int, 31)), "prover_id: it has 31 numbers, want 32"},
		{with("ticket", make([]int, 33)), "ticket: it has 33 numbers, want 32"},
		{with("ticket", append(make([]int, 31), 256)), "ticket: number 31 of it, 256, is not one from 0 to 255"},
		{with("ticket", append([]int{-1}, make([]int, 31)...)), "ticket: number 0 of it, -1, is not one from 0 to 255"},
		{with("ticket", "00"), `ticket: "00" is no list of 32 numbers`},
		{with("piece_infos", []any{map[string]any{"commitment": make([]int, 30), "size": 127}}), "piece_infos: item 0: commitment: it has 30 numbers, want 32"},
		{with("piece_infos", []any{map[string]any{"commitment": make([]int, 32), "size": -127}}), "piece_infos: item 0: size: -127 is not a number"},
		{with("piece_infos", map[string]any{}), "piece_infos: {} is no list"},
		{with("registered_proof", "StackedDrg4KiBV1"), `registered_proof: porep: parsing seal proof: "StackedDrg4KiBV1" is not registered`},
		{with("registered_proof", 5), "registered_proof: 5 is no string"},
		{with("sector_id", -5), "sector_id: -5 is not a number"},
		{with("cache_path", ""), `cache_path: "" is no path`},
		{with("cache_path", nil), "cache_path: missing"},
		{with("in_path", s.path("nothing")), "nothing: no such file or directory"},
		{with("out_path", s.path("nothing")), "nothing: no such file or directory"},
		{with("cache_path", s.path("nothing")), "nothing: no such file or directory"},
		{with("cache_path", s.path("staged")), "is not a directory"},
		{with("in_path", s.path("\x00")), "invalid argument"},
		{with("in_path", strings.Repeat("x", 1<<20)), "in_path: \"xxx"},
		{with("out_path", s.path("staged")), "are one file"},
		{"text", `"text" is no object`},
		{nil, "is no object"},
	} {
		id := c.send(tt.task)
		if got, output, failed := c.reply(); got != id || !strings.Contains(failed, tt.want) || !utf8Short(failed) {
			t.Errorf("%d %q %.2000q, want %q in it", got, output, failed, tt.want)
		}
	}
	for _, line := range []string{"", "no JSON", `{"id":-1,"task":{}}`, `{"task":{}}`, `{"id":1,`, `{"id":1`, "\xff", strings.Repeat("x", 8<<20), `{"id":1.5}`} {
		fmt.Fprintln(c.in, line)
	}
	if id, _, failed := c.reply(); id != 1 || !strings.Contains(failed, "unexpected end of JSON input") {
		t.Errorf("%d %q", id, failed)
	}
	// A good request is one, however long its line.
	c.send(with("more", strings.Repeat("x", 64<<20)))
	_, output, failed := c.reply()
	if failed != "" {
		t.Error(failed)
	}
	s.right(t, output)
	_, _ = io.WriteString(c.in, `{"id":77,"task":{"cache_pa`)
	c.in.Close()
	if id, _, failed := c.reply(); id != 77 || !strings.Contains(failed, "unexpected end") {
		t.Errorf("%d %q", id, failed)
	}
	c.exits(0)
	if n := strings.Count(c.stderr.String(), "a line has no reply"); n != 7 {
		t.Errorf("%d lines noted, want 7: %.3000s", n, &c.stderr)
	}
}

func utf8Short(text string) bool { return len(text) < 20<<10 && !strings.Contains(text, "\uFFFD") }

// A sector that never fits the memory is refused at once, though it might wait for others.
func TestProcessorNeverFits(t *testing.T) {
	s := processorCases(t, 8<<20, 1)[0]
	for _, policy := range []string{"auto", "none"} {
		c := startChild(t, "pc1", nil, "--memory", "2MiB", "--batch-wait", "1h", "--policy", policy)
		id := c.send(s.task())
		if got, output, failed := c.reply(); got != id || !strings.Contains(failed, "budget") {
			t.Errorf("%s: %d %s %q", policy, got, output, failed)
		}
		c.in.Close()
		c.exits(0)
	}
}

// Work under way is canceled, what is unfinished goes, and the replies say why.
func TestProcessorEnds(t *testing.T) {
	s := processorCases(t, 8<<20, 1)[0]
	// A child whose labels take long, with labels begun.
	begin := func(t *testing.T) *child {
		s.prepare(t)
		c := startChild(t, "pc1", nil, "--kernel", "generic/1")
		c.send(s.task())
		testkit.WaitFor(t, func() bool {
			names, _ := filepath.Glob(s.path("cache/.sc-02-data-layer-1*"))
			return len(names) > 0
		})
		return c
	}
	nothingLeft := func(t *testing.T) {
		t.Helper()
		names, err := namesIn(s.path("cache"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasPrefix(name, ".") {
				t.Errorf("left: %s", name)
			}
		}
	}
	t.Run("end of input", func(t *testing.T) {
		c := begin(t)
		c.in.Close()
		if _, _, failed := c.reply(); !strings.Contains(failed, "standard input has ended") {
			t.Errorf("%q", failed)
		}
		c.exits(0)
		nothingLeft(t)
	})
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			c := begin(t)
			if err := c.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if _, _, failed := c.reply(); !strings.Contains(failed, "a signal has ended") {
				t.Errorf("%q", failed)
			}
			c.exits(0)
			nothingLeft(t)
		})
	}
	t.Run("standard output closed", func(t *testing.T) {
		c := begin(t)
		c.outEnd.Close()
		fmt.Fprintln(c.in, `{"id":9}`) // its reply has nowhere to go
		_ = c.cmd.Wait()
		if got := c.cmd.ProcessState.ExitCode(); got != exitFailed || !strings.Contains(c.stderr.String(), "writing to standard output") {
			t.Errorf("exit code %d: %s", got, &c.stderr)
		}
		nothingLeft(t)
	})
	// The files of one request are nobody else's meanwhile; what a kill leaves is in nobody's way.
	t.Run("killed", func(t *testing.T) {
		c := begin(t)
		id := c.send(s.task())
		if got, _, failed := c.reply(); got != id || !strings.Contains(failed, "held by another job") {
			t.Errorf("the same sector again: %d %q", got, failed)
		}
		other := s.task()
		other["cache_path"] = t.TempDir()
		id = c.send(other)
		if got, _, failed := c.reply(); got != id || !strings.Contains(failed, "held by another job") {
			t.Errorf("the same sealed file: %d %q", got, failed)
		}
		if err := c.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.cmd.Wait()
		c = startChild(t, "pc1", nil)
		c.send(s.task())
		_, output, failed := c.reply()
		if failed != "" {
			t.Fatal(failed)
		}
		s.right(t, output)
		c.in.Close()
		c.exits(0)
	})
}

// Nobody reads the notes, or nobody can: work goes on.
func TestProcessorDeadStandardError(t *testing.T) {
	s := processorCases(t, 2<<10, 1)[0]
	for _, dead := range []bool{true, false} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if dead {
			r.Close()
		}
		s.prepare(t)
		c := &child{t: t, cmd: exec.Command("sdrbench", "processor", "pc1")}
		c.cmd.Stderr = w
		c.start([]string{"VC_CG_CPUSET=none", "VENUS_WORKER_NUMA_PREFERRED=none"})
		w.Close()
		for range 3000 { // more notes than a pipe holds
			fmt.Fprintln(c.in, `{"no":"id"}`)
		}
		c.send(s.task())
		_, output, failed := c.reply()
		if failed != "" {
			t.Error(failed)
		}
		s.right(t, output)
		c.in.Close()
		c.exits(0)
		r.Close()
	}
}

func TestProcessorAddPieces(t *testing.T) {
	dir := t.TempDir()
	served := make([]byte, 1000)
	_, _ = io.ReadFull(golden.Stream("served", 1000), served)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/piece" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(served)
	}))
	defer server.Close()
	c := startChild(t, "add_pieces", nil)
	piece := func(file any, payload, size int) map[string]any {
		return map[string]any{"piece_file": file, "payload_size": payload, "piece_size": size, "more": 1}
	}
	add := func(staged string, pieces ...any) (string, string) {
		t.Helper()
		if pieces == nil {
			pieces = []any{}
		}
		c.send(map[string]any{"seal_proof_type": "StackedDrg2KiBV1_1", "pieces": pieces, "staged_filepath": filepath.Join(dir, staged)})
		_, output, failed := c.reply()
		return output, failed
	}
	local := func(name string) map[string]any { return map[string]any{"local": filepath.Join(dir, name)} }
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "car"), served, 0o666), os.Mkdir(filepath.Join(dir, "directory"), 0o777)); err != nil {
		t.Fatal(err)
	}
	// What the reference's padding makes of the same.
	want := filepath.Join(dir, "want")
	filledPiece := filepath.Join(dir, "filled")
	if err := os.WriteFile(filledPiece, append(slices.Clone(served[:900]), make([]byte, 116)...), 0o666); err != nil {
		t.Fatal(err)
	}
	commP := func(path string) numbers {
		var got struct {
			CommP string `json:"comm_p"`
		}
		if err := json.Unmarshal([]byte(mustRun(t, nil, "commp", "--piece", path, "--json")), &got); err != nil {
			t.Fatal(err)
		}
		parsed, err := porep.ParseCommitment(got.CommP)
		if err != nil {
			t.Fatal(err)
		}
		return parsed[:]
	}
	mustRun(t, nil, "addpiece", "--proof", "StackedDrg2KiBV1_1", "--piece", filledPiece, "--piece-size", "1016", "--staged", want)
	pieceBytes, err := os.ReadFile(want)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "staged"), bytes.Repeat([]byte("old"), 5000), 0o666); err != nil {
		t.Fatal(err)
	}
	output, failed := add("staged", piece("pledge", 127, 127), piece(local("car"), 900, 1016), piece("pledge", 254, 254), piece("pledge", 0, 508))
	zeros := filepath.Join(dir, "zeros")
	if err := os.WriteFile(zeros, make([]byte, 127), 0o666); err != nil {
		t.Fatal(err)
	}
	type info struct {
		Commitment numbers `json:"commitment"`
		Size       int     `json:"size"`
	}
	size := func(path string, n int) info {
		if err := os.WriteFile(zeros, make([]byte, n), 0o666); err != nil {
			t.Fatal(err)
		}
		return info{commP(path), n}
	}
	wantInfos, _ := json.Marshal([]info{size(zeros, 127), {commP(filledPiece), 1016}, size(zeros, 254), size(zeros, 508)})
	if output != string(wantInfos) {
		t.Errorf("%s %s, want %s", output, failed, wantInfos)
	}
	// No alignment: the second begins right behind the first.
	got, err := os.ReadFile(filepath.Join(dir, "staged"))
	if wantStaged := slices.Concat(make([]byte, 128), pieceBytes, make([]byte, 256+512)); err != nil || !bytes.Equal(got, wantStaged) {
		t.Errorf("staged has %d bytes, want %d (%v)", len(got), len(wantStaged), err)
	}
	// No pieces.
	output, failed = add("empty")
	wantInfos, _ = json.Marshal([]info{size(zeros, 2032)})
	if output != string(wantInfos) {
		t.Errorf("%s %s, want %s", output, failed, wantInfos)
	}
	if info, err := os.Stat(filepath.Join(dir, "empty")); err != nil || info.Size() != 2048 {
		t.Errorf("%v, %v", info, err)
	}
	// From a server.
	output, failed = add("served", piece(map[string]any{"url": server.URL + "/piece"}, 900, 1016))
	wantInfos, _ = json.Marshal([]info{{commP(filledPiece), 1016}})
	if output != string(wantInfos) {
		t.Errorf("%s %s, want %s", output, failed, wantInfos)
	}
	wantDigest(t, filepath.Join(dir, "served"), testkit.Digest(t, want))

	for _, tt := range []struct {
		piece any
		want  string
	}{
		{piece(local("missing"), 10, 127), "missing: no such file or directory"},
		{piece(local("directory"), 10, 127), "is a directory"},
		{piece(map[string]any{"local": "/dev/stdin"}, 10, 127), "is standard input, where requests come from"},
		{piece(local("car"), 1001, 1016), "has 1000 bytes, fewer than its payload_size, 1001"},
		{piece(local("car"), 1001, 127), "payload_size: 1001 is more than the piece_size, 127"},
		{piece(local("car"), 100, 128), "piece 0:"},
		{piece("pledge", 0, 4064), "piece 0:"},
		{piece("plegde", 0, 127), `"plegde" is neither`},
		{piece(map[string]any{}, 0, 127), `{} is neither`},
		{piece(local("bad"), 10, 127), "are one file"},
		{piece(map[string]any{"url": "ftp://x/y"}, 10, 127), "no http or https address"},
		{piece(map[string]any{"url": server.URL + "/other"}, 10, 127), "404 Not Found, want 200 OK"},
		{piece(map[string]any{"url": server.URL + "/piece"}, 1001, 1016), "it has 1000 bytes, fewer than the payload_size, 1001"},
	} {
		if output, failed := add("bad", tt.piece); !strings.Contains(failed, tt.want) {
			t.Errorf("%v: %q %q, want %q in it", tt.piece, output, failed, tt.want)
		}
		if _, err := os.Stat(filepath.Join(dir, "bad")); err == nil {
			t.Errorf("%v: a file is left", tt.piece)
		}
	}
	c.in.Close()
	c.exits(0)
}

// Two tasks that make one staged file at the same time: the second is refused.
func TestProcessorAddPiecesBusy(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	staged := filepath.Join(dir, "staged")
	c := startChild(t, "add_pieces", nil)
	task := map[string]any{"seal_proof_type": "StackedDrg2KiBV1_1", "staged_filepath": staged, "pieces": []any{
		map[string]any{"piece_file": map[string]any{"local": pipe}, "payload_size": 2032, "piece_size": 2032}}}
	c.send(task)
	testkit.WaitFor(t, func() bool { _, err := os.Stat(staged); return err == nil })
	id := c.send(task)
	if got, _, failed := c.reply(); got != id || !strings.Contains(failed, "held by another job") {
		t.Errorf("%d %q", got, failed)
	}
	c.in.Close() // the first waits for ever, but for this
	c.exits(0)
	if _, err := os.Stat(staged); err == nil {
		t.Error("a file is left")
	}
}

// Of two requests that name one file and come back to back, the first is done, and the second is refused.
func TestEntering(t *testing.T) {
	const rounds = 20
	both := func(t *testing.T, c *child, first, second any) (ids [2]uint64) {
		t.Helper()
		var lines []byte
		for i, task := range []any{first, second} {
			c.nextID++
			ids[i] = c.nextID
			line, err := json.Marshal(map[string]any{"id": c.nextID, "task": task})
			if err != nil {
				t.Fatal(err)
			}
			lines = append(append(lines, line...), '\n')
		}
		if _, err := c.in.Write(lines); err != nil {
			t.Fatal(err)
		}
		return ids
	}
	refused := func(t *testing.T, c *child, want uint64) {
		t.Helper()
		if id, output, failed := c.reply(); id != want || !strings.HasPrefix(failed, "busy: ") {
			t.Fatalf("%d %s %q, want that %d is busy", id, output, failed, want)
		}
	}
	t.Run("pc1", func(t *testing.T) {
		cases := processorCases(t, 2<<10, 100)
		s := cases[0]
		other := cases[1+slices.IndexFunc(cases[1:], func(o *processorCase) bool { return o.RegisteredProof == s.RegisteredProof })]
		otherSealed := filepath.Join(t.TempDir(), "sealed")
		if err := os.WriteFile(otherSealed, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		c := startChild(t, "pc1", nil, "--batch", "2", "--batch-wait", "1h")
		for round := range rounds {
			s.prepare(t)
			other.prepare(t)
			again := s.task()
			switch round % 3 {
			case 1:
				again["cache_path"] = t.TempDir()
			case 2:
				again["out_path"] = otherSealed
			}
			ids := both(t, c, s.task(), again)
			refused(t, c, ids[1])
			c.send(other.task()) // so the first begins
			for range 2 {
				id, output, failed := c.reply()
				if failed != "" {
					t.Fatalf("%d: %s", id, failed)
				}
				if id == ids[0] {
					s.right(t, output)
				} else {
					other.right(t, output)
				}
			}
		}
		c.in.Close()
		c.exits(0)
	})
	t.Run("add_pieces", func(t *testing.T) {
		dir := t.TempDir()
		pipe, staged := filepath.Join(dir, "pipe"), filepath.Join(dir, "staged")
		if err := syscall.Mkfifo(pipe, 0o666); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(dir, "link")
		if err := os.Symlink(dir, link); err != nil {
			t.Fatal(err)
		}
		task := func(file any, staged string) any {
			return map[string]any{"seal_proof_type": "StackedDrg2KiBV1_1", "staged_filepath": staged, "pieces": []any{
				map[string]any{"piece_file": file, "payload_size": 2032, "piece_size": 2032}}}
		}
		c := startChild(t, "add_pieces", nil)
		for range rounds {
			ids := both(t, c, task(map[string]any{"local": pipe}, staged), task("pledge", filepath.Join(link, "staged")))
			refused(t, c, ids[1])
			if err := os.WriteFile(pipe, make([]byte, 2032), 0); err != nil {
				t.Fatal(err)
			}
			if id, _, failed := c.reply(); id != ids[0] || failed != "" {
				t.Fatalf("%d: %s", id, failed)
			}
			if err := os.Remove(staged); err != nil {
				t.Fatal(err)
			}
		}
		c.in.Close()
		c.exits(0)
	})
	t.Run("tree_d", func(t *testing.T) {
		s := processorCases(t, 8<<20, 1)[0]
		if err := os.Truncate(s.path("staged"), 8<<20); err != nil {
			t.Fatal(err)
		}
		c := startChild(t, "tree_d", nil)
		for range rounds {
			s.prepare(t)
			task := map[string]any{"registered_proof": s.RegisteredProof, "staged_file": s.path("staged"), "cache_dir": s.path("cache")}
			ids := both(t, c, task, task)
			for range ids { // the second may come when the first is done
				if id, output, failed := c.reply(); output != "true" && (id == ids[0] || !strings.HasPrefix(failed, "busy: ")) {
					t.Fatalf("%d: %s", id, failed)
				}
			}
		}
		c.in.Close()
		c.exits(0)
	})
}

// What one task writes no later one uses, until it ends; what both read they share.
func TestClaims(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"cache", "other"} {
		if err := os.Mkdir(path(name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(path("data"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	reads, writes := seal.File{Role: "piece", Path: path("data"), Use: seal.Reads}, seal.File{Role: "staged", Path: path("data"), Use: seal.Writes}
	tree := func(cache string) *claim {
		return &claim{sectors: []seal.Sector{{Proof: porep.StackedDrg2KiBV1_1, CacheDir: path(cache), Staged: path("data")}}}
	}
	for _, tt := range []struct {
		first, second *claim
		busy          bool
	}{
		{tree("cache"), tree("cache"), true},
		{tree("cache"), tree("other"), false},
		{tree("cache"), tree("../" + filepath.Base(dir) + "/cache"), true},
		{&claim{files: []seal.File{reads}}, &claim{files: []seal.File{reads}}, false},
		{&claim{files: []seal.File{reads}}, &claim{files: []seal.File{writes}}, true},
		{&claim{files: []seal.File{writes}}, &claim{files: []seal.File{writes}}, true},
	} {
		c := new(claims)
		let, err := c.take(tt.first)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.take(tt.second); errors.Is(err, seal.ErrBusy) != tt.busy || (err != nil) != tt.busy {
			t.Errorf("%+v, then %+v: %v, want busy to be %t", tt.first, tt.second, err, tt.busy)
		}
		if let(); tt.busy {
			if _, err := c.take(tt.second); err != nil {
				t.Errorf("when the first has ended: %v", err)
			}
		}
	}
	var same *seal.SamePathError
	if _, err := new(claims).take(&claim{files: []seal.File{reads, writes}}); !errors.As(err, &same) || errors.Is(err, seal.ErrBusy) {
		t.Errorf("one that reads what it writes: %v", err)
	}
}

func TestProcessorTreeD(t *testing.T) {
	c := startChild(t, "tree_d", nil)
	var s *processorCase
	for _, one := range processorCases(t, 2<<10, 100) {
		task := map[string]any{"registered_proof": one.RegisteredProof, "staged_file": one.path("staged"), "cache_dir": one.path("cache")}
		c.send(task)
		_, output, failed := c.reply()
		if one.StagedLen != int64(one.SectorSize) {
			if !strings.Contains(failed, fmt.Sprintf("has %d bytes, want the sector's 2048", one.StagedLen)) {
				t.Errorf("%s: %q %q", one.Name, output, failed)
			}
			continue
		}
		s = one
		if output != "true" {
			t.Fatal(failed)
		}
		wantDigest(t, one.path("cache/sc-02-data-tree-d.dat"), one.TreeDSHA256)
		// One that is there, and wrong, is replaced.
		if err := os.WriteFile(one.path("cache/sc-02-data-tree-d.dat"), make([]byte, 4064), 0o666); err != nil {
			t.Fatal(err)
		}
		c.send(task)
		if _, output, failed := c.reply(); output != "true" {
			t.Error(failed)
		}
		wantDigest(t, one.path("cache/sc-02-data-tree-d.dat"), one.TreeDSHA256)
	}
	for _, tt := range []struct{ staged, cache, want string }{
		{s.path("missing"), s.path("cache"), "no such file"},
		{s.path("staged"), s.path("missing"), "no such file"},
		{s.path("staged"), s.path("staged"), "is not a directory"},
		{s.path("cache"), s.path("cache"), "is not a file"},
		{s.path("cache/sc-02-data-tree-d.dat"), s.path("cache"), "are one file"},
	} {
		c.send(map[string]any{"registered_proof": s.RegisteredProof, "staged_file": tt.staged, "cache_dir": tt.cache})
		if _, output, failed := c.reply(); !strings.Contains(failed, tt.want) {
			t.Errorf("%+v: %q %q", tt, output, failed)
		}
	}
	wantFiles(t, s.path("cache"), "sc-02-data-tree-d.dat")
	c.in.Close()
	c.exits(0)
}

// What damocles' variables say is applied, or noted; --check tells beforehand.
func TestProcessorEnvironment(t *testing.T) {
	good := []string{"VC_CG_CPUSET=0", "VENUS_WORKER_NUMA_PREFERRED=0"}
	c := startChild(t, "pc1", good)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err == nil && !strings.Contains(string(status), "Cpus_allowed_list:\t0\n") {
		t.Errorf("the child's status: %s", status)
	}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", c.cmd.Process.Pid))
	for _, path := range tasks {
		if text, err := os.ReadFile(path); err == nil && !strings.Contains(string(text), "Cpus_allowed_list:\t0\n") {
			t.Errorf("a thread's: %s", text)
		}
	}
	c.in.Close()
	c.exits(0)

	c = startChild(t, "tree_d", []string{"VC_CG_CPUSET=0,8000", "VENUS_WORKER_NUMA_PREFERRED=99"})
	c.in.Close()
	c.exits(0)
	for _, want := range []string{"VC_CG_CPUSET=0,8000: the process may not use the CPUs 8000: going on without", "VENUS_WORKER_NUMA_PREFERRED=99: the process may not use this NUMA node's memory"} {
		if !strings.Contains(c.stderr.String(), want) {
			t.Errorf("noted %q, want %q", &c.stderr, want)
		}
	}
}

func TestProcessorCheck(t *testing.T) {
	dir := t.TempDir()
	files := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(files, "numa_0"), 0o777), os.WriteFile(filepath.Join(files, "numa_0", "layers"), []byte("x"), 0o666)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		env, args []string
		want      string
		exit      int
	}{
		{nil, []string{"pc1"}, "processor pc1 will do\n", 0},
		{nil, []string{"add_pieces"}, "processor add_pieces will do\n", 0},
		{nil, []string{"tree_d"}, "processor tree_d will do\n", 0},
		{[]string{"VC_CG_CPUSET=0"}, []string{"pc1"}, "ok    VC_CG_CPUSET=0: the process runs on the CPUs 0\n", 0},
		{[]string{"VC_CG_CPUSET=8000"}, []string{"pc1"}, "wrong VC_CG_CPUSET=8000: the process may use none of these CPUs", 1},
		{[]string{"VC_CG_CPUSET=x"}, []string{"tree_d"}, "wrong VC_CG_CPUSET=x: ", 1},
		{[]string{"VENUS_WORKER_NUMA_PREFERRED=0"}, []string{"pc1"}, "ok    VENUS_WORKER_NUMA_PREFERRED=0: ", 0},
		{[]string{"VENUS_WORKER_NUMA_PREFERRED=99"}, []string{"pc1"}, "wrong VENUS_WORKER_NUMA_PREFERRED=99: ", 1},
		{[]string{"HUGEPAGE_FILES_PATH=" + dir}, []string{"pc1"}, "wrong huge page files: they are not used: no directory matches", 1},
		{[]string{"HUGEPAGE_FILES_PATH=" + files}, []string{"pc1"}, "numa_0\": it is not on a hugetlbfs", 1},
		{[]string{"HUGEPAGE_FILES_PATH_PATTERN=" + files + "/numa_$NUMA_NODE_INDEX/*"}, []string{"pc1"}, "/numa_0/layers\": it is not on a hugetlbfs", 1},
		{[]string{"HUGEPAGE_FILES_PATH=/nowhere"}, []string{"pc1", "--hugepage_files_path_pattern", dir}, "not on a hugetlbfs", 1},
		{nil, []string{"pc1", "--proof", "StackedDrg2KiBV1_1", "--batch", "2"}, "ok    2KiB sectors: room for 2 together", 0},
		{nil, []string{"pc1", "--proof", "StackedDrg64GiBV1_1", "--memory", "1GiB"}, "wrong 64GiB sectors: no room: ", 1},
		{nil, []string{"pc1", "--lock-dir", "/proc/nowhere"}, "wrong ", 1},
		{[]string{"SDR_KERNEL=none"}, []string{"pc1"}, "wrong SDR_KERNEL: ", 1},
		{[]string{"FIL_PROOFS_MULTICORE_SDR_PRODUCERS=many"}, []string{"pc1"}, "wrong FIL_PROOFS_MULTICORE_SDR_PRODUCERS: ", 1},
	} {
		cmd := exec.Command("sdrbench", slices.Concat([]string{"processor"}, tt.args, []string{"--check"})...)
		cmd.Env = slices.Concat(os.Environ(), []string{"SDR_LOCK_DIR=" + filepath.Join(dir, "locks")}, tt.env)
		out, _ := cmd.Output()
		exit := cmd.ProcessState.ExitCode()
		if exit != tt.exit || !strings.Contains(string(out), tt.want) {
			t.Errorf("%v %v: exit code %d, want %d, and %q in\n%s", tt.env, tt.args, exit, tt.exit, tt.want, out)
		}
	}
	// One thing that is wrong does not hide another, nor what is right.
	cmd := exec.Command("sdrbench", "processor", "pc1", "--check", "--profile", filepath.Join(dir, "none.toml"), "--lock-dir", "/proc/nowhere", "--proof", "StackedDrg2KiBV1_1")
	cmd.Env = append(os.Environ(), "VC_CG_CPUSET=8000", "SDR_KERNEL=none", "HUGEPAGE_FILES_PATH="+dir)
	out, _ := cmd.Output()
	for _, want := range []string{"wrong VC_CG_CPUSET=8000: ", "none.toml", "/proc/nowhere", "wrong SDR_KERNEL: ", "wrong huge page files: ", "ok    NUMA node ", "2KiB sectors: room for "} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if exit := cmd.ProcessState.ExitCode(); exit != exitFailed {
		t.Errorf("exit code %d, want %d", exit, exitFailed)
	}

	// What is wrong with the command line shows before the first line.
	for _, args := range [][]string{{"pc1", "--batch", "0"}, {"pc1", "--batch-wait", "-1s"}, {"pc1", "--hashers", "2", "--batch", "1"}, {"pc1", "extra"}, {"other"}} {
		if r := sdrbench(t, nil, append([]string{"processor"}, args...)...); r.exit != exitUsage || r.stdout != "" {
			t.Errorf("%v: exit code %d, %q", args, r.exit, r.stdout)
		}
	}
}
