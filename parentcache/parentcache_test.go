package parentcache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

// golden has what the reference implementation calls its files and, where it
// says so or such a file was made with it, the file's SHA-256.
var golden = map[porep.SealProof]struct {
	id     string
	sha256 string // only of what the reference does not publish
}{
	porep.StackedDrg2KiBV1:                            {id: "3f0eef38bb48af1f48ad65e14eb85b4ebfc167cec18cd81764f6d998836c9899"},
	porep.StackedDrg2KiBV1_1:                          {id: "494d91dc80f2df5272c4b9e129bc7ade9405225993af9fe34e6542a39a47554b"},
	porep.StackedDrg8MiBV1:                            {id: "dcdabb0fbe4364bf0ac28b6a18c66de246409fa1a9020a00f33fb3e3053da6dc"},
	porep.StackedDrg8MiBV1_1:                          {id: "5eed212119fd91aa6220a27f31a8966444a9381842bceb3a1ea61525bd47a5b5"},
	porep.StackedDrg512MiBV1:                          {id: "2aa9c77c3e58259481351cc4be2079cc71e1c9af39700866545c043bfa30fb42"},
	porep.StackedDrg512MiBV1_1:                        {id: "7ba215a1d2345774ab90b8cb1158d296e409d6068819d7b8c7baf0b25d63dc34"},
	porep.StackedDrg32GiBV1:                           {id: "e1fa5d5b811ddbd118be3412c4a8c329156b8b8acc72632bca459455b5a05a13"},
	porep.StackedDrg32GiBV1_1:                         {id: "21981246c370f9d76c7a77ab273d94bde0ceb4e938292334960bce05585dc117"},
	porep.StackedDrg64GiBV1:                           {id: "8a99e8d6b6be7ab87a56b632e6739ff201c23ea14e99737c74690f0e265574d6"},
	porep.StackedDrg64GiBV1_1:                         {id: "4905486b7af19558ac3649bc6261411858b6add534438878c4ee3b29d8b9de0b"},
	porep.StackedDrg2KiBV1_1_Feat_SyntheticPoRep:      {"1aa0c04f9b6b2ba6ece696274b0f0b53438c9acd1ae1b3943d837bacb65ad66b", "0c9ac05c2f3221deff12ab7b098acc90d974c3db61925b8429537e06c6062621"},
	porep.StackedDrg2KiBV1_2_Feat_NonInteractivePoRep: {"896a357165f80a0aedd30a419e412a4ef3e8d95718896655dd42fd415eab41a2", "3f5bf8010fc1cefce85a00045fad10a7abe09ab9e97d5ad9d1a08ff834ac5590"},
	porep.StackedDrg8MiBV1_1_Feat_SyntheticPoRep:      {"727a5e3eada45a0975f90b2651ed09ce5db554c99f03d7f029049ae3a36462a5", "e1638d25de578d6aced310f722ed05acd71d35f7f5dd2f1f21c14ed827f27a20"},
	porep.StackedDrg8MiBV1_2_Feat_NonInteractivePoRep: {"6de1e885248c809ed294f690d79d06ede06fd51c541b324bc1dc10628fccb991", "091d3efd426387d9a4fb672cf0cb9360506eef66ae13ea03e7ec653ab315e6cb"},
}

const (
	small       = porep.StackedDrg2KiBV1_1                     // its digest is published
	unpublished = porep.StackedDrg2KiBV1_1_Feat_SyntheticPoRep // its digest is not
)

func TestNames(t *testing.T) {
	seen := map[string]porep.SealProof{}
	for _, p := range porep.SealProofs() {
		got, err := Name(p)
		if err != nil {
			t.Fatal(err)
		}
		if g, ok := golden[p]; ok && got != "v28-sdr-parent-"+g.id+".cache" {
			t.Errorf("%v: name %s, want id %s", p, got, g.id)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%v has the name of %v", p, other)
		}
		seen[got] = p
		if q, err := ProofOf("/some/directory/" + got); err != nil || q != p {
			t.Errorf("ProofOf(%s) = %v, %v, want %v", got, q, err, p)
		}
	}
	var unknown *porep.UnknownProofError
	if _, err := Name(20); !errors.As(err, &unknown) {
		t.Errorf("Name(20): error %v, want an UnknownProofError", err)
	}
	for _, name := range []string{"", "/", "v28-sdr-parent-.cache", name(small) + ".tmp"} {
		var unknown *UnknownNameError
		if _, err := ProofOf(name); !errors.As(err, &unknown) {
			t.Errorf("ProofOf(%q): error %v, want an UnknownNameError", name, err)
		}
	}
}

