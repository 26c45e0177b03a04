package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	kernels "github.com/sdr-engine/sdr/sha256"
)

// TestSharedProducerGolden: the reference's files, where one producer has two hashers, more of them than
// there are, or as many as leave one over; in every way of staging and every memory mode.
func TestSharedProducerGolden(t *testing.T) {
	for _, proof := range []porep.SealProof{porep.StackedDrg2KiBV1_1, porep.StackedDrg8MiBV1_1} {
		var one []golden.Sector
		for _, s := range golden.Sectors() {
			if s.RegisteredProof == proof.String() {
				one = append(one, s)
			}
		}
		for staging := engine.Inline; staging <= engine.Hybrid; staging++ {
			for mode := engine.TwoLayers; mode <= engine.OneLayer; mode++ {
				for _, hashers := range []int{2, 3, 9} {
					large := proof != porep.StackedDrg2KiBV1_1
					if !testkit.Long() && (large || hashers == 2) || large && (hashers != 2 || (staging == engine.Producers) != (mode == engine.TwoLayers)) {
						continue
					}
					t.Run(fmt.Sprintf("%v/%v/%v/%d", proof, staging, mode, hashers), func(t *testing.T) {
						var all []golden.Sector
						for i := range 5 {
							all = append(all, one[i%len(one)])
						}
						if large {
							all = all[:3] // one of the hashers goes on when the other has ended
						}
						checkGolden(t, all, engine.Config{
							Proof: proof, Kernel: kernels.Best(1).Name, Hashers: min(len(all), hashers+1), HashersPerProducer: hashers, Staging: staging, MemoryMode: mode,
						})
					})
				}
			}
		}
	}
}

// A countedSource counts who is asking it, and for what.
type countedSource struct {
	*graph.Graph
	mu       sync.Mutex
	at, most int            // calls at the same time
	asked    map[string]int // calls, by the parents that they ask for
}

func (s *countedSource) count(what string, first uint64) (leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at++
	s.most = max(s.most, s.at)
	s.asked[fmt.Sprintf("%s of %d", what, first)]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.at--
	}
}

func (s *countedSource) Parents(dst []uint32, first uint64) error {
	defer s.count("all", first)()
	return s.Graph.Parents(dst, first)
}

func (s *countedSource) BaseParents(dst []uint32, first uint64) error {
	defer s.count("base", first)()
	return s.Graph.BaseParents(dst, first)
}

// TestSharedProducerIsOne: what feeds several hashers works out each node's parents once for all of them, and
// nobody else does so at the same time.
func TestSharedProducerIsOne(t *testing.T) {
	g, err := graph.New(porep.StackedDrg2KiBV1_1)
	if err != nil {
		t.Fatal(err)
	}
	s := &countedSource{Graph: g, asked: map[string]int{}}
	c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: sectors(t, 4), Kernel: "generic/1", Hashers: 4, HashersPerProducer: 4, Stride: 4, Lookahead: 8, Parents: s, VerifySample: -1}
	if _, err := engine.Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if s.most != 1 {
		t.Errorf("%d work out parents at the same time", s.most)
	}
	for what, n := range s.asked {
		if n > 1 {
			t.Errorf("%s were worked out %d times", what, n)
		}
	}
	if want := 2 * 64 / 4; len(s.asked) != want {
		t.Errorf("%d spans were worked out, want %d in each of two layers", len(s.asked), want/2)
	}
}

// A stoppingSource calls something before it works out a span.
type stoppingSource struct {
	*graph.Graph
	before func(first uint64) error
}

func (s stoppingSource) Parents(dst []uint32, first uint64) error {
	if err := s.before(first); err != nil {
		return err
	}
	return s.Graph.Parents(dst, first)
}

func (s stoppingSource) BaseParents(dst []uint32, first uint64) error {
	return s.Parents(dst, first)
}

// TestSharedProducerEnds: what goes wrong for one hasher ends the job, with its error, and every goroutine.
func TestSharedProducerEnds(t *testing.T) {
	g, err := graph.New(porep.StackedDrg2KiBV1_1)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("no parents")
	for _, calls := range []int64{1, 2, 50} {
		var n atomic.Int64
		c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: sectors(t, 3), Kernel: "generic/1", Hashers: 3, HashersPerProducer: 3, Stride: 1, Lookahead: 4, VerifySample: -1}
		c.Parents = stoppingSource{g, func(uint64) error {
			if n.Add(1) >= calls {
				return broken
			}
			return nil
		}}
		if _, err := engine.Run(t.Context(), c); !errors.Is(err, broken) {
			t.Errorf("call %d fails: error %v", calls, err)
		}
	}
}

// TestSharedProducerGoesOn: when one hasher has ended, another one's goroutine leads, whichever it was; and one that
// has ended waits for none that has not. Hasher 0 has a sector that is there already, and one that is not.
func TestSharedProducerGoesOn(t *testing.T) {
	c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, Sectors: sectors(t, 4), Kernel: "generic/1", Hashers: 3, HashersPerProducer: 3, Stride: 1, Lookahead: 4}
	first := c
	first.Sectors, first.Hashers = c.Sectors[:1], 1
	if _, err := engine.Run(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	done := make(chan int, len(c.Sectors))
	c.Done = func(sector int, err error) {
		if err != nil {
			t.Error(err)
		}
		done <- sector
	}
	// Hasher 2 does not begin before hasher 0 is through with its second sector.
	hooks := engine.Hooks{Labels: func(hasher, layer int, node uint64, _ []byte) {
		if hasher == 2 && layer == 1 && node == 0 {
			for before := []int{}; !slices.Contains(before, 1); {
				before = append(before, <-done)
			}
		}
	}}
	if _, err := hooks.Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// TestHashersPerProducer: numbers that mean nothing are refused.
func TestHashersPerProducer(t *testing.T) {
	for _, tt := range []struct {
		hashers, producers int
		want               string
	}{
		{0, 2, ""},
		{4, 0, ""},
		{engine.MaxSectors, 1, ""},
		{-1, 0, "-1 is not between 1 and"},
		{engine.MaxSectors + 1, 0, "is not between 1 and"},
		{2, 3, "2, but 3 producers for each hasher: one of the two must be 1"},
	} {
		c := engine.Config{Proof: porep.StackedDrg2KiBV1_1, HashersPerProducer: tt.hashers, Producers: tt.producers}
		err := c.CheckSettings(1)
		if bad := (*engine.ConfigError)(nil); (tt.want == "") != (err == nil) || err != nil && (!errors.As(err, &bad) || bad.Part != "hashers per producer" || !strings.Contains(bad.Reason, tt.want)) {
			t.Errorf("%d hashers for a producer, %d producers: %v, want %q", tt.hashers, tt.producers, err, tt.want)
		}
	}
}
