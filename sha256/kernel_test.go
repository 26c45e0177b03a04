package sha256

import (
	"bytes"
	std "crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/cpuid/v2"
	"pgregory.net/rapid"

	"github.com/sdr-engine/sdr/internal/testkit"
)

// noParent stands wherever a kernel must not look: it is out of every layer.
const noParent = math.MaxUint32

// usable returns the kernels that this machine can run; SDR_TEST_KERNELS leaves only
// those whose names begin so, where time is dear.
func usable() []*Kernel {
	return slices.DeleteFunc(Kernels(), func(k *Kernel) bool {
		return !k.Usable() || !strings.HasPrefix(k.Name, os.Getenv("SDR_TEST_KERNELS"))
	})
}

// usableBothWays is usable, but kernels that can walk pages ahead are there once for each way,
// whichever is better here.
func usableBothWays() (both []*Kernel) {
	for _, k := range usable() {
		both = append(both, k)
		if strings.HasPrefix(k.Name, "sha-ni/") {
			for _, walk := range []pageWalk{noWalk, walkSoon, walkLate} {
				if other := *k; walk != k.walk {
					other.walk = walk
					both = append(both, &other)
				}
			}
		}
	}
	return both
}

// referenceLabel writes a label's message out, field by field, and leaves the
// hashing to the standard library. It reads the parents' labels from l, where a
// node's lie lane after lane.
func referenceLabel(l *Layer, lane int, node uint64, parents []uint32) [nodeSize]byte {
	return referenceLabelIn(nil, l, lane, node, parents)
}

// referenceLabelIn is referenceLabel for labels in the kernel's layout.
func referenceLabelIn(k *Kernel, l *Layer, lane int, node uint64, parents []uint32) [nodeSize]byte {
	m := make([]byte, 0, labelBytes)
	m = append(m, l.ReplicaIDs[lane][:]...)
	m = binary.BigEndian.AppendUint32(m, l.Number)
	m = binary.BigEndian.AppendUint64(m, node)
	m = append(m, make([]byte, 20)...)
	var plain [nodeSize]byte
	label := func(layer []byte, parent uint32) []byte {
		pitch := uint64(len(l.ReplicaIDs)) * nodeSize
		labels := layer[uint64(parent)*pitch:][:pitch]
		if k == nil {
			return labels[lane*nodeSize:][:nodeSize]
		}
		for i := range plain {
			plain[i] = labels[offsetOf(k, lane*nodeSize+i)]
		}
		return plain[:]
	}
	for i := 0; i < 37 && node > 0; i++ {
		switch slot := i % 14; {
		case l.Number == 1:
			m = append(m, label(l.Labels, parents[i%6])...)
		case slot < 6:
			m = append(m, label(l.Labels, parents[slot])...)
		default:
			m = append(m, label(l.Before, parents[slot])...)
		}
	}
	return truncate(std.Sum256(m))
}

func referencePairs(src []byte) []byte {
	var dst []byte
	for ; len(src) > 0; src = src[64:] {
		node := truncate(std.Sum256(src[:64]))
		dst = append(dst, node[:]...)
	}
	return dst
}

func truncate(digest [nodeSize]byte) [nodeSize]byte {
	digest[31] &= 0x3f
	return digest
}

// A job is a span of nodes to label in a layer of random content.
type job struct {
	Layer
	first   uint64
	n       int
	parents []uint32
	done    []byte // what want has made
}

// newJob makes a job from the seed. Parents come for slack nodes more than n;
// nothing behind the first n is a parent.
func newJob(seed uint64, lanes int, number uint32, nodes, first, n, slack int) *job {
	r := rand.New(rand.NewPCG(seed, 0))
	random := func(n int) []byte {
		b := make([]byte, 0, (n+63)/64*64) // allocations of such sizes are aligned to 64 bytes, as labels must be
		for len(b) < n {
			b = binary.LittleEndian.AppendUint64(b, r.Uint64())
		}
		return b[:n:n]
	}
	j := &job{first: uint64(first), n: n}
	j.Number = number
	j.Labels = random(nodes * lanes * nodeSize)
	if number > 1 {
		j.Before = random(nodes * lanes * nodeSize)
	}
	for range lanes {
		j.ReplicaIDs = append(j.ReplicaIDs, [32]byte(random(32)))
	}
	for node := first; node < first+n; node++ {
		j.parents = append(j.parents, randomParents(r, number, node, nodes)...)
	}
	for range slack * 14 {
		j.parents = append(j.parents, noParent)
	}
	return j
}

