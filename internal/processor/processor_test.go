package processor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// A parent is damocles' side, as the crate has it.
type parent struct {
	t     *testing.T
	in    *io.PipeWriter
	out   *bufio.Reader
	close func() // of what replies are read from
	notes chan string
	ended chan error
}

type reply struct {
	ID     *uint64          `json:"id"`
	Err    *string          `json:"err_msg"`
	Output *json.RawMessage `json:"output"`
}

// serve begins a child whose tasks are texts.
func serve(t *testing.T, ctx context.Context, do func(ctx context.Context, task string) ([]byte, error)) *parent {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	p := &parent{t: t, in: inW, out: bufio.NewReader(outR), close: func() { outR.Close() }, notes: make(chan string, 100), ended: make(chan error, 1)}
	go func() {
		p.ended <- Serve(ctx, inR, outW, Options{Stage: "text", Note: func(text string) { p.notes <- text }}, func(task []byte) (s string, err error) {
			err = text(&s)(task)
			return s, err
		}, atOnce(do))
		outW.Close()
	}()
	if line := p.line(); line != "text processor ready\n" {
		t.Fatalf("the first line is %q", line)
	}
	t.Cleanup(func() { inW.Close(); outR.Close() })
	return p
}

// atOnce has tasks enter before they do anything.
func atOnce[T any](do func(context.Context, T) ([]byte, error)) Do[T] {
	return func(ctx context.Context, task T, entered func()) ([]byte, error) {
		entered()
		return do(ctx, task)
	}
}

func (p *parent) line() string {
	p.t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.t.Fatalf("%q, %v", line, err)
	}
	return line
}

func (p *parent) send(lines ...string) {
	p.t.Helper()
	for _, line := range lines {
		if _, err := io.WriteString(p.in, line+"\n"); err != nil {
			p.t.Fatal(err)
		}
	}
}

// reply reads one, as the crate does: every field is there, and one of two is not null.
func (p *parent) reply() (id uint64, output, failed string) {
	p.t.Helper()
	line := p.line()
	d := json.NewDecoder(strings.NewReader(line))
	var r reply
	if err := d.Decode(&r); err != nil || r.ID == nil || (r.Err == nil) == (r.Output == nil) ||
		!strings.Contains(line, `"err_msg":`) || !strings.Contains(line, `"output":`) {
		p.t.Fatalf("no reply: %q, %v", line, err)
	}
	if r.Err != nil {
		return *r.ID, "", *r.Err
	}
	return *r.ID, string(*r.Output), ""
}

func echo(_ context.Context, task string) ([]byte, error) { return json.Marshal("done " + task) }

// Replies come as tasks end, and requests are read meanwhile.
func TestOrder(t *testing.T) {
	second := make(chan struct{})
	p := serve(t, t.Context(), func(ctx context.Context, task string) ([]byte, error) {
		if task == "first" {
			<-second
		}
		return echo(ctx, task)
	})
	p.send(`{"id":1,"task":"first","more":[{"id":7}]}`, "", "  \t", `{ "later" : null, "task":"second", "id":18446744073709551615 }`+"\r")
	if id, output, failed := p.reply(); id != 1<<64-1 || output != `"done second"` {
		t.Errorf("%d, %s, %s", id, output, failed)
	}
	close(second)
	if id, output, failed := p.reply(); id != 1 || output != `"done first"` {
		t.Errorf("%d, %s, %s", id, output, failed)
	}
	p.in.Close()
	if err := <-p.ended; err != nil {
		t.Error(err)
	}
	if len(p.notes) > 0 {
		t.Errorf("noted: %s", <-p.notes)
	}
}

