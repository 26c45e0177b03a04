package ffi

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sealer"
)

// newProcess has the next call find a process that has opened nothing, and nothing of the
// user's settings.
func newProcess(t *testing.T) {
	t.Helper()
	t.Setenv("SDR_FFI", "")
	for _, v := range variables {
		t.Setenv(v.name, "")
	}
	t.Setenv("SDR_LOCK_DIR", filepath.Join(t.TempDir(), "locks"))
	t.Setenv("SDR_PROFILE", "none")
	t.Setenv("SDR_NOTES", "off")
	process = opener{}
}

// A wrong setting is an error of each call that names it and its value, and all that are
// wrong are told at once; when it is put right, the next call goes on.
func TestWrongSettings(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("schema = 99\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ variable, value, want string }{
		{"SDR_BATCH_WAIT", "2", "like 2s"},
		{"SDR_BATCH_WAIT", "-1s", "from 0 to 1h"},
		{"SDR_BATCH_WAIT", "2h", "from 0 to 1h"},
		{"SDR_BATCH", "0", fmt.Sprintf("from 1 to %d", engine.MaxSectors)},
		{"SDR_BATCH", "many", fmt.Sprintf("from 1 to %d", engine.MaxSectors)},
		{"SDR_PROFILE", missing, "no such file"},
		{"SDR_PROFILE", file, "schema is 99"},
		{"SDR_KERNEL", "sha-ni/99", "sha-ni/99"},
		{"SDR_MEMORY_MODE", "half", "one-layer"},
		{"SDR_MEMORY_BUDGET", "much", "no number"},
		{"SDR_MEMORY_BUDGET", "0", "no memory"},
		{"SDR_PAGES", "4MiB", "2MiB"},
		{"SDR_HUGETLBFS", missing, "no such file"},
		{"SDR_PARENT_CACHE", missing, "no such file"},
		{"SDR_PARENT_CACHE", file, "not a directory"},
		{"SDR_NOTES", "syslog", "neither stderr nor off"},
	} {
		t.Run(test.variable+"="+test.value, func(t *testing.T) {
			newProcess(t)
			t.Setenv(test.variable, test.value)
			for range 2 {
				err := GenerateSDR(int64(porep.StackedDrg2KiBV1_1), t.TempDir(), [32]byte{})
				wrong := (*SettingError)(nil)
				if !errors.As(err, &wrong) || wrong.Variable != test.variable || wrong.Value != test.value || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%v, want %s=%q: … %s", err, test.variable, test.value, test.want)
				}
			}
			t.Setenv(test.variable, "")
			t.Setenv("SDR_PROFILE", "none")
			t.Setenv("SDR_NOTES", "off")
			if _, err := process.open(); err != nil {
				t.Errorf("put right: %v", err)
			}
		})
	}
	newProcess(t)
	t.Setenv("SDR_BATCH", "x")
	t.Setenv("SDR_PAGES", "y")
	if _, err := process.open(); err == nil || !strings.Contains(err.Error(), `SDR_BATCH="x"`) || !strings.Contains(err.Error(), `SDR_PAGES="y"`) {
		t.Errorf("two wrong: %v, want both", err)
	}
	t.Setenv("SDR_FFI", "No")
	if _, err := Off(); err == nil || !strings.Contains(err.Error(), `SDR_FFI="No"`) {
		t.Errorf("SDR_FFI=No: %v", err)
	}
}