// randomParents draws parents that a graph may have, and such as none has.
func randomParents(r *rand.Rand, number uint32, node, nodes int) []uint32 {
	parents := make([]uint32, 14)
	if node == 0 {
		return parents
	}
	repeated := r.IntN(node)
	style := r.IntN(6)
	for i := range parents {
		switch {
		case i >= 6 && number == 1:
			parents[i] = noParent
		case i >= 6:
			parents[i] = uint32(r.IntN(nodes))
		case style == 0: // all the same
			parents[i] = uint32(repeated)
		case style == 1: // all the predecessor
			parents[i] = uint32(node - 1)
		case style == 2: // none but zero
		case style == 3: // near
			parents[i] = uint32(max(0, node-1-r.IntN(8)))
		default:
			parents[i] = uint32(r.IntN(node))
		}
	}
	switch r.IntN(3) {
	case 0:
		parents[0] = uint32(node - 1)
	case 1:
		parents[5] = uint32(node - 1)
	}
	return parents
}

// want is the layer as it should be after the job, by the reference.
func (j *job) want() []byte {
	if j.done != nil {
		return j.done
	}
	l := j.Layer
	l.Labels = bytes.Clone(j.Labels)
	for i := range j.n {
		for lane := range l.ReplicaIDs {
			node := j.first + uint64(i)
			label := referenceLabel(&l, lane, node, j.parents[14*i:])
			copy(l.Labels[(node*uint64(len(l.ReplicaIDs))+uint64(lane))*nodeSize:], label[:])
		}
	}
	j.done = l.Labels
	return j.done
}

// An alloc returns memory of this size for a test, at a multiple of align.
type alloc func(size, align int) []byte

func heap(size, align int) []byte {
	b := make([]byte, size+align)
	at := -int(uintptr(unsafe.Pointer(&b[0]))) & (align - 1)
	return b[at:][:size:size]
}

func (a alloc) clone(b []byte) []byte {
	c := a(len(b), 1)
	copy(c, b)
	return c
}

func (a alloc) cloneIndices(s []uint32) []uint32 {
	c := unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(a(4*len(s), 4)))), len(s))
	copy(c, s)
	return c
}

// arrange puts labels, node after node and in each lane after lane, into the
// kernel's layout in dst, or back, as Kernel.Group says.
func arrange(k *Kernel, dst, src []byte, back bool) {
	if k.Group == 1 {
		copy(dst, src)
		return
	}
	for at := 0; at < len(src); at += 4 {
		// Whole words: in the kernel's layout they are numbers.
		if to := offsetOf(k, at) &^ 3; back {
			binary.BigEndian.PutUint32(dst[at:], binary.NativeEndian.Uint32(src[to:]))
		} else {
			binary.NativeEndian.PutUint32(dst[to:], binary.BigEndian.Uint32(src[at:]))
		}
	}
}

// offsetOf is where the kernel's layout has byte number at of labels that lie node
// after node and in each lane after lane.
func offsetOf(k *Kernel, at int) int {
	if k.Group == 1 {
		return at
	}
	node, lane, offset := at/k.Pitch(), at/nodeSize%k.Lanes, at%nodeSize
	word, byteOfWord := offset/4, offset%4
	if hostByte := binary.NativeEndian.Uint32([]byte{1, 0, 0, 0}); hostByte == 1 {
		byteOfWord = 3 - byteOfWord
	}
	return node*k.Pitch() + lane/k.Group*k.Group*nodeSize + (word*k.Group+lane%k.Group)*4 + byteOfWord
}

// in is j's layer as the kernel wants it, in memory from a.
func (j *job) in(k *Kernel, a alloc) Layer {
	l := j.Layer
	l.Labels = a(len(j.Labels), k.Align)
	arrange(k, l.Labels, j.Labels, false)
	if l.Number > 1 {
		l.Before = a(len(j.Before), k.Align)
		arrange(k, l.Before, j.Before, false)
	}
	return l
}

// check does the job in memory from a, in several spans that end after cuts and
// last, and says what is wrong with the outcome.
func (j *job) check(k *Kernel, a alloc, cuts ...int) error {
	l, parents := j.in(k, a), a.cloneIndices(j.parents)
	before := bytes.Clone(l.Before)
	done := 0
	for _, cut := range append(cuts, j.n) {
		if err := k.Label(&l, j.first+uint64(done), cut-done, parents[14*done:]); err != nil {
			return err
		}
		done = cut
	}
	if !slices.Equal(parents, j.parents) || !bytes.Equal(l.Before, before) {
		return errors.New("an input changed")
	}
	got := make([]byte, len(l.Labels))
	arrange(k, got, l.Labels, true)
	return different(got, j.want(), k.Pitch())
}