// Tasks enter in the order in which they came, one at a time, and work at the same time. One that
// fails, before or after its turn has come, keeps nobody from entering.
func TestEntering(t *testing.T) {
	const tasks = 300
	in, end := io.Pipe()
	outR, outW := io.Pipe()
	var mu sync.Mutex
	var order []string
	inside := 0
	all := make(chan struct{})
	go func() {
		defer outW.Close()
		err := Serve(t.Context(), in, outW, Options{Stage: "text"}, func(task []byte) (s string, err error) {
			err = text(&s)(task)
			return s, err
		}, func(ctx context.Context, task string, entered func()) ([]byte, error) {
			mu.Lock()
			if inside++; inside != 1 {
				t.Errorf("%d are entering", inside)
			}
			order = append(order, task)
			last := len(order) == tasks*2/3
			mu.Unlock()
			runtime.Gosched() // others enter now, if they may
			mu.Lock()
			inside--
			mu.Unlock()
			if last {
				close(all)
			}
			if len(task)%2 == 0 {
				return nil, errors.New("refused")
			}
			entered()
			entered() // the second is of no account
			<-all
			return echo(ctx, task)
		})
		if err != nil {
			t.Error(err)
		}
	}()
	p := &parent{t: t, in: end, out: bufio.NewReader(outR)}
	p.line()
	var want []string
	go func() {
		for i := range tasks {
			if i%3 == 1 {
				fmt.Fprintf(end, `{"id":%d,"task":7}`+"\n", i) // no text
				continue
			}
			fmt.Fprintf(end, `{"id":%d,"task":"%d"}`+"\n", i, i)
		}
	}()
	for i := range tasks {
		p.reply()
		if i%3 != 1 {
			want = append(want, fmt.Sprint(i))
		}
	}
	end.Close()
	if diff := cmp.Diff(want, order); diff != "" {
		t.Errorf("they entered so (-want +got):\n%s", diff)
	}
}

// What is wrong with a request is its reply, if there is an id, and a note if not.
func TestBadRequests(t *testing.T) {
	p := serve(t, t.Context(), echo)
	long := strings.Repeat("x", 1<<20)
	for _, tt := range []struct{ line, failed, note string }{
		{`{"id":5,"task":`, "not JSON: unexpected end of JSON input", ""},
		{`{"id":5,"task":"a"`, "not JSON: unexpected end of JSON input", ""},
		{`{"id":5,"task":"a"}}`, "not JSON", ""},
		{`{"id":5,"task":"a"}{"id":6,"task":"b"}`, "not JSON: invalid character", ""},
		{`{"id":5,"task":"a"} garbage`, "not JSON", ""},
		{`{"id":5,"task":nonsense}`, "not JSON", ""},
		{`{"id":5}`, "task: it is missing", ""},
		{`{"id":5,"Task":"a"}`, "task: it is missing", ""},
		{`{"id":5,"task":"a","task":"b"}`, "task: it is there twice", ""},
		{`{"id":5,"id":6,"task":"b"}`, "id: it is there twice", ""},
		{`{"id":5,"task":7}`, "reading the task: 7 is no string", ""},
		{`{"id":5,"task":null}`, "reading the task: null is no string", ""},
		{"{\"id\":5,\"task\":\"a\xff\"}", "byte 2 of it, 0xff, is no UTF-8", ""},
		{`{"id":5,"task":"\ud800"}`, "half of a surrogate pair", ""},
		{`{"id":5,"task":` + long + `}`, "not JSON", ""},
		{`{"id":5,"task":"` + long, "not JSON: unexpected end of JSON input", ""},
		{`{"id":5,"task":` + strings.Repeat("[", 1<<20), "not JSON", ""},
		{`not JSON`, "", "not JSON"},
		{`[{"id":5}]`, "", "is no object"},
		{`"id"`, "", "is no object"},
		{`{"task":"a"}`, "", "id: it is missing"},
		{`{"ID":5,"task":"a"}`, "", "id: it is missing"},
		{`{"id":-1,"task":"a"}`, "", "id: -1 is not a number from 0 to 18446744073709551615"},
		{`{"id":18446744073709551616,"task":"a"}`, "", "id: 18446744073709551616 is not a number"},
		{`{"id":"5","task":"a"}`, "", `id: "5" is not a number`},
		{`{"id":5.0,"task":"a"}`, "", "id: 5.0 is not a number"},
		{`{"id":null,"task":"a"}`, "", "id: null is not a number"},
		{`{"id":` + long + `,"task":"a"}`, "", "not JSON"},
		{`{"id":"` + long + `","task":"a"}`, "", "is not a number"},
		{"\xff\xfe", "", "not JSON"},
		{`{"id":5`, "", "unexpected end"}, // perhaps it was 50
		{`{"task":"a","id":5`, "", "unexpected end"},
		{"{", "", "not JSON: unexpected end of JSON input"},
	} {
		name := tt.line[:min(len(tt.line), 60)]
		p.send(tt.line)
		if tt.note != "" {
			if note := <-p.notes; !strings.Contains(note, tt.note) || len(note) > 1000 {
				t.Errorf("%q: noted %.1000q, want %q in it", name, note, tt.note)
			}
		} else if id, output, failed := p.reply(); id != 5 || output != "" || !strings.Contains(failed, tt.failed) || len(failed) > 1000 {
			t.Errorf("%q: %d, %q, %.1000q, want an error with %q in it", name, id, output, failed, tt.failed)
		}
		// The process lives.
		p.send(`{"id":9,"task":"good"}`)
		if id, output, failed := p.reply(); id != 9 || output != `"done good"` {
			t.Fatalf("after %q: %d, %q, %q", name, id, output, failed)
		}
	}
	if len(p.notes) > 0 {
		t.Errorf("noted: %s", <-p.notes)
	}
}