func TestDigests(t *testing.T) {
	for _, p := range porep.SealProofs() {
		digest, ok := Digest(p)
		if want := p.APIVersion() != porep.APIv1_2; ok != want {
			t.Errorf("%v: digest published: %v, want %v", p, ok, want)
		}
		if ok && fmt.Sprintf("%x", digest) != digests[p] {
			t.Errorf("%v: digest %x, want %s", p, digest, digests[p])
		}
	}
}

// quickProofs are those whose file is small: 3.5 KiB and 14 MiB, these of each API version
// once, with -short of one, and with SDR_LONG_TESTS=1 with each feature.
func quickProofs() (proofs []porep.SealProof) {
	for _, p := range porep.SealProofs() {
		if p.SectorSize() <= 2<<10 || p == porep.StackedDrg8MiBV1_1 || p.SectorSize() == 8<<20 && !testing.Short() && (p <= porep.StackedDrg64GiBV1_1 || testkit.Long()) {
			proofs = append(proofs, p)
		}
	}
	return proofs
}

// makeCache generates p's file in a new directory and returns the directory.
func makeCache(t testing.TB, p porep.SealProof) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if _, err := Generate(t.Context(), p, dir, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// checkDirectory fails unless a directory has these files and, but for the lock, no others.
func checkDirectory(t testing.TB, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".lock") {
			got = append(got, e.Name())
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files in the directory (-want +got):\n%s", diff)
	}
}

func testGenerate(t *testing.T, p porep.SealProof) {
	dir := filepath.Join(t.TempDir(), "new", "directory")
	var last Event
	path, err := Generate(t.Context(), p, dir, func(e Event) { last = e })
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, name(p)); path != want {
		t.Errorf("path %s, want %s", path, want)
	}
	if nodes := p.SectorSize().Nodes(); last.Done != nodes || last.Total != nodes {
		t.Errorf("last event %+v, want all of %d nodes", last, nodes)
	}
	checkDirectory(t, dir, name(p))

	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	hash := sha256.New()
	if n, err := f.WriteTo(hash); err != nil || n != Size(p) {
		t.Errorf("read %d bytes, error %v, want %d bytes", n, err, Size(p))
	}
	want, ok := digests[p]
	if !ok {
		want = golden[p].sha256
	}
	if got := fmt.Sprintf("%x", hash.Sum(nil)); got != want && want != "" {
		t.Errorf("SHA-256 %s, want %s", got, want)
	}

	if err := Verify(t.Context(), path); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Generate(t.Context(), p, dir, nil); err != nil {
		t.Fatal(err)
	}
	if now, err := os.Stat(path); err != nil || !same(info, now) {
		t.Errorf("a valid file was not kept: %v, before %v, error %v", now, info, err)
	}
}

func TestGenerate(t *testing.T) {
	for _, p := range quickProofs() {
		t.Run(p.String(), func(t *testing.T) { testGenerate(t, p) })
	}
}

// The files of 512 MiB sectors have 0.9 GiB.
func TestGenerateLong(t *testing.T) {
	testkit.NeedsLong(t, "whole parent caches of large sectors")
	for _, p := range porep.SealProofs() {
		if p.SectorSize() == 512<<20 {
			t.Run(p.String(), func(t *testing.T) { testGenerate(t, p) })
		}
	}
}

func TestUnknownProof(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	var unknown *porep.UnknownProofError
	for _, p := range []porep.SealProof{-1, 20} {
		if _, err := Generate(ctx, p, dir, nil); !errors.As(err, &unknown) {
			t.Errorf("Generate: error %v, want an UnknownProofError", err)
		}
		if _, err := Ensure(ctx, p, dir, nil); !errors.As(err, &unknown) {
			t.Errorf("Ensure: error %v, want an UnknownProofError", err)
		}
		if _, err := Open(ctx, p, dir); !errors.As(err, &unknown) {
			t.Errorf("Open: error %v, want an UnknownProofError", err)
		}
		if err := VerifyFor(ctx, p, filepath.Join(dir, "file"), nil); !errors.As(err, &unknown) {
			t.Errorf("VerifyFor: error %v, want an UnknownProofError", err)
		}
	}
	checkDirectory(t, dir)
}

// A Cache and a Graph are interchangeable.
type parents interface {
	Proof() porep.SealProof
	Nodes() uint64
	Parents(dst []uint32, first uint64) error
}

var _, _ parents = (*Cache)(nil), (*graph.Graph)(nil)