// different is an error that names the first node in which got and want differ.
func different(got, want []byte, pitch int) error {
	for i := 0; i < len(want); i += pitch {
		if w, g := want[i:i+pitch], got[i:i+pitch]; !bytes.Equal(w, g) {
			return fmt.Errorf("node %d is %x, want %x", i/pitch, g, w)
		}
	}
	return nil
}

func TestLabel(t *testing.T) {
	for _, k := range usable() {
		for _, number := range []uint32{1, 2, 11, math.MaxUint32} {
			t.Run(fmt.Sprintf("%s/layer %d", k.Name, number), func(t *testing.T) {
				for n := 1; n <= 100; n++ {
					between := n > 20 && n < 90
					switch { // layers from 2 on differ in their number alone
					case number > 2 && (between || !testkit.Long() && n%10 != 0),
						between && (testing.Short() || !testkit.Long() && n%7 != 0),
						n >= 90 && !testkit.Long() && n%3 != 0:
						continue
					}
					first := n * 7 % 30 // 0 for each thirtieth
					j := newJob(uint64(n), k.Lanes, number, first+n+n%3, first, n, Ahead+1)
					for _, slack := range []int{Ahead + 1, Ahead, n % Ahead, 0} {
						j.parents = j.parents[:14*(n+slack)]
						if err := j.check(k, heap); err != nil {
							t.Fatalf("%d nodes from %d, %d more parents: %v", n, first, slack, err)
						}
					}
				}
			})
		}
	}
}

func TestLabelAnyRuns(t *testing.T) {
	for _, k := range usable() {
		t.Run(k.Name, rapid.MakeCheck(func(t *rapid.T) {
			number := rapid.SampledFrom([]uint32{1, 2, 11}).Draw(t, "layer")
			first := rapid.IntRange(0, 200).Draw(t, "first")
			n := rapid.IntRange(0, 100).Draw(t, "n")
			rest := rapid.IntRange(0, 20).Draw(t, "rest")
			slack := rapid.IntRange(0, 2*Ahead).Draw(t, "slack")
			cuts := rapid.SliceOfN(rapid.IntRange(0, n), 0, 5).Draw(t, "cuts")
			slices.Sort(cuts)
			k := *k
			k.walk = rapid.SampledFrom([]pageWalk{noWalk, walkSoon, walkLate}).Draw(t, "walk") // whatever is best here
			j := newJob(rapid.Uint64().Draw(t, "seed"), k.Lanes, number, first+n+rest, first, n, slack)
			if err := j.check(&k, heap, cuts...); err != nil {
				t.Fatal(err)
			}
		}))
	}
}

// Node numbers of more than 16 bits. Those of more than 31, and those of kernels
// with many lanes, are in TestLabelLargestLayers.
func TestLabelHighNodes(t *testing.T) {
	for _, k := range usable() {
		if k.Lanes > 2 {
			continue // hundreds of MiB
		}
		j := newJob(1, k.Lanes, 2, 1<<16+20, 1<<16-20, 40, 0)
		if err := j.check(k, heap); err != nil {
			t.Errorf("%s: %v", k.Name, err)
		}
	}
}

// The first labels of two layers of a StackedDrg2KiBV1 sector, as the reference
// implementation (filecoin-proofs-api 19.1.0) has them.
func TestLabelKnownAnswers(t *testing.T) {
	id := fromHex(t, "94456db7cd3110ffe697efad1dd94ea86e8f342af21eb6e3c7bc48b4921ca42b")
	for i, want := range []string{
		"decbe0137b2608cddb19ee9f60c715db2459c263cb17a07aa6b22313d3aedd29",
		"c1331c799d4dee936452eef15cf6b64bd4d20517f5dfd8a0008854fcebad5b09",
	} {
		for _, k := range usable() {
			l := &Layer{Number: uint32(i + 1), Labels: heap(k.Pitch(), k.Align)}
			l.ReplicaIDs = slices.Repeat([][32]byte{[32]byte(id)}, k.Lanes)
			if l.Number > 1 {
				l.Before = heap(k.Pitch(), k.Align)
			}
			if err := k.Label(l, 0, 1, make([]uint32, 14)); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(l.Labels))
			arrange(k, got, l.Labels, true)
			if got := hex.EncodeToString(got); got != strings.Repeat(want, k.Lanes) {
				t.Errorf("%s, layer %d: got %s, want %s", k.Name, l.Number, got, want)
			}
		}
	}
}

func fromHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// checkPairs hashes pairs in memory from a, and says what is wrong.
func checkPairs(k *Kernel, a alloc, src []byte) error {
	from, to := a.clone(src), a(len(src)/2, 1)
	if err := k.HashPairs(to, from); err != nil {
		return err
	}
	if !bytes.Equal(from, src) {
		return errors.New("the source changed")
	}
	return different(to, referencePairs(src), nodeSize)
}

func TestHashPairs(t *testing.T) {
	counts := []int{maxPairs - 1, maxPairs, maxPairs + 1, 2*maxPairs + 3}
	for n := range 71 {
		counts = append(counts, n)
	}
	for _, k := range usable() {
		for _, n := range counts {
			src := newJob(uint64(n), 1, 1, 2*n, 0, 0, 0).Labels
			if err := checkPairs(k, heap, src); err != nil {
				t.Errorf("%s, %d pairs: %v", k.Name, n, err)
			}
		}
	}
}

// The roots of trees over zeros are the commitments to empty pieces of 64 bytes,
// 128 bytes, 2 KiB and 32 GiB.
func TestHashPairsZeroTrees(t *testing.T) {
	roots := map[int]string{
		1:  "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb0b",
		2:  "3731bb99ac689f66eef5973e4a94da188f4ddcae580724fc6f3fd60dfd488333",
		6:  "fc7e928296e516faade986b28f92d44a4f24b935485223376a799027bc18f833",
		30: "077e5fde35c50a9303a55009e3498a4ebedff39c42b710b730d8ec7ac7afa63e",
	}
	for _, k := range usable() {
		node := make([]byte, nodeSize)
		for level := 1; level <= 30; level++ {
			if err := k.HashPairs(node, slices.Repeat(node, 2)); err != nil {
				t.Fatal(err)
			}
			if want, ok := roots[level]; ok && hex.EncodeToString(node) != want {
				t.Errorf("%s, level %d: got %x, want %s", k.Name, level, node, want)
			}
		}
	}
}

// All buffers at each offset from a cache line, between canaries.
func TestAlignments(t *testing.T) {
	const canary = 0xa5
	for _, k := range usable() {
		for offset := range 64 {
			var whole [][]byte
			a := func(size, align int) []byte {
				b := bytes.Repeat([]byte{canary}, size+3*64)
				at := 64 + offset/align*align - int(uintptr(unsafe.Pointer(&b[0]))%64)
				whole = append(whole, b[:at], b[at+size:])
				return b[at:][:size:size]
			}
			for _, number := range []uint32{1, 2} {
				j := newJob(uint64(offset), k.Lanes, number, 20, 1, 19, 5)
				if err := j.check(k, a); err != nil {
					t.Fatalf("%s, offset %d, layer %d: %v", k.Name, offset, number, err)
				}
			}
			for n := range 4 {
				if err := checkPairs(k, a, newJob(uint64(offset), 1, 1, 2*n, 0, 0, 0).Labels); err != nil {
					t.Fatalf("%s, offset %d, %d pairs: %v", k.Name, offset, n, err)
				}
			}
			for _, b := range whole {
				if bytes.Count(b, []byte{canary}) != len(b) {
					t.Fatalf("%s, offset %d: written outside a buffer", k.Name, offset)
				}
			}
		}
	}
}