// A task may fail in every way; the others do not notice.
func TestFailures(t *testing.T) {
	p := serve(t, t.Context(), func(ctx context.Context, task string) ([]byte, error) {
		switch task {
		case "panic":
			panic("out of order")
		case "nil":
			var p *parent
			p.notes <- "a"
		case "error":
			return nil, errors.New("two\nlines, <html> \xff and \u2028")
		case "long":
			return nil, errors.New(strings.Repeat("é", 1<<20))
		case "broken":
			return []byte(`{"a":`), nil
		case "lines":
			return []byte("{\n}"), nil
		case "no UTF-8":
			return []byte("\"\xff\""), nil
		case "none":
			return nil, nil
		}
		return echo(ctx, task)
	})
	for task, want := range map[string]string{
		"panic": "the task panicked, which is a fault of this program: out of order", "nil": "nil pointer dereference",
		"error": "two\nlines, <html> \uFFFD and \u2028", "long": "é…",
		"broken": "no JSON on one line", "lines": "no JSON on one line", "no UTF-8": "no JSON on one line", "none": "no JSON on one line",
	} {
		p.send(fmt.Sprintf(`{"id":3,"task":%q}`, task))
		if id, output, failed := p.reply(); id != 3 || output != "" || !strings.Contains(failed, want) || len(failed) > maxMessage+100 {
			t.Errorf("%s: %d, %q, %.1000q, want %q in it", task, id, output, failed, want)
		}
	}
	for range 2 {
		if note := <-p.notes; !strings.Contains(note, "request 3 panicked") || !strings.Contains(note, "processor_test.go") {
			t.Errorf("noted %q, want the stack", note)
		}
	}
	p.send(`{"id":4,"task":"good"}`)
	if id, output, _ := p.reply(); id != 4 || output != `"done good"` {
		t.Errorf("%d, %q", id, output)
	}
}

// An id that has no reply yet is not taken twice: one reply would go to the other.
func TestSameID(t *testing.T) {
	end := make(chan struct{})
	p := serve(t, t.Context(), func(ctx context.Context, task string) ([]byte, error) { <-end; return echo(ctx, task) })
	p.send(`{"id":1,"task":"a"}`, `{"id":1,"task":"b"}`)
	if note := <-p.notes; !strings.Contains(note, "its id 1 has no reply yet") {
		t.Errorf("noted %q", note)
	}
	close(end)
	if id, output, _ := p.reply(); id != 1 || output != `"done a"` {
		t.Errorf("%d, %q", id, output)
	}
	p.send(`{"id":1,"task":"c"}`)
	if id, output, _ := p.reply(); id != 1 || output != `"done c"` {
		t.Errorf("again: %d, %q", id, output)
	}
}