func TestCacheIsGraph(t *testing.T) {
	for _, p := range quickProofs() {
		c, err := Open(t.Context(), p, makeCache(t, p))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		g, err := graph.New(p)
		if err != nil {
			t.Fatal(err)
		}
		if c.Proof() != p || c.Nodes() != g.Nodes() {
			t.Errorf("cache of %v with %d nodes, want %v with %d", c.Proof(), c.Nodes(), p, g.Nodes())
		}
		rapid.Check(t, func(rt *rapid.T) {
			first := rapid.Uint64Range(0, g.Nodes()+1).Draw(rt, "first")
			length := rapid.OneOf(
				rapid.Map(rapid.IntRange(0, 100), func(n int) int { return n * porep.Degree }),
				rapid.IntRange(0, 100),
			).Draw(rt, "length")
			got, want := make([]uint32, length), make([]uint32, length)
			gotErr, wantErr := c.Parents(got, first), g.Parents(want, first)
			if diff := cmp.Diff(wantErr, gotErr); diff != "" {
				rt.Fatalf("%v: error (-graph +cache):\n%s", p, diff)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				rt.Fatalf("%v: parents of %d nodes from %d on (-graph +cache):\n%s", p, length/porep.Degree, first, diff)
			}
		})
	}
}

func TestCacheDoesNotAllocate(t *testing.T) {
	c, err := Open(t.Context(), small, makeCache(t, small))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, span := range []struct{ first, nodes uint64 }{{0, 64}, {3, 5}} { // all that has a checksum, and a part
		dst := make([]uint32, span.nodes*porep.Degree)
		var failed error
		if n := testing.AllocsPerRun(10, func() { failed = c.Parents(dst, span.first) }); n != 0 || failed != nil {
			t.Errorf("Parents of %d nodes allocates %v times, error %v", span.nodes, n, failed)
		}
	}
}

func TestClose(t *testing.T) {
	c, err := Open(t.Context(), small, makeCache(t, small))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := c.Parents(make([]uint32, porep.Degree), 0); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Parents after Close: error %v, want os.ErrClosed", err)
	}
}

// The process survives a file that is cut short while it is mapped.
func TestReadError(t *testing.T) {
	const p = porep.StackedDrg8MiBV1_1
	c, err := Open(t.Context(), p, makeCache(t, p))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := os.Truncate(c.Path(), 1<<20); err != nil {
		t.Fatal(err)
	}
	dst := make([]uint32, porep.Degree)
	if err := c.Parents(dst, 0); err != nil {
		t.Errorf("before the cut: %v", err)
	}
	err = c.Parents(dst, c.Nodes()-1)
	var readErr *ReadError
	if !errors.As(err, &readErr) || readErr.First+readErr.Nodes != c.Nodes() || readErr.Nodes != sumNodes || readErr.Path != c.Path() {
		t.Errorf("beyond the cut: error %v, want a ReadError", err)
	}
}

// damages are what may have happened to a file, and how the error begins to say so.
var damages = []struct {
	name   string
	proof  porep.SealProof
	damage func(data []byte) []byte
	want   string
}{
	{"empty", small, func([]byte) []byte { return nil }, "length is 0, want 3584 bytes"},
	{"short", small, func(d []byte) []byte { return d[:len(d)-1] }, "length is 3583, want 3584 bytes"},
	{"long", small, func(d []byte) []byte { return append(d, 0) }, "length is 3585, want 3584 bytes"},
	{"zeros", small, func(d []byte) []byte { return make([]byte, len(d)) }, "SHA-256 is "},
	{"bit", small, func(d []byte) []byte { d[1000] ^= 16; return d }, "SHA-256 is "},
	{"short, unpublished", unpublished, func(d []byte) []byte { return d[:56] }, "length is 56, want 3584 bytes"},
	{"bit, unpublished", unpublished, func(d []byte) []byte { d[17*rowSize+4*9] ^= 64; return d }, "parent 9 of node 17 is 91, want 27"},
	{"end, unpublished", unpublished, func(d []byte) []byte { d[len(d)-1]++; return d }, "parent 13 of node 63 is "},
}