func TestBadRuns(t *testing.T) {
	const nodes = 40
	tests := []struct {
		name string
		ruin func(j *job)
		want string // in the error
	}{
		{"no lane", func(j *job) { j.ReplicaIDs = nil }, "0 replica ids"},
		{"a lane too many", func(j *job) { j.ReplicaIDs = append(j.ReplicaIDs, [32]byte{}) }, "replica ids for"},
		{"layer 0", func(j *job) { j.Number = 0 }, "layer 0"},
		{"broken node", func(j *job) { j.Labels = j.Labels[:len(j.Labels)-1] }, "no multiple"},
		{"no layer before", func(j *job) { j.Before = nil }, "the layer before has 0 bytes"},
		{"short layer before", func(j *job) { j.Before = j.Before[nodeSize:] }, "the layer before has"},
		{"long layer before", func(j *job) { j.Before = append(j.Before, 0) }, "the layer before has"},
		{"n < 0", func(j *job) { j.n = -1 }, "-1 nodes from 10 in a layer of 40"},
		{"n too large", func(j *job) { j.n = 31 }, "31 nodes from 10 in a layer of 40"},
		{"n enormous", func(j *job) { j.n = math.MaxInt }, "nodes from 10 in a layer of 40"},
		{"first too large", func(j *job) { j.first = 40 }, "20 nodes from 40 in a layer of 40"},
		{"first enormous", func(j *job) { j.first = math.MaxUint64 }, "in a layer of 40"},
		{"no labels", func(j *job) { j.Labels, j.Before = nil, nil }, "in a layer of 0"},
		{"no parents", func(j *job) { j.parents = nil }, "0 parents for 20 nodes, want 280"},
		{"a parent too few", func(j *job) { j.parents = j.parents[:20*14-1] }, "279 parents for 20 nodes, want 280"},
		{"base parent", func(j *job) { j.parents[19*14+5] = nodes }, "parent 40 in a layer of 40 nodes"},
		{"expander parent", func(j *job) { j.parents[13] = math.MaxUint32 }, "parent 4294967295 in a layer of 40 nodes"},
		{"base parent in layer 1", func(j *job) { j.Number, j.parents[0] = 1, nodes }, "parent 40 in a layer of 40 nodes"},
		{"parent of node 0", func(j *job) { j.first, j.parents[0] = 0, nodes }, "parent 40 in a layer of 40 nodes"},
	}
	for _, k := range usable() {
		for _, tt := range tests {
			j := newJob(1, k.Lanes, 2, nodes, 10, 20, 0)
			before := bytes.Clone(j.Labels)
			all := j.Labels
			tt.ruin(j)
			err := k.Label(&j.Layer, j.first, j.n, j.parents)
			var bad *SpanError
			if !errors.As(err, &bad) || bad.Kernel != k.Name || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s, %s: got error %v, want a *SpanError with %q", k.Name, tt.name, err, tt.want)
			}
			if !bytes.Equal(all, before) {
				t.Errorf("%s, %s: labels written", k.Name, tt.name)
			}
		}
	}
}

// Whatever the arguments are, Label labels, or says why not and writes nothing.
func TestLabelAnyArguments(t *testing.T) {
	for _, k := range usable() {
		t.Run(k.Name, rapid.MakeCheck(func(t *rapid.T) {
			size := rapid.OneOf(rapid.IntRange(0, 300), rapid.Map(rapid.IntRange(0, 9), func(n int) int { return n * nodeSize * k.Lanes }))
			l := &Layer{
				ReplicaIDs: make([][32]byte, rapid.IntRange(0, k.Lanes+1).Draw(t, "lanes")),
				Number:     rapid.Uint32Range(0, 3).Draw(t, "layer"),
				Labels:     make([]byte, size.Draw(t, "labels")),
				Before:     make([]byte, size.Draw(t, "before")),
			}
			first := rapid.OneOf(rapid.Uint64Range(0, 10), rapid.Uint64()).Draw(t, "first")
			n := rapid.OneOf(rapid.IntRange(-1, 10), rapid.Int()).Draw(t, "n")
			parents := rapid.SliceOfN(rapid.Uint32Range(0, 9), 0, 200).Draw(t, "parents")
			err := k.Label(l, first, n, parents)
			var bad *SpanError
			if err != nil && !errors.As(err, &bad) {
				t.Errorf("got error %v, want a *SpanError", err)
			}
			if wrote := bytes.Count(l.Labels, []byte{0}) != len(l.Labels); wrote != (err == nil && n > 0) {
				t.Errorf("labels written: %v, with error %v", wrote, err)
			}
		}))
	}
}

func TestBadTreeBuffers(t *testing.T) {
	b := make([]byte, 1024)
	tests := []struct {
		name     string
		dst, src []byte
	}{
		{"half a pair", b[:16], b[512:544]},
		{"a byte too many", b[:32], b[512:577]},
		{"a pair and a half", b[:48], b[512:608]},
		{"no destination", nil, b[512:576]},
		{"no source", b[:32], nil},
		{"short destination", b[:63], b[512:640]},
		{"long destination", b[:65], b[512:640]},
		{"in place", b[:32], b[:64]},
		{"overlap at the destination's end", b[:64], b[63:191]},
		{"overlap at the source's end", b[127:191], b[:128]},
		{"destination inside", b[32:96], b[:128]},
	}
	for _, k := range usable() {
		for _, tt := range tests {
			if err := k.HashPairs(tt.dst, tt.src); !errors.Is(err, ErrTreeBuffers) {
				t.Errorf("%s, %s: got error %v, want %v", k.Name, tt.name, err, ErrTreeBuffers)
			}
			if bytes.Count(b, []byte{0}) != len(b) {
				t.Fatalf("%s, %s: written", k.Name, tt.name)
			}
		}
	}
}

