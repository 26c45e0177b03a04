package cabi

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

type object = map[string]any

func requestOf(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// call makes a call, and waits for its answer.
func call(l *Library, f Function, machine uint64, request []byte) Answer {
	answers := make(chan Answer, 1)
	l.Start(f, machine, request, func(a Answer) { answers <- a })
	return <-answers
}

func open(t testing.TB, l *Library, options object) uint64 {
	t.Helper()
	a := call(l, Open, 0, requestOf(t, options))
	if a.Code != OK || a.Handle == 0 {
		t.Fatalf("%+v", a)
	}
	return a.Handle
}

// zeroSector is a golden sector of 2 KiB without deals, and its request's object.
func zeroSector(t testing.TB) (object, golden.Sector) {
	t.Helper()
	for _, g := range golden.ZeroSectors() {
		if g.RegisteredProof != porep.StackedDrg2KiBV1_1.String() {
			continue
		}
		dir := t.TempDir()
		s := object{
			"proof": g.RegisteredProof, "cache-dir": filepath.Join(dir, "cache"), "staged": "/dev/zero", "sealed": filepath.Join(dir, "sealed"),
			"prover-id": g.ProverID, "sector": g.SectorID, "ticket": g.Ticket,
		}
		if err := os.Mkdir(s["cache-dir"].(string), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(s["sealed"].(string), nil, 0o666); err != nil {
			t.Fatal(err)
		}
		return s, g
	}
	t.Fatal("no golden sector of 2 KiB without deals")
	return nil, golden.Sector{}
}

func phase1(s object, g golden.Sector) string {
	return strings.ReplaceAll(g.P1Output, "$CACHE", s["cache-dir"].(string))
}

func right(t *testing.T, s object, g golden.Sector) {
	t.Helper()
	for i, layer := range g.Layers {
		name := fmt.Sprintf("sc-02-data-layer-%d.dat", i+1)
		if got := testkit.Digest(t, filepath.Join(s["cache-dir"].(string), name)); got != layer.SHA256 {
			t.Errorf("%s is %s, want %s", name, got, layer.SHA256)
		}
	}
	if sealed, ok := s["sealed"].(string); ok && testkit.Digest(t, sealed) != g.SealedSHA256 {
		t.Errorf("sealed is %s, want %s", testkit.Digest(t, sealed), g.SealedSHA256)
	}
}

// parsed is an answer's result.
func parsed(t *testing.T, a Answer) (r sectorsResult) {
	t.Helper()
	if err := json.Unmarshal(a.Result, &r); err != nil {
		t.Fatalf("%+v: %v", a, err)
	}
	return r
}

// Several sectors in one request, of which one fails.
func TestPreCommit1(t *testing.T) {
	var l Library
	a, g := zeroSector(t)
	b, _ := zeroSector(t)
	c, _ := zeroSector(t)
	b["piece"] = []string{g.CommD + ":2032"}
	c["piece"] = []string{strings.Repeat("01", 31) + "00:2032"} // which the data is not
	answer := call(&l, PreCommit1, 0, requestOf(t, object{"sectors": []object{a, b, c}, "name": "three"}))
	if answer.Code != Failed || !strings.HasPrefix(answer.Error, "sdr: 1 of 3 sectors failed, first: seal: checking pieces: ") {
		t.Fatalf("%+v", answer)
	}
	r := parsed(t, answer)
	for i, s := range []object{a, b} {
		if got := r.Sectors[i]; got.Index != i || got.Code != OK || got.Error != "" || string(got.Phase1) != phase1(s, g) {
			t.Errorf("sector %d: %+v, want %s", i, got, phase1(s, g))
		}
		right(t, s, g)
	}
	if got := r.Sectors[2]; got.Code != Failed || got.Phase1 != nil || !strings.Contains(got.Error, "checking pieces") {
		t.Errorf("%+v", got)
	}
	// Phase 2 has made a replica of it: that is not overwritten unasked.
	replica := []byte(strings.Repeat("replica.", 256))
	if err := os.WriteFile(a["sealed"].(string), replica, 0o666); err != nil {
		t.Fatal(err)
	}
	if got := call(&l, PreCommit1, 0, requestOf(t, object{"sectors": []object{a}})); got.Code != Failed || !strings.Contains(got.Error, "(overwrite destroys it and seals again)") {
		t.Errorf("%+v", got)
	}
	if now, err := os.ReadFile(a["sealed"].(string)); err != nil || string(now) != string(replica) {
		t.Errorf("it is another, %v", err)
	}
	if got := call(&l, PreCommit1, 0, requestOf(t, object{"sectors": []object{a}, "overwrite": true})); got.Code != OK {
		t.Errorf("%+v", got)
	}
	right(t, a, g)
}

func TestGenerate(t *testing.T) {
	var l Library
	var sectors []object
	var of golden.Sector
	for range 2 {
		s, g := zeroSector(t)
		sectors, of = append(sectors, object{"proof": s["proof"], "cache-dir": s["cache-dir"], "replica-id": g.ReplicaID}), g
	}
	answer := call(&l, Generate, open(t, &l, object{"hashers": 1}), requestOf(t, object{"sectors": sectors}))
	if answer.Code != OK {
		t.Fatalf("%+v", answer)
	}
	for i, s := range parsed(t, answer).Sectors {
		if len(s.Layers) != len(of.Layers) || s.Layers[1] != filepath.Join(sectors[i]["cache-dir"].(string), "sc-02-data-layer-2.dat") {
			t.Errorf("%+v", s)
		}
		right(t, sectors[i], of)
	}
}

// Calls that come one at a time are labelled together, and each sees where its job stands.
func TestJoined(t *testing.T) {
	var l Library
	const sectors = 3
	machine := open(t, &l, object{"batch": sectors, "batch-wait": "100h"})
	answers := make(chan Answer, sectors)
	var all []object
	var of golden.Sector
	var calls []*Call
	for i := range sectors {
		s, g := zeroSector(t)
		all, of = append(all, s), g
		if i == sectors-1 {
			var p struct{ Stage string }
			if err := json.Unmarshal(calls[0].Progress(), &p); err != nil || p.Stage != "waiting" {
				t.Errorf("%s, %v: want waiting", calls[0].Progress(), err)
			}
		}
		calls = append(calls, l.Start(PreCommit1, machine, requestOf(t, object{"sectors": []object{s}}), func(a Answer) { answers <- a }))
	}
	for range sectors {
		if a := <-answers; a.Code != OK {
			t.Errorf("%+v", a)
		}
	}
	for i, s := range all {
		right(t, s, of)
		var p struct {
			Stage           string
			Sectors, Layers int
			Notes           []string
		}
		if err := json.Unmarshal(calls[i].Progress(), &p); err != nil || p.Sectors != sectors || p.Layers != 2 || p.Stage == "waiting" || p.Notes == nil {
			t.Errorf("%s, %v: want a job of %d sectors", calls[i].Progress(), err, sectors)
		}
	}
}

// A sector that another call has is refused, with a code of its own.
func TestBusy(t *testing.T) {
	var l Library
	machine := open(t, &l, object{"batch": 2, "batch-wait": "100h"})
	s, _ := zeroSector(t)
	request := requestOf(t, object{"sectors": []object{s}})
	answers := make(chan Answer, 2)
	first := l.Start(PreCommit1, machine, request, func(a Answer) { answers <- a })
	second := l.Start(PreCommit1, machine, request, func(a Answer) { answers <- a })
	if a := <-answers; a.Code != Busy {
		t.Errorf("%+v", a)
	}
	first.Cancel()
	second.Cancel()
	if a := <-answers; a.Code != Canceled {
		t.Errorf("%+v", a)
	}
	if entries, err := os.ReadDir(s["cache-dir"].(string)); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestPieces(t *testing.T) {
	var l Library
	dir := t.TempDir()
	for _, g := range golden.CommPs() {
		if g.UnpaddedSize > 1<<20 {
			continue
		}
		path := filepath.Join(dir, "piece")
		data, err := io.ReadAll(golden.Stream(g.Stream, g.UnpaddedSize))
		if err == nil {
			err = os.WriteFile(path, data, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		a := call(&l, CommP, 0, requestOf(t, object{"piece": path}))
		if want := fmt.Sprintf(`{"comm_p":"%s","piece_cid":"baga6ea4seaq`, g.CommP); a.Code != OK || !strings.HasPrefix(string(a.Result), want) {
			t.Errorf("%d: %s, want %s", a.Code, a.Result, want)
		}
	}
	for _, g := range golden.Sectors() {
		if g.SectorSize != 2048 {
			continue
		}
		staged := filepath.Join(dir, g.Name)
		existing := []uint64{}
		for _, p := range g.Pieces {
			path := filepath.Join(dir, "piece")
			data, err := io.ReadAll(golden.Stream(p.Stream, p.UnpaddedSize))
			if err == nil {
				err = os.WriteFile(path, data, 0o666)
			}
			if err != nil {
				t.Fatal(err)
			}
			a := call(&l, AddPiece, 0, requestOf(t, object{"proof": g.RegisteredProof, "piece": path, "piece-size": p.UnpaddedSize, "staged": staged, "existing": existing}))
			if want := fmt.Sprintf(`"unpadded_size":%d,"written":%d,"padded_size":%d,"piece_cid_v2":"bafkzcib`, p.UnpaddedSize, p.Written, p.UnpaddedSize/127*128); a.Code != OK || !strings.Contains(string(a.Result), want) {
				t.Fatalf("%s: %d: %s%s, want %s", g.Name, a.Code, a.Result, a.Error, want)
			}
			existing = append(existing, p.UnpaddedSize)
		}
		if len(g.Pieces) > 0 && testkit.Digest(t, staged) != g.StagedSHA256 {
			t.Errorf("%s: staged is another", g.Name)
		}
	}
	piece := filepath.Join(dir, "piece")
	if err := os.WriteFile(piece, make([]byte, 2032), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []struct {
		f       Function
		request object
		code    Code
		want    string
	}{
		{CommP, object{"piece": dir}, Failed, dir + " is a directory"},
		{CommP, object{"piece": filepath.Join(dir, "none")}, Failed, "no such file"},
		{CommP, object{"piece": piece, "piece-size": 127}, Failed, "has 2032 bytes, piece-size announced 127"},
		{CommP, object{"piece": "/dev/null"}, BadRequest, "piece-size is missing: the size of /dev/null is not known before its end"},
		{CommP, object{"piece": piece, "piece-size": 128}, BadRequest, "piece-size: porep: checking piece size: 128 unpadded bytes"},
		{AddPiece, object{"proof": "StackedDrg2KiBV1", "piece": piece, "piece-size": 2032, "staged": piece}, Failed, "are one file"},
		{AddPiece, object{"proof": "StackedDrg2KiBV1", "piece": piece, "piece-size": 2032, "staged": filepath.Join(dir, "staged"), "existing": []int{127}}, Failed, "do not fit into the sector"},
	} {
		a := call(&l, bad.f, 0, requestOf(t, bad.request))
		if a.Code != bad.code || !strings.Contains(a.Error, bad.want) {
			t.Errorf("%v: %d: %s, want %d: %s", bad.request, a.Code, a.Error, bad.code, bad.want)
		}
	}
	if now, err := os.ReadFile(piece); err != nil || len(now) != 2032 {
		t.Errorf("the piece has %d bytes, %v", len(now), err)
	}
}

// The text form of a piece's commitment, as others write it.
func TestPieceCID(t *testing.T) {
	var l Library
	piece := filepath.Join(t.TempDir(), "piece")
	tested := 0
	for file, content := range map[string]string{"zero.txt": "\x00", "0xCC.txt": "\xcc"} {
		for line := range strings.Lines(golden.HashHash(file)) {
			var length, padded int
			var want string
			if _, err := fmt.Sscanf(strings.ReplaceAll(line, ",", " "), "%d %d %s", &length, &padded, &want); err != nil {
				t.Fatal(err)
			}
			if padded > 1<<20 {
				continue
			}
			data := strings.Repeat(content, length) + strings.Repeat("\x00", padded/128*127-length)
			if err := os.WriteFile(piece, []byte(data), 0o666); err != nil {
				t.Fatal(err)
			}
			if a := call(&l, CommP, 0, requestOf(t, object{"piece": piece})); !strings.Contains(string(a.Result), `"piece_cid":"`+want+`"`) {
				t.Errorf("%d bytes: %s%s, want %s", length, a.Result, a.Error, want)
			}
			tested++
		}
	}
	if tested < 10 {
		t.Errorf("%d pieces were small enough", tested)
	}
}

// What is wrong with a request is told with the field's name, all of it, before anything is
// touched.
func TestStrict(t *testing.T) {
	s, _ := zeroSector(t)
	with := func(name string, value any) string {
		changed := object{}
		for k, v := range s {
			changed[k] = v
		}
		if changed[name] = value; value == nil {
			delete(changed, name)
		}
		return string(requestOf(t, object{"sectors": []object{changed}}))
	}
	good := string(requestOf(t, object{"sectors": []object{s}}))
	var l Library
	for _, bad := range []struct {
		f       Function
		request string
		want    []string
	}{
		{PreCommit1, "", []string{"it is empty, want a JSON object"}},
		{PreCommit1, " \n", []string{"it is empty"}},
		{PreCommit1, "x", []string{"invalid character 'x'"}},
		{PreCommit1, `"x"`, []string{"want an object"}},
		{PreCommit1, "{", []string{"it ends in the middle of an object"}},
		{PreCommit1, `{"sectors":`, []string{"it ends in the middle of an object"}},
		{PreCommit1, strings.Repeat("[", 1<<20), []string{"want an object"}},
		{PreCommit1, `{"sectors":` + strings.Repeat("[", 1<<20), []string{"exceeded max depth"}},
		{PreCommit1, good + "{}", []string{"there is something behind the object"}},
		{PreCommit1, good + "}", []string{"there is something behind the object"}},
		{PreCommit1, "{}", []string{"sectors is missing"}},
		{PreCommit1, `{"sectors":null}`, []string{"sectors: want a list"}},
		{PreCommit1, `{"sectors":[]}`, []string{"sectors: there is none"}},
		{PreCommit1, `{"sectors":[null]}`, []string{"sectors[0]: want an object"}},
		{PreCommit1, `{"sectors":[{}]}`, []string{"sectors[0]: proof is missing", "sectors[0]: cache-dir is missing", "sectors[0]: miner or prover-id is missing", "sectors[0]: ticket is missing"}},
		{PreCommit1, `{"Sectors":[]}`, []string{`unknown field "Sectors", want some of name, no-wait, overwrite, sectors`}},
		{PreCommit1, `{"name":"a","name":"b"}`, []string{"name: it is there twice"}},
		{PreCommit1, "{\"name\":\"\xff\"}", []string{"it is not UTF-8"}},
		{PreCommit1, `{"name":"\ud800"}`, []string{"name: ", "holds what is no character"}},
		{PreCommit1, `{"name":"a\u0000b"}`, []string{"name: ", "holds what is no character"}},
		{PreCommit1, `{"name":""}`, []string{`name: "" is no text`}},
		{PreCommit1, `{"no-wait":"true"}`, []string{"no-wait: want true or false"}},
		{PreCommit1, with("sector", 1.5), []string{`sectors[0].sector: "1.5" is not a number from 0 to 18446744073709551615`}},
		{PreCommit1, with("sector", -1), []string{`sectors[0].sector: "-1" is not`}},
		{PreCommit1, with("sector", json.Number("18446744073709551616")), []string{`sectors[0].sector: "18446744073709551616" is not`}},
		{PreCommit1, with("sector", json.Number("1e3")), []string{`sectors[0].sector: "1e3" is not`}},
		{PreCommit1, with("sector", true), []string{"sectors[0].sector: want a string, or a number"}},
		{PreCommit1, with("sector", object{}), []string{"sectors[0].sector: want a string, or a number"}},
		{PreCommit1, with("miner", 1000), []string{"sectors[0]: miner or prover-id: only one of them"}},
		{PreCommit1, with("piece", "x"), []string{"sectors[0].piece: want a list"}},
		{PreCommit1, with("piece", []string{"x", "y:1"}), []string{`sectors[0].piece[0]: "x" is not COMM_P:UNPADDED`, "sectors[0].piece[1]: "}},
		{PreCommit1, with("proof", "StackedDrg3KiBV1"), []string{"sectors[0].proof: "}},
		{PreCommit1, with("ticket", "00"), []string{"sectors[0].ticket: porep: parsing ticket"}},
		{PreCommit1, with("replica-id", strings.Repeat("00", 32)), []string{`sectors[0]: unknown field "replica-id"`}},
		{PreCommit1, strings.Replace(good, "]", `,{"proof":"StackedDrg8MiBV1"}]`, 1), []string{"sectors[1]: ticket is missing"}},
		{PreCommit1, `{"sectors":[` + strings.Repeat("0,", 1<<16) + `0]}`, []string{"sectors[0]: want an object", "more"}},
		{Generate, good, []string{`sectors[0]: unknown field "ticket"`, "sectors[0]: replica-id is missing"}},
		{AddPiece, "{}", []string{"proof is missing", "piece is missing", "piece-size is missing", "staged is missing"}},
		{AddPiece, `{"existing":["127",127,1.0,"x"]}`, []string{`existing[2]: "1.0" is not a number of bytes`, `existing[3]: "x"`}},
		{CommP, "{}", []string{"piece is missing"}},
		{CommP, strings.Repeat(" ", MaxRequest+1), []string{"16777217 bytes, want at most 16777216"}},
		{Open, `{"kernel":"none","hashers":0,"batch":2}`, []string{"kernel: ", `hashers: "0" is not a number from 1 to`, "batch: it needs batch-wait"}},
		{Open, `{"batch-wait":"5"}`, []string{`batch-wait: "5" is not a time`}},
		{Open, `{"policy":"somewhere"}`, []string{"policy: "}},
		{Open, `{"stride":4096,"lookahead":1}`, []string{"ahead"}},
	} {
		a := call(&l, bad.f, 0, []byte(bad.request))
		wantResult := `{"kind":"bad-input"}`
		if bad.f == Open { // a handle is all that it has
			wantResult = ""
		}
		if a.Code != BadRequest || string(a.Result) != wantResult || strings.ContainsAny(a.Error, "\n\x00") {
			t.Errorf("%.100s: %d: %.300s", bad.request, a.Code, a.Error)
		}
		for _, want := range bad.want {
			if !strings.Contains(a.Error, want) {
				t.Errorf("%.100s: %.1000s, want %s", bad.request, a.Error, want)
			}
		}
		if len(a.Error) > 20000 {
			t.Errorf("%.100s: an error of %d bytes", bad.request, len(a.Error))
		}
	}
	if entries, err := os.ReadDir(s["cache-dir"].(string)); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

// A machine's number is good from open to close; 0 is always there.
func TestMachines(t *testing.T) {
	var l Library
	s, _ := zeroSector(t)
	request := requestOf(t, object{"sectors": []object{s}})
	dir := t.TempDir()
	machine := open(t, &l, object{"lock-dir": filepath.Join(dir, "locks"), "policy": "spread", "hashers": 1, "memory": "1GiB", "profile": "none", "kernel": "auto"})
	if a := call(&l, PreCommit1, machine, request); a.Code != OK {
		t.Errorf("%+v", a)
	}
	if a := call(&l, Close, machine, nil); a.Code != OK {
		t.Errorf("%+v", a)
	}
	for _, f := range []Function{Close, PreCommit1} {
		if a := call(&l, f, machine, request); a.Code != BadRequest || !strings.Contains(a.Error, "was closed before") {
			t.Errorf("%+v", a)
		}
	}
	if a := call(&l, Close, 0, nil); a.Code != BadRequest {
		t.Errorf("%+v", a)
	}
	for options, code := range map[string]Code{
		fmt.Sprintf(`{"profile":%q}`, filepath.Join(dir, "none.toml")): Failed,
		fmt.Sprintf(`{"hugetlbfs":%q}`, dir):                           BadRequest,
	} {
		if a := call(&l, Open, 0, []byte(options)); a.Code != code || a.Handle != 0 {
			t.Errorf("%s: %+v", options, a)
		}
	}
	// What there is no room for, no matter which job ends, is not busy.
	machine = open(t, &l, object{"memory": 1})
	if a := call(&l, PreCommit1, machine, request); a.Code != Failed {
		t.Errorf("%+v", a)
	}
}

// A panic does not get out of a call.
func TestFault(t *testing.T) {
	for range 50 {
		a := call(nil, PreCommit1, 0, []byte(`{"sectors":[{"proof":"StackedDrg2KiBV1","cache-dir":"c","staged":"s","sealed":"s","miner":1,"sector":1,"ticket":"`+strings.Repeat("0", 64)+`"}]}`))
		if a.Code != Fault || !strings.Contains(a.Error, "a fault in the library: runtime error") || strings.ContainsAny(a.Error, "\n\x00") {
			t.Fatalf("%+v", a)
		}
	}
}

// A pipe that nobody writes to, or opens, keeps no call that is cancelled.
func TestCancelPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	var l Library
	answers := make(chan Answer, 1)
	c := l.Start(CommP, 0, requestOf(t, object{"piece": fmt.Sprintf("/proc/self/fd/%d", r.Fd()), "piece-size": 127}), func(a Answer) { answers <- a })
	testkit.WaitFor(t, func() bool { return strings.Contains(string(c.Progress()), `"stage":"piece"`) })
	c.Cancel()
	if a := <-answers; a.Code != Canceled {
		t.Errorf("%+v", a)
	}
}

// A call that is cancelled at any moment ends, and says that it was cancelled or that it was done.
func TestCancel(t *testing.T) {
	var l Library
	canceled := 0
	for i := range 50 {
		s, g := zeroSector(t)
		answers := make(chan Answer, 1)
		c := l.Start(PreCommit1, 0, requestOf(t, object{"sectors": []object{s}}), func(a Answer) { answers <- a })
		for range i * i { // from at once to when it has ended
			c.Progress()
		}
		c.Cancel()
		switch a := <-answers; a.Code {
		case OK:
			right(t, s, g)
		case Canceled:
			canceled++
		default:
			t.Errorf("%+v", a)
		}
	}
	t.Logf("%d of 50 were cancelled", canceled)
}

// No request is more than an error.
func FuzzRequest(f *testing.F) {
	f.Add(0, []byte(`{"sectors":[{"proof":"StackedDrg2KiBV1_1","cache-dir":"c","staged":"s","sealed":"s","miner":"f01","sector":1,"ticket":"00","piece":["a:1"]}]}`))
	f.Add(1, []byte(`{"sectors":[{"proof":"StackedDrg2KiBV1_1","cache-dir":"c","replica-id":"00"}],"name":"n","no-wait":true}`))
	f.Add(2, []byte(`{"name":"\ud800","name":3}`))
	f.Fuzz(func(t *testing.T, function int, request []byte) {
		q, err := readSectors(Function(function&1), request)
		if err == nil && (len(q.sectors) == 0 || q.sectors[0].CacheDir == "" || q.sectors[0].Proof.Check() != nil) {
			t.Errorf("%q: %+v is no request", request, q)
		}
		if err != nil && codeOf(err) != BadRequest {
			t.Errorf("%q: %v is no RequestError", request, err)
		}
	})
}