func TestDamaged(t *testing.T) {
	for _, c := range damages {
		t.Run(c.name, func(t *testing.T) {
			dir := makeCache(t, c.proof)
			path := filepath.Join(dir, name(c.proof))
			good, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, c.damage(slices.Clone(good)), 0o666); err != nil {
				t.Fatal(err)
			}
			want := "parentcache: verifying " + path + ": " + c.want
			check := func(what string, err error) {
				t.Helper()
				var corrupt *CorruptError
				if !errors.As(err, &corrupt) || !strings.HasPrefix(err.Error(), want) {
					t.Errorf("%s: error %v, want %s…", what, err, want)
				}
			}
			check("Verify", Verify(t.Context(), path))
			_, err = Open(t.Context(), c.proof, dir)
			check("Open", err)

			var steps []Step
			cache, err := Ensure(t.Context(), c.proof, dir, func(e Event) {
				if e.Step == StepReject {
					check("Ensure's hook", e.Err)
				}
				steps = append(steps, e.Step)
			})
			if err != nil {
				t.Fatal(err)
			}
			defer cache.Close()
			if !slices.Contains(steps, StepReject) || !slices.Contains(steps, StepGenerate) {
				t.Errorf("Ensure went through the steps %v", steps)
			}
			if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, good) {
				t.Errorf("Ensure has not repaired the file, error %v", err)
			}
			checkDirectory(t, dir, name(c.proof))
		})
	}
}

func TestVerifyByName(t *testing.T) {
	dir := makeCache(t, small)
	renamed := filepath.Join(dir, "parents.bin")
	if err := os.Rename(filepath.Join(dir, name(small)), renamed); err != nil {
		t.Fatal(err)
	}
	var unknown *UnknownNameError
	if err := Verify(t.Context(), renamed); !errors.As(err, &unknown) {
		t.Errorf("a renamed file: error %v, want an UnknownNameError", err)
	}
	if err := VerifyFor(t.Context(), small, renamed, nil); err != nil {
		t.Errorf("a renamed file, with its proof: %v", err)
	}
	var corrupt *CorruptError
	if err := VerifyFor(t.Context(), unpublished, renamed, nil); !errors.As(err, &corrupt) {
		t.Errorf("another proof's file: error %v, want a CorruptError", err)
	}
	if err := Verify(t.Context(), filepath.Join(dir, name(small))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: error %v, want fs.ErrNotExist", err)
	}
	if _, err := Open(t.Context(), small, dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: error %v, want fs.ErrNotExist", err)
	}
}

func TestDirectoryInItsPlace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, name(small))
	if err := os.Mkdir(path, 0o777); err != nil {
		t.Fatal(err)
	}
	_, generateErr := Generate(t.Context(), small, dir, nil)
	for _, err := range []error{generateErr, Verify(t.Context(), path)} {
		var notFile *NotFileError
		if !errors.As(err, &notFile) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want a NotFileError", err)
		}
	}
	checkDirectory(t, dir, name(small))
}

func TestFileInPlaceOfTheDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "directory")
	if err := os.WriteFile(dir, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := Generate(t.Context(), small, dir, nil)
	if !errors.Is(err, syscall.ENOTDIR) || !strings.HasPrefix(err.Error(), "parentcache: ") || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v, want ENOTDIR", err)
	}
}

// A directory that nobody may write to is enough for a valid file, but not for
// another. (The superuser may write to all directories.)
func TestReadOnlyDirectory(t *testing.T) {
	dir := makeCache(t, small)
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o777)
	if _, err := Generate(t.Context(), small, dir, nil); err != nil {
		t.Error(err)
	}
	_, err := Generate(t.Context(), unpublished, dir, nil)
	if os.Geteuid() != 0 && (!errors.Is(err, fs.ErrPermission) || !strings.HasPrefix(err.Error(), "parentcache: generating "+dir)) {
		t.Errorf("error %v, want fs.ErrPermission", err)
	}
}

// Whatever a killed process leaves is replaced.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	for _, left := range []string{durable.TempName(name(small)), name(small) + ".lock"} {
		if err := os.WriteFile(filepath.Join(dir, left), []byte("leftover"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Generate(t.Context(), small, dir, nil); err != nil {
		t.Fatal(err)
	}
	checkDirectory(t, dir, name(small))
}

func TestCancel(t *testing.T) {
	for _, p := range []porep.SealProof{porep.StackedDrg8MiBV1, porep.StackedDrg8MiBV1_1_Feat_SyntheticPoRep} {
		for _, step := range []Step{StepGenerate, StepVerify} {
			if _, ok := Digest(p); ok && step == StepVerify {
				continue // hashed while it is written
			}
			dir := t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			_, err := Generate(ctx, p, dir, func(e Event) {
				if e.Step == step && e.Done > e.Total/2 {
					cancel()
				}
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%v cancelled in step %v: error %v", p, step, err)
			}
			checkDirectory(t, dir)
		}

		dir := makeCache(t, p)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := Verify(ctx, filepath.Join(dir, name(p))); !errors.Is(err, context.Canceled) {
			t.Errorf("verification of %v cancelled: error %v", p, err)
		}
		checkDirectory(t, dir, name(p)) // not verified is not wrong
	}
}

// One of several generates, the others wait and use what it made. A lock
// belongs to an open file, so this is the same between processes.
func TestGenerateAtOnce(t *testing.T) {
	const p = porep.StackedDrg8MiBV1_1
	dir := t.TempDir()
	var mu sync.Mutex
	generators := 0
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			generated := false
			c, err := Ensure(t.Context(), p, dir, func(e Event) { generated = generated || e.Step == StepGenerate })
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			mu.Lock()
			defer mu.Unlock()
			if generated {
				generators++
			}
		})
	}
	wg.Wait()
	if generators != 1 {
		t.Errorf("%d of 4 generated the file, want 1", generators)
	}
	checkDirectory(t, dir, name(p))
}