// Buffers that touch do not overlap.
func TestHashPairsSideBySide(t *testing.T) {
	for _, k := range usable() {
		b := make([]byte, 64+128+64)
		for _, dst := range [][]byte{b[:64], b[64+128:]} {
			if err := k.HashPairs(dst, b[64:64+128]); err != nil {
				t.Errorf("%s: %v", k.Name, err)
			}
		}
	}
}

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector, a sync.Pool forgets at random")
	}
	n := 12 // some of them with parents to look ahead for
	if testing.Short() {
		n = 3 // an emulator takes seconds
	}
	for _, k := range usable() {
		for _, number := range []uint32{1, 2} {
			j := newJob(1, k.Lanes, number, n, 0, n, 3)
			allocs := testing.AllocsPerRun(10, func() {
				if err := k.Label(&j.Layer, j.first, j.n, j.parents); err != nil {
					t.Fatal(err)
				}
			})
			if allocs != 0 {
				t.Errorf("%s, layer %d: Label allocates %v times, want 0", k.Name, number, allocs)
			}
		}
		src, dst := make([]byte, 3*64), make([]byte, 3*32)
		allocs := testing.AllocsPerRun(10, func() {
			if err := k.HashPairs(dst, src); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%s: HashPairs allocates %v times, want 0", k.Name, allocs)
		}
	}
}

func TestChoosingKernels(t *testing.T) {
	for _, k := range usable() {
		if got, err := ByName(k.Name); got != k || err != nil {
			t.Errorf("ByName(%q) = %v, %v", k.Name, got, err)
		}
	}
	if last := Kernels()[len(Kernels())-1]; last != generic || !last.Usable() {
		t.Errorf("the last kernel is %s, usable: %v; want generic/1, true", last.Name, last.Usable())
	}
	if k := Best(3); k != nil {
		t.Errorf("Best(3) = %s, want none", k.Name)
	}

	_, err := ByName("enigma/1")
	var unknown *KernelError
	if !errors.As(err, &unknown) {
		t.Fatalf("got error %v, want a *KernelError", err)
	}
	if diff := cmp.Diff(&KernelError{Name: "enigma/1"}, unknown); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	for _, k := range Kernels() {
		if !strings.Contains(err.Error(), k.Name) {
			t.Errorf("%q does not name %s", err, k.Name)
		}
	}
}

// A kernel that needs another architecture's instructions is never usable.
func TestUnusableKernel(t *testing.T) {
	foreign := []cpuid.FeatureID{cpuid.ASIMD, cpuid.SHA2}
	if runtime.GOARCH == "arm64" {
		foreign = []cpuid.FeatureID{cpuid.SSE2, cpuid.SHA}
	}
	before := kernels
	t.Cleanup(func() { kernels = before })
	kernels = append([]*Kernel{{Name: "foreign/1", Lanes: 1, features: foreign}}, before...)

	if Best(1).Name == "foreign/1" || BestTree().Name == "foreign/1" {
		t.Error("the best is the unusable kernel")
	}
	_, err := ByName("foreign/1")
	var unusable *KernelError
	if !errors.As(err, &unusable) {
		t.Fatalf("got error %v, want a *KernelError", err)
	}
	want := &KernelError{"foreign/1", []string{foreign[0].String(), foreign[1].String()}}
	if diff := cmp.Diff(want, unusable); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
	for _, f := range want.Missing {
		if !strings.Contains(err.Error(), f) {
			t.Errorf("%q does not name %s", err, f)
		}
	}
}

// Nothing is prefetched from behind the rows that Label asks for, and AVX-512 kernels
// can take a quarter of the way.
func TestAhead(t *testing.T) {
	for _, k := range Kernels() {
		if k.ahead < 0 || k.ahead > Ahead || strings.HasPrefix(k.Name, "avx512/") && k.ahead%4 != 0 {
			t.Errorf("%s prefetches %d nodes ahead", k.Name, k.ahead)
		}
	}
}
