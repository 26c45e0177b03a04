package verify_test

import (
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/plain"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/verify"
)

// labelled makes the layers of the golden sector of a size.
func labelled(t testing.TB, size uint64) verify.Sector {
	t.Helper()
	for _, s := range golden.Sectors() {
		p, err := porep.ParseSealProof(s.RegisteredProof)
		if err != nil {
			t.Fatal(err)
		}
		if s.SectorSize != size || p.APIVersion() == porep.APIv1_0 {
			continue
		}
		id, err := porep.ParseReplicaID(s.ReplicaID)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		c := engine.Config{Proof: p, Sectors: []engine.Sector{{ReplicaID: id, CacheDir: dir}}}
		r, err := c.Resolve()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		return verify.Sector{Proof: p, ReplicaID: id, CacheDir: dir}
	}
	t.Fatalf("no golden sector has %d bytes", size)
	return verify.Sector{}
}

const small, large = 2 << 10, 8 << 20

// flip flips a bit of a layer.
func flip(t testing.TB, s verify.Sector, layer int, bit uint64) {
	t.Helper()
	f, err := os.OpenFile(layers.Path(s.CacheDir, layer), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], int64(bit/8)); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1 << (bit % 8)
	if _, err := f.WriteAt(b[:], int64(bit/8)); err != nil {
		t.Fatal(err)
	}
}

// ways are those of checking all, by what they take.
func ways(s verify.Sector) map[string]verify.Options {
	m := map[string]verify.Options{
		"two layers": {},
		"passes":     {Memory: 8 * verify.MinMemory},
		"one worker": {Workers: 1},
		"generic":    {Kernel: "generic/1"},
	}
	if s.Proof.SectorSize() == small {
		m["part"] = verify.Options{Subset: subset("1/1")}
	}
	return m
}

func subset(text string) verify.Subset {
	s, err := verify.ParseSubset(text)
	if err != nil {
		panic(err)
	}
	return s
}

// TestRight: golden sectors are right, however they are checked, and all of them is.
func TestRight(t *testing.T) {
	for _, size := range []uint64{small, large} {
		s := labelled(t, size)
		for name, o := range ways(s) {
			if size == large && (name == "generic" || name == "one worker") {
				continue // slow
			}
			t.Run(fmt.Sprintf("%v/%s", s.Proof, name), func(t *testing.T) {
				o.Progress = new(verify.Progress)
				r, err := verify.Full(t.Context(), s, o)
				if err := errors.Join(err, r.Err()); err != nil {
					t.Fatal(err)
				}
				for i, l := range r.Layers {
					if l.Layer != i+1 || l.Checked != s.Proof.SectorSize().Nodes() {
						t.Errorf("%+v", l)
					}
				}
				if done, total := o.Progress.Labels(); done != total || total != 2*s.Proof.SectorSize().Nodes() {
					t.Errorf("progress ends at %d of %d", done, total)
				}
				if passes := o.Progress.Passes(); (passes > 1) != (name == "passes" && size == large) {
					t.Errorf("%d passes", passes)
				}
			})
		}
		r, err := verify.Sample(t.Context(), s, 20, 1, verify.Options{})
		if err := errors.Join(err, r.Err()); err != nil {
			t.Errorf("%v: sample: %v", s.Proof, err)
		}
	}
}

// TestFirstWrong: of a flipped bit the node is named, with all that there is to say, and of the
// layer after it a child, which has that parent to blame.
func TestFirstWrong(t *testing.T) {
	for _, size := range []uint64{small, large} {
		s := labelled(t, size)
		nodes := s.Proof.SectorSize().Nodes()
		for _, node := range []uint64{0, 1, 17, nodes / 2, nodes - 1} {
			for name, o := range ways(s) {
				if size == large && (node != nodes/2 || name != "passes" && name != "two layers") {
					continue // slow
				}
				t.Run(fmt.Sprintf("%v/%d/%s", s.Proof, node, name), func(t *testing.T) {
					bit := node*porep.NodeSize*8 + node%250
					flip(t, s, 1, bit)
					defer flip(t, s, 1, bit)
					r, err := verify.Full(t.Context(), s, o)
					if err != nil {
						t.Fatal(err)
					}
					if !errors.Is(r.Err(), verify.ErrWrong) {
						t.Fatalf("%v is no ErrWrong", r.Err())
					}
					first := r.Layers[0].First
					if first == nil || first.Layer != 1 || first.Node != node || first.Offset != int64(node*porep.NodeSize) || first.Parents != nil {
						t.Fatalf("layer 1: %+v", first)
					}
					is, want := first.Found, first.Expected
					is[node%250/8] ^= 1 << (node % 250 % 8)
					if is != want {
						t.Errorf("found %v, expected %v: they do not differ in that bit alone", first.Found, want)
					}
					// The children in layer 2.
					wrong, lowest := uint64(0), nodes
					if size == small {
						for child := uint64(1); child < nodes; child++ {
							for _, parent := range plain.Parents(s.Proof, child)[porep.BaseDegree:] {
								if uint64(parent) == node {
									wrong, lowest = wrong+1, min(lowest, child)
									break
								}
							}
						}
						if r.Layers[1].Wrong != wrong {
							t.Errorf("layer 2 has %d wrong labels, want %d", r.Layers[1].Wrong, wrong)
						}
					}
					second := r.Layers[1].First
					if second == nil || size == small && second.Node != lowest {
						t.Fatalf("layer 2: %+v, want node %d", second, lowest)
					}
					if len(second.Parents) != 1 || second.Parents[0].Layer != 1 || second.Parents[0].Node != node || second.Parents[0].Slot < porep.BaseDegree {
						t.Errorf("layer 2 blames %+v", second.Parents)
					}
				})
			}
		}
	}
}