func TestCancelWait(t *testing.T) {
	dir := t.TempDir()
	inside, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(release)
	wg.Go(func() {
		if _, err := Generate(t.Context(), small, dir, func(Event) {
			once.Do(func() { close(inside) })
			<-release
		}); err != nil {
			t.Error(err)
		}
	})
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	waited := false
	_, err := Generate(ctx, small, dir, func(e Event) {
		if e.Step == StepWait {
			waited = true
			cancel()
		}
	})
	if !waited || !errors.Is(err, context.Canceled) {
		t.Errorf("waited: %v, error %v, want context.Canceled", waited, err)
	}
}

type fullDisk struct{ size int64 }

func (d fullDisk) WriteAt(b []byte, at int64) (int, error) {
	if at+int64(len(b)) > d.size {
		return int(max(0, d.size-at)), syscall.ENOSPC
	}
	return len(b), nil
}

func TestNoSpace(t *testing.T) {
	const p = porep.StackedDrg8MiBV1_1
	_, err := writeParents(t.Context(), p, fullDisk{1 << 20}, newSums(p), nil)
	if want := "writing 229376 bytes at offset 917504 of 14680064: "; !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v, want %s…", err, want)
	}
}

// The order and the extent of blocks do not depend on how many cores there are.
func TestRun(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		nodes := rapid.Uint64Range(0, 20*blockNodes).Draw(rt, "nodes")
		failAt := rapid.Uint64Range(0, 25).Draw(rt, "fail at block") * blockNodes
		failed := errors.New("failed")
		next := uint64(0)
		err := run(t.Context(), nodes, func(b *block) error {
			if b.first >= failAt {
				return fmt.Errorf("%w at %d", failed, b.first)
			}
			return nil
		}, func(b *block) error {
			if b.first != next || len(b.bytes) != 4*len(b.parents) || len(b.parents) == 0 {
				rt.Fatalf("block of %d bytes and %d parents at node %d, want node %d", len(b.bytes), len(b.parents), b.first, next)
			}
			next += uint64(len(b.parents)) / porep.Degree
			return nil
		})
		if next != min(nodes, failAt) {
			rt.Errorf("took %d nodes, want %d", next, min(nodes, failAt))
		}
		if failAt >= nodes && err != nil || failAt < nodes && err.Error() != fmt.Sprintf("failed at %d", failAt) {
			rt.Errorf("error %v, with %d nodes and a failure at %d", err, nodes, failAt)
		}
	})
}

// BenchmarkCacheParents reads spans of nodes, in order. An operation is a node.
func BenchmarkCacheParents(b *testing.B) {
	const p = porep.StackedDrg8MiBV1_1
	c, err := Open(b.Context(), p, makeCache(b, p))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	for _, stride := range []int{64, 128, 1024} {
		b.Run(fmt.Sprintf("stride=%d", stride), func(b *testing.B) {
			dst := make([]uint32, stride*porep.Degree)
			for done := 0; done < b.N; done += stride {
				if err := c.Parents(dst, uint64(done)%c.Nodes()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkGenerate(b *testing.B) {
	const p = porep.StackedDrg8MiBV1_1
	b.SetBytes(Size(p))
	for b.Loop() {
		makeCache(b, p)
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, p := range []porep.SealProof{porep.StackedDrg8MiBV1_1, porep.StackedDrg8MiBV1_1_Feat_SyntheticPoRep} {
		b.Run(fmt.Sprintf("proof=%v", p), func(b *testing.B) {
			path := filepath.Join(makeCache(b, p), name(p))
			b.SetBytes(Size(p))
			for b.Loop() {
				if err := Verify(b.Context(), path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