func TestTooMany(t *testing.T) {
	p := serve(t, t.Context(), func(ctx context.Context, task string) ([]byte, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
	for i := range MaxInFlight + 1 {
		p.send(fmt.Sprintf(`{"id":%d,"task":"a"}`, i))
	}
	if id, _, failed := p.reply(); id != MaxInFlight || !strings.Contains(failed, "refused: 4096 requests have no reply yet") {
		t.Errorf("%d, %q", id, failed)
	}
	p.in.Close()
	for range MaxInFlight {
		if _, _, failed := p.reply(); failed != ErrEnded.Error() {
			t.Errorf("%q, want %v", failed, ErrEnded)
		}
	}
	if err := <-p.ended; err != nil {
		t.Error(err)
	}
}

// Whatever ends the process, work is canceled, ends before it, and has its reply.
func TestEnds(t *testing.T) {
	enough := errors.New("enough")
	for _, why := range []string{"end of input", "end in a line", "canceled", "input fails", "output closed"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		begun := make(chan struct{}, 2)
		var mu sync.Mutex
		ended := 0
		p := serve(t, ctx, func(ctx context.Context, task string) ([]byte, error) {
			if task == "quick" {
				return echo(ctx, task)
			}
			begun <- struct{}{}
			<-ctx.Done()
			mu.Lock()
			defer mu.Unlock()
			ended++
			return nil, context.Cause(ctx)
		})
		p.send(`{"id":1,"task":"a"}`, `{"id":2,"task":"b"}`)
		<-begun
		<-begun
		want, wantEnd := ErrEnded, error(nil)
		replies := 2
		switch why {
		case "end of input":
			p.in.Close()
		case "end in a line":
			io.WriteString(p.in, `{"id":3,"task":"c`)
			p.in.Close()
			replies++
		case "canceled":
			cancel(enough)
			want = enough
		case "input fails":
			p.in.CloseWithError(enough)
			want, wantEnd = enough, enough
		case "output closed":
			p.close()
			p.send(`{"id":3,"task":"quick"}`)
			replies, wantEnd = 0, io.ErrClosedPipe
		}
		for range replies {
			switch id, _, failed := p.reply(); {
			case id == 3 && strings.Contains(failed, "unexpected end of JSON input"):
			case id < 3 && strings.Contains(failed, want.Error()):
			default:
				t.Errorf("%s: %d: %q, want %v", why, id, failed, want)
			}
		}
		if err := <-p.ended; !errors.Is(err, wantEnd) {
			t.Errorf("%s: %v, want %v", why, err, wantEnd)
		}
		if ended != 2 {
			t.Errorf("%s: %d of 2 have ended", why, ended)
		}
		cancel(nil)
	}
}

// A last line without a newline is a request.
func TestLastLine(t *testing.T) {
	var out bytes.Buffer
	err := Serve(t.Context(), strings.NewReader(`{"id":1,"task":"a"}`), &out, Options{Stage: "text"},
		func(task []byte) (string, error) { return string(task), nil },
		atOnce(func(context.Context, string) ([]byte, error) { return []byte("true"), nil }))
	if want := "text processor ready\n" + `{"id":1,"err_msg":null,"output":true}` + "\n"; err != nil || out.String() != want {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// Who does not read replies holds up the process for so long only.
func TestUnreadReplies(t *testing.T) {
	outR, outW := io.Pipe()
	defer outR.Close()
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(t.Context(), strings.NewReader(`{"id":1,"task":1}`+"\n"), outW, Options{Stage: "text", Patience: time.Millisecond},
			func([]byte) (int, error) { return 0, nil }, atOnce(func(context.Context, int) ([]byte, error) { return []byte("true"), nil }))
	}()
	first := make([]byte, len("text processor ready\n"))
	if _, err := io.ReadFull(outR, first); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "nobody has read") {
		t.Error(err)
	}
}

// A long line takes no more than a few times its size of memory, whatever is in it.
func TestLongLines(t *testing.T) {
	size := testkit.Rounds(1, 16) << 20
	for _, tt := range []struct{ before, repeated, after, want string }{
		{`{"id":1,"task":"`, "x", `"}`, ""},
		{`{"id":1,"task":"a","more":"`, "x", `"}`, `"done`},
		{`{"id":1,"task":"a","more":[`, "0,", `0]}`, `"done`},
		{`{"id":1,"task":[`, "0,", `0]}`, "is no string"},
		{`{"id":1,"task":"a"`, `,"a":0`, `}`, `"done`},
		{`{"id":1,"task":"a"`, " ", `}`, `"done`},
		{`{"id":1,"task":`, "x", ``, "not JSON"},
		{`{"id":1,"task":"`, "x", ``, "unexpected end of JSON input"},
	} {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		line := io.MultiReader(strings.NewReader(tt.before), &repeated{text: tt.repeated, left: size}, strings.NewReader(tt.after+"\n"))
		var out bytes.Buffer
		err := Serve(t.Context(), line, &out, Options{Stage: "text"}, func(task []byte) (s string, err error) {
			err = text(&s)(task)
			return s[:min(len(s), 10)], err
		}, atOnce(echo))
		runtime.ReadMemStats(&after)
		if err != nil || !strings.Contains(out.String(), tt.want) {
			t.Errorf("%s: %.300s, %v", tt.before, out.String(), err)
		}
		if held := int64(after.HeapSys) - int64(before.HeapSys); held > int64(8*size+8<<20) {
			t.Errorf("%s: the heap has grown by %d MiB", tt.before, held>>20)
		}
	}
}

type repeated struct {
	text     string
	at, left int // left counts whole texts only
}

func (r *repeated) Read(b []byte) (n int, _ error) {
	if r.left <= 0 {
		return 0, io.EOF
	}
	for n < len(b) && r.left > 0 {
		k := copy(b[n:], r.text[r.at:])
		n += k
		if r.at = (r.at + k) % len(r.text); r.at == 0 {
			r.left -= len(r.text)
		}
	}
	return n, nil
}

// numbers is a list of them in JSON.
func numbers(b []byte) string {
	var s []string
	for _, n := range b {
		s = append(s, fmt.Sprint(n))
	}
	return "[" + strings.Join(s, ",") + "]"
}

// pc1Task is a task as damocles sends it.
func pc1Task(s golden.Sector, cache, staged, sealed string) map[string]string {
	prover, _ := porep.ParseProverID(s.ProverID)
	ticket, _ := porep.ParseTicket(s.Ticket)
	var pieces []string
	for _, p := range s.Pieces {
		c, _ := porep.ParseCommitment(p.CommP)
		pieces = append(pieces, fmt.Sprintf(`{"commitment":%s,"size":%d}`, numbers(c[:]), p.UnpaddedSize))
	}
	quoted := func(s string) string { text, _ := json.Marshal(s); return string(text) }
	return map[string]string{
		"registered_proof": quoted(s.RegisteredProof), "cache_path": quoted(cache), "in_path": quoted(staged), "out_path": quoted(sealed),
		"prover_id": numbers(prover[:]), "sector_id": fmt.Sprint(s.SectorID), "ticket": numbers(ticket[:]), "piece_infos": "[" + strings.Join(pieces, ",") + "]",
	}
}

func object(fields map[string]string) string {
	var all []string
	for name, value := range fields {
		all = append(all, fmt.Sprintf("%q:%s", name, value))
	}
	return "{" + strings.Join(all, ",") + "}"
}

// Golden sectors, all at once: the reference's files and replies.
func TestGolden(t *testing.T) {
	inR, in := io.Pipe()
	outR, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(t.Context(), inR, out, Options{Stage: "pc1"}, PC1, atOnce(func(ctx context.Context, s seal.Sector) ([]byte, error) {
			out, err := seal.PreCommit1(ctx, s, seal.Options{})
			if err != nil {
				return nil, err
			}
			return out.JSON()
		}))
	}()
	p := &parent{t: t, in: in, out: bufio.NewReader(outR)}
	if line := p.line(); line != "pc1 processor ready\n" {
		t.Fatalf("%q", line)
	}
	want := map[uint64]golden.Sector{}
	dirs := map[uint64]string{}
	for _, s := range golden.Sectors() {
		if s.SectorSize != 2<<10 {
			continue
		}
		dir, id := t.TempDir(), uint64(len(want))
		cache, staged, sealed := filepath.Join(dir, "cache"), filepath.Join(dir, "staged"), filepath.Join(dir, "sealed")
		f, err := os.Create(staged)
		if err == nil {
			err = errors.Join(os.Mkdir(cache, 0o777), os.WriteFile(sealed, nil, 0o666))
		}
		var existing []porep.UnpaddedSize
		proof, _ := porep.ParseSealProof(s.RegisteredProof)
		for _, p := range s.Pieces {
			if err == nil {
				_, err = seal.AddPiece(t.Context(), proof, golden.Stream(p.Stream, p.UnpaddedSize), porep.UnpaddedSize(p.UnpaddedSize), f, existing)
			}
			existing = append(existing, porep.UnpaddedSize(p.UnpaddedSize))
		}
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		want[id], dirs[id] = s, dir
		p.send(fmt.Sprintf(`{"id":%d,"task":%s}`, id, object(pc1Task(s, cache, staged, sealed))))
	}
	if len(want) < 5 {
		t.Fatalf("%d golden sectors", len(want))
	}
	for range len(want) {
		id, output, failed := p.reply()
		s, cache := want[id], filepath.Join(dirs[id], "cache")
		if wanted := strings.ReplaceAll(s.P1Output, "$CACHE", cache); output != wanted {
			t.Errorf("%s: %s %s, want %s", s.Name, output, failed, wanted)
		}
		if got := testkit.Digest(t, filepath.Join(dirs[id], "sealed")); got != s.SealedSHA256 {
			t.Errorf("%s: sealed is %s, want %s", s.Name, got, s.SealedSHA256)
		}
		for i, l := range s.Layers {
			if got := testkit.Digest(t, filepath.Join(cache, fmt.Sprintf("sc-02-data-layer-%d.dat", i+1))); got != l.SHA256 {
				t.Errorf("%s: layer %d is %s, want %s", s.Name, i+1, got, l.SHA256)
			}
		}
	}
	in.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// FuzzServe: whatever comes in, each line that goes out is a reply, to an id that was asked for,
// and the process ends when its input does.
func FuzzServe(f *testing.F) {
	for _, s := range []string{
		"", "\n", "{}", `{"id":1}`, `{"id":1,"task":{}}`, `{"id":1,"task":"a"}` + "\n" + `{"id":2,"task":[1]}`, `{"task":{"id":3},"id":4}`,
		`{"id":1,"task":{"registered_proof":"StackedDrg2KiBV1","piece_infos":[{"commitment":[1,2],"size":-1}]}}`,
		`{"id":1,"task":{"seal_proof_type":"StackedDrg2KiBV1","pieces":[{"piece_file":{"local":"a"},"payload_size":1,"piece_size":127}],"staged_filepath":"\ud800"}}`,
		object(pc1Task(golden.Sectors()[0], "a", "b", "c")), "\xff{\"id\":1}",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		for _, decode := range []func([]byte) (any, error){
			func(b []byte) (any, error) { return PC1(b) }, func(b []byte) (any, error) { return AddPieces(b) }, func(b []byte) (any, error) { return TreeD(b) },
		} {
			var out bytes.Buffer
			if err := Serve(t.Context(), strings.NewReader(in), &out, Options{Stage: "any"}, decode, atOnce(func(context.Context, any) ([]byte, error) { return []byte("true"), nil })); err != nil {
				t.Fatal(err)
			}
			lines := strings.SplitAfter(out.String(), "\n")
			if lines[0] != "any processor ready\n" || lines[len(lines)-1] != "" {
				t.Fatalf("%q", out.String())
			}
			for _, line := range lines[1 : len(lines)-1] {
				var r reply
				if err := json.Unmarshal([]byte(line), &r); err != nil || r.ID == nil || (r.Err == nil) == (r.Output == nil) {
					t.Errorf("%q, %v", line, err)
				}
			}
		}
	})
}