// TestSampled: a sample has the first and last nodes, and both sides of every 4 MiB boundary.
func TestSampled(t *testing.T) {
	s := labelled(t, large)
	nodes := s.Proof.SectorSize().Nodes()
	const boundary = 4 << 20 / porep.NodeSize
	for _, node := range []uint64{0, 3, boundary - 1, boundary, nodes - 1} {
		bit := node*porep.NodeSize*8 + 7
		flip(t, s, 2, bit)
		r, err := verify.Sample(t.Context(), s, 0, 1, verify.Options{Layers: []int{2}})
		flip(t, s, 2, bit)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Layers) != 1 || r.Layers[0].First == nil || r.Layers[0].First.Node != node {
			t.Errorf("node %d: %+v", node, r.Layers)
		}
	}
}

// TestSubset: what is wrong is found by the parts that it is in, and by no others.
func TestSubset(t *testing.T) {
	s := labelled(t, small)
	nodes := s.Proof.SectorSize().Nodes()
	flip(t, s, 2, 41*porep.NodeSize*8)
	for _, parts := range []uint64{1, 2, 3, 7, 64} {
		found, checked := 0, uint64(0)
		for part := range parts {
			r, err := verify.Full(t.Context(), s, verify.Options{Layers: []int{2}, Subset: subset(fmt.Sprintf("%d/%d", part+1, parts))})
			if err != nil {
				t.Fatal(err)
			}
			checked += r.Layers[0].Checked
			for range r.Layers[0].Wrong {
				found++
			}
		}
		if checked != nodes {
			t.Errorf("%d parts check %d nodes of %d", parts, checked, nodes)
		}
		// Its children in the same layer are wrong, too.
		whole, err := verify.Full(t.Context(), s, verify.Options{Layers: []int{2}})
		if err != nil || uint64(found) != whole.Layers[0].Wrong {
			t.Errorf("%d parts find %d, all of it %d (%v)", parts, found, whole.Layers[0].Wrong, err)
		}
	}
}

// TestRefused: options that cannot be, files that are no layers.
func TestRefused(t *testing.T) {
	s := labelled(t, small)
	for name, o := range map[string]verify.Options{
		"layer 0":  {Layers: []int{0}},
		"layer 3":  {Layers: []int{3}},
		"memory":   {Memory: 1},
		"workers":  {Workers: 20000},
		"nothing":  {Subset: subset("1/100")},
		"lockstep": {Kernel: "sha-ni/4"},
	} {
		_, err := verify.Full(t.Context(), s, o)
		if err == nil {
			t.Errorf("%s: no error", name)
		} else if wrong := (*verify.OptionError)(nil); name != "lockstep" && !errors.As(err, &wrong) {
			t.Errorf("%s: %v", name, err)
		}
	}
	gone := s
	gone.CacheDir = filepath.Join(s.CacheDir, "none")
	if _, err := verify.Full(t.Context(), gone, verify.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	unknown := s
	unknown.Proof = -1
	if _, err := verify.Sample(t.Context(), unknown, 1, 1, verify.Options{}); err == nil {
		t.Error("an unknown proof is checked")
	}
	if err := os.Truncate(layers.Path(s.CacheDir, 2), 2<<10-1); err != nil {
		t.Fatal(err)
	}
	for name, run := range map[string]func() (verify.Report, error){
		"full":   func() (verify.Report, error) { return verify.Full(t.Context(), s, verify.Options{}) },
		"sample": func() (verify.Report, error) { return verify.Sample(t.Context(), s, 1, 1, verify.Options{}) },
	} {
		r, err := run()
		want := &verify.LengthError{Path: layers.Path(s.CacheDir, 2), Found: 2<<10 - 1, Want: 2 << 10}
		if err != nil || r.Layers[0].First != nil || r.Layers[0].Checked == 0 {
			t.Errorf("%s: %v, %+v", name, err, r)
		}
		if diff := cmp.Diff(want, r.Layers[1].Length); diff != "" || !errors.Is(r.Err(), verify.ErrWrong) {
			t.Errorf("%s: %s, %v", name, diff, r.Err())
		}
	}
}

// encode is a replica: the sum of data and key in the field, node by node.
func encode(data, key []byte) []byte {
	order, _ := new(big.Int).SetString("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001", 16)
	number := func(b []byte) *big.Int {
		reversed := slices.Clone(b)
		slices.Reverse(reversed)
		return new(big.Int).SetBytes(reversed)
	}
	var replica []byte
	for i := 0; i < len(data); i += porep.NodeSize {
		sum := new(big.Int).Add(number(data[i:][:porep.NodeSize]), number(key[i:][:porep.NodeSize]))
		node := sum.Mod(sum, order).FillBytes(make([]byte, porep.NodeSize))
		slices.Reverse(node)
		replica = append(replica, node...)
	}
	return replica
}