// A lock directory that cannot be used is an error of package reserve, which names it.
func TestWrongLockDir(t *testing.T) {
	newProcess(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SDR_LOCK_DIR", file)
	if err := GenerateSDR(int64(porep.StackedDrg2KiBV1_1), t.TempDir(), [32]byte{}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("%v, want what is wrong with %s", err, file)
	}
}

func TestSettings(t *testing.T) {
	newProcess(t)
	t.Setenv("SDR_LOCK_DIR", "")
	t.Setenv("SDR_NOTES", "")
	s, err := readSettings()
	if err != nil || s.join.Wait != 2*time.Second || s.join.Sectors != 0 || !s.notes || s.machine.LockDir != "" || s.machine.Pages != nil {
		t.Errorf("nothing set: %+v, %v", s, err)
	}
	dir := t.TempDir()
	for name, value := range map[string]string{
		"SDR_BATCH_WAIT": "500ms", "SDR_BATCH": "7", "SDR_LOCK_DIR": "/locks", "SDR_KERNEL": "generic/1", "SDR_MEMORY_MODE": "one-layer", "SDR_MEMORY_BUDGET": "256GiB",
		"SDR_PAGES": "transparent", "SDR_HUGETLBFS": "/huge", "SDR_PARENT_CACHE": dir, "SDR_NOTES": "stderr", "SDR_PROFILE": "profile",
	} {
		t.Setenv(name, value)
	}
	if s, err = readSettings(); err != nil {
		t.Fatal(err)
	}
	m := s.machine
	got := fmt.Sprintln(s.join.Wait, s.join.Sectors, m.LockDir, m.Kernel, m.Untuned.Kernel, m.MemoryMode, m.Budget, m.Pages, m.HugeTLBFS, m.ParentCache, s.notes, s.profile)
	if want := fmt.Sprintln(500*time.Millisecond, 7, "/locks", "generic/1", true, engine.OneLayer, 256<<30, "[transparent huge pages small pages]", "/huge", dir, true, "profile"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for value, want := range map[string]bool{"": false, "on": false, "off": true} {
		t.Setenv("SDR_FFI", value)
		if off, err := Off(); off != want || err != nil {
			t.Errorf("SDR_FFI=%s: %t, %v", value, off, err)
		}
	}
}

// Each setting is in the package's comment and in the manual, and none that does not exist.
func TestDocumented(t *testing.T) {
	for _, name := range []string{"ffi.go", "../docs/hosts.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all := []string{"SDR_FFI"}
		for _, v := range variables {
			all = append(all, v.name)
		}
		named := regexp.MustCompile(`\bSDR_[A-Z_]+`).FindAllString(string(text), -1)
		for _, variable := range all {
			if !slices.Contains(named, variable) {
				t.Errorf("%s lacks %s", name, variable)
			}
		}
		for _, variable := range named {
			if !slices.Contains(all, variable) {
				t.Errorf("%s names %s, which is no setting", name, variable)
			}
		}
	}
}

func sectorOf(t *testing.T, name string) *golden.Sector {
	t.Helper()
	for _, g := range append(golden.Sectors(), golden.ZeroSectors()...) {
		if g.Name == name {
			return &g
		}
	}
	t.Fatalf("no golden sector %s", name)
	return nil
}

func checkLayers(t *testing.T, g *golden.Sector, dir string) {
	t.Helper()
	for i, layer := range g.Layers {
		if got := testkit.Digest(t, filepath.Join(dir, fmt.Sprintf("sc-02-data-layer-%d.dat", i+1))); got != layer.SHA256 {
			t.Errorf("%s: layer %d has SHA-256 %s, want %s", g.Name, i+1, got, layer.SHA256)
		}
	}
}

func replicaID(t *testing.T, g *golden.Sector) [32]byte {
	t.Helper()
	id, err := porep.ParseReplicaID(g.ReplicaID)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Calls that come together are one job: with a wait of an hour, both end only because the job
// has all that it may have. The process has one machine.
func TestJoined(t *testing.T) {
	newProcess(t)
	t.Setenv("SDR_BATCH_WAIT", "1h")
	t.Setenv("SDR_BATCH", "2")
	var calls sync.WaitGroup
	hosts := make([]*host, 2)
	for i, name := range []string{"zero-2KiB-1.1", "visible-2KiB-1.1-3"} {
		g := sectorOf(t, name)
		id, dir := replicaID(t, g), t.TempDir()
		calls.Go(func() {
			if err := GenerateSDR(int64(porep.StackedDrg2KiBV1_1), dir, id); err != nil {
				t.Error(err)
				return
			}
			checkLayers(t, g, dir)
			hosts[i], _ = process.open()
		})
	}
	calls.Wait()
	if hosts[0] == nil || hosts[0] != hosts[1] {
		t.Errorf("machines %p and %p, want one", hosts[0], hosts[1])
	}
}

// What a host may hand over wrong is an error that says what it is and what it should be.
func TestBadInput(t *testing.T) {
	newProcess(t)
	dir := t.TempDir()
	const proof = int64(porep.StackedDrg2KiBV1_1)
	ticket := make([]byte, 32)
	pc1 := func(proof int64, cache string, ticket []byte, pieces ...Piece) error {
		_, err := SealPreCommitPhase1(proof, cache, "/dev/zero", filepath.Join(dir, "sealed"), 1, 1000, ticket, pieces)
		return err
	}
	unsealed := func(pieces ...Piece) error {
		_, err := UnsealedCommitment(proof, pieces)
		return err
	}
	commP := func(proof int64, n int, size uint64) error {
		_, err := PieceCommitment(proof, bytes.NewReader(make([]byte, n)), size)
		return err
	}
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"ticket of 31 bytes", pc1(proof, dir, ticket[1:]), "31 bytes, want 32"},
		{"no ticket", pc1(proof, dir, nil), "0 bytes, want 32"},
		{"comm_p of 31 bytes", pc1(proof, dir, ticket, Piece{ticket[1:], 2048}), "31 bytes, want 32"},
		{"unpadded size", pc1(proof, dir, ticket, Piece{ticket, 2032}), "2032 padded bytes"},
		{"size of no piece", unsealed(Piece{ticket, 384}), "no power of two"},
		{"piece that is too large", unsealed(Piece{ticket, 4096}), "larger than the sector"},
		{"unknown proof", pc1(99, dir, ticket), `"99" is not registered`},
		{"unknown proof of SDR", GenerateSDR(-1, dir, [32]byte{}), `"-1" is not registered`},
		{"unknown proof of comm_p", commP(20, 127, 127), `"20" is not registered`},
		{"no cache dir", pc1(proof, filepath.Join(dir, "none"), ticket), "none"},
		{"no cache dir of SDR", GenerateSDR(proof, filepath.Join(dir, "none"), [32]byte{}), "none"},
		{"no sealed", pc1(proof, dir, ticket), "sealed"},
		{"piece that ends early", commP(proof, 126, 127), "126 bytes, 127 were announced"},
		{"piece of no size", commP(proof, 126, 126), "126"},
		{"piece of a negative size", commP(proof, 126, 1<<63), "larger than any sector"},
	} {
		if test.err == nil || !strings.Contains(test.err.Error(), test.want) {
			t.Errorf("%s: %v, want %q in it", test.name, test.err, test.want)
		}
	}
}

// filcrypto's function reads as much of a file as the piece has, and so do hosts' pieces that
// stand in a larger file.
func TestPieceInLargerFile(t *testing.T) {
	for _, c := range golden.CommPs() {
		if c.UnpaddedSize > 1<<20 {
			continue
		}
		source := io.MultiReader(golden.Stream(c.Stream, c.UnpaddedSize), strings.NewReader("more"))
		commP, err := PieceCommitment(int64(porep.StackedDrg32GiBV1_1), source, c.UnpaddedSize)
		if got := hex.EncodeToString(commP[:]); err != nil || got != c.CommP {
			t.Errorf("%s: %s, %v, want %s", c.Stream, got, err, c.CommP)
		}
	}
}

// A fault of ours is an error, and the host lives.
func TestPanic(t *testing.T) {
	staged, err := os.Create(filepath.Join(t.TempDir(), "staged"))
	if err != nil {
		t.Fatal(err)
	}
	defer staged.Close()
	_, _, _, err = WriteWithAlignment(int64(porep.StackedDrg2KiBV1_1), faulty{}, 127, staged, nil)
	fault := (*PanicError)(nil)
	if !errors.As(err, &fault) || fault.Value != "faulty" || !strings.Contains(err.Error(), "faulty.Read") {
		t.Errorf("%v, want the fault and where it was", err)
	}
}

type faulty struct{}

func (faulty) Read([]byte) (int, error) { panic("faulty") }

// A profile that nobody named may be missing, or not for us to read; a damaged one is an error.
func TestDefaultProfile(t *testing.T) {
	newProcess(t)
	t.Setenv("SDR_PROFILE", "")
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	t.Setenv("HOME", home)
	path := filepath.Join(home, "sdrbench", "profile.toml")
	read := func() (p *sealer.Profile, notes []string, err error) {
		s, err := readSettings()
		if err != nil {
			t.Fatal(err)
		}
		p, err = s.readProfile(func(text string) { notes = append(notes, text) })
		return p, notes, err
	}
	if p, notes, err := read(); p != nil || notes != nil || err != nil {
		t.Errorf("missing: %v, %q, %v", p, notes, err)
	}
	if err := os.WriteFile(filepath.Join(home, "sdrbench"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if p, notes, err := read(); p != nil || len(notes) != 1 || !strings.Contains(notes[0], path) || err != nil {
		t.Errorf("unreadable: %v, %q, %v", p, notes, err)
	}
	if err := errors.Join(os.Remove(filepath.Join(home, "sdrbench")), os.Mkdir(filepath.Join(home, "sdrbench"), 0o777), os.WriteFile(path, nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	if p, _, err := read(); p != nil || err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("damaged: %v, %v", p, err)
	}
}

// Nobody reads standard error: a host's descriptor 2 is a pipe whose other end is closed, and
// the host seals all the same. Notes are lines, whatever is in them.
func TestNotes(t *testing.T) {
	if os.Getenv("SDR_FFI_CHILD") != "" {
		g := sectorOf(t, "zero-2KiB-1.1")
		dir := t.TempDir()
		for range 3 {
			if err := GenerateSDR(int64(porep.StackedDrg2KiBV1_1), dir, replicaID(t, g)); err != nil {
				t.Fatal(err)
			}
			h, _ := process.open()
			for i := range 1000 {
				h.note(fmt.Sprint(i))
			}
		}
		checkLayers(t, g, dir)
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere such a host ends")
	}
	newProcess(t)
	t.Setenv("SDR_NOTES", "stderr")
	t.Setenv("SDR_BATCH_WAIT", "0")
	t.Setenv("SDR_FFI_CHILD", "1")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNotes$")
	cmd.Stderr = w
	r.Close()
	out, err := cmd.Output()
	w.Close()
	if err != nil {
		t.Errorf("with a standard error that nobody reads: %v\n%s", err, out)
	}

	r, w, err = os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	note := notesTo(w)
	note("a sector\nof f01000 \x1b[2J")
	line := make([]byte, 100)
	n, err := r.Read(line)
	if want := "sdr: a sector�of f01000 �[2J\n"; string(line[:n]) != want || err != nil {
		t.Errorf("%q, %v, want %q", line[:n], err, want)
	}
	for range 1 << 14 { // more than a pipe and the queue hold: it returns all the same
		note("nobody reads this")
	}
}
