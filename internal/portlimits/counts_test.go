package portlimits

import (
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Macros of assembly, by name: the instructions that they are, or other macros.
func macros(t *testing.T, files ...string) map[string][]string {
	t.Helper()
	define := regexp.MustCompile(`^#define (\w+)`)
	bodies := map[string][]string{}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, open := "", false
		for line := range strings.Lines(string(source)) {
			line = strings.TrimSpace(line)
			if m := define.FindStringSubmatch(line); m != nil {
				name, open = m[1], true
			} else if open {
				if fields := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t(", r) }); len(fields) > 0 {
					bodies[name] = append(bodies[name], fields[0])
				}
			}
			code, _, _ := strings.Cut(line, "//")
			open = open && strings.HasSuffix(strings.TrimSpace(code), `\`)
		}
	}
	return bodies
}

// operations counts what units do in a macro, and which of them only some units do.
func operationsIn(bodies map[string][]string, name string) (all, shifts int) {
	for _, in := range bodies[name] {
		switch {
		case bodies[in] != nil:
			a, s := operationsIn(bodies, in)
			all, shifts = all+a, shifts+s
		case strings.HasPrefix(in, "VMOV"), strings.HasPrefix(in, "VPBROADCAST"): // loads, stores, copies
		default:
			all++
			if regexp.MustCompile(`^VP(ROR|SRL|SLL)`).MatchString(in) {
				shifts++
			}
		}
	}
	return all, shifts
}

// No kernel does a round or makes a word with fewer operations than its limit has, or the limit would
// be one that it beats; and one at least does it with as many.
func TestKernelsDoWhatLimitsCount(t *testing.T) {
	avx512 := macros(t, "../../sha256/avx512_amd64.h", "../../sha256/asm_avx512_pairs_amd64.s")
	avx2 := macros(t, "../../sha256/avx2_amd64.h")
	for _, c := range []struct {
		what        string
		bodies      map[string][]string
		macros      []string
		all, shifts int
	}{
		{"AVX-512 round", avx512, []string{"CHAINROUND", "LEANROUND", "SAMEROUND"}, avx512RoundOps, avx512RoundRotates},
		{"AVX-512 word", avx512, []string{"WORD"}, avx512WordOps, avx512WordRotates},
		{"AVX2 round", avx2, []string{"ROUND"}, avx2RoundOps, avx2RoundShifts},
		{"AVX2 word", avx2, []string{"EXTEND"}, avx2WordOps, avx2WordShifts},
	} {
		least, fewest := math.MaxInt, math.MaxInt
		for _, name := range c.macros {
			if c.bodies[name] == nil {
				t.Fatalf("%s: there is no macro %s", c.what, name)
			}
			all, shifts := operationsIn(c.bodies, name)
			least, fewest = min(least, all), min(fewest, shifts)
		}
		if least != c.all || fewest != c.shifts {
			t.Errorf("%s: kernels have %d operations at least, %d shifts or rotates; limits count %d and %d", c.what, least, fewest, c.all, c.shifts)
		}
	}
	// Words of a block in the pairs' kernel have K added in the rounds.
	plain, _ := operationsIn(avx512, "PLAINWORD")
	added, _ := operationsIn(avx512, "LEFTROUND")
	if lean, _ := operationsIn(avx512, "LEANROUND"); plain+added != avx512WordOps+lean {
		t.Errorf("a tree node's word and its round are %d operations, limits count %d", plain+added, avx512WordOps+lean)
	}
	// And the loops of the mixes are those mixes.
	loops := macros(t, "asm_amd64.s")
	for name, want := range map[string][2]int{"ROUND512": {avx512RoundOps, avx512RoundRotates}, "WORD512": {avx512WordOps, avx512WordRotates}} {
		all, shifts := 0, 0
		for _, in := range loops[name] {
			all++
			if in == "ROTATE" || in == "SHIFT" {
				shifts++
			}
		}
		if got := [2]int{all, shifts}; got != want {
			t.Errorf("%s is %v operations, of them shifts and rotates; the limit counts %v", name, got, want)
		}
	}
}

// A core, as its makers describe it: what units do in a cycle, and how long it takes.
type core struct {
	latency               float64
	rotates, adds         float64 // of AVX-512, on whole registers
	halfRotates, halfAdds float64
	shifts, logical       float64 // of AVX2
	rounds                float64 // cycles from one SHA256RNDS2 to the next
}

var cores = map[string]core{
	"two units for whole registers, three for halves": {1, 1, 2, 2, 3, 2, 3, 3}, // Emerald Rapids
	"four units, two rotate":                          {2, 2, 4, 2, 4, 2, 4, 2}, // Zen 5
	"whole registers in halves":                       {1, 1, 2, 2, 4, 2, 4, 1}, // Zen 4
	"three units of half a register":                  {1, 1, 1.5, 1, 1.5, 1, 1.5, 4},
}

func (c core) figures() Figures {
	halves, wholes := min(c.halfAdds, 4), min(c.adds, 4)
	return figures(map[string]float64{
		rnds2Latency: max(4, c.rounds), rnds2Two: max(2, c.rounds), rnds2Three: c.rounds, rnds2Four: c.rounds, rnds2Six: c.rounds, rnds2Schedules: c.rounds,
		msg1Rate: 2, msg2Rate: 2,
		rotateLatency: c.latency, rotateRate: 1 / c.rotates, ternaryLatency: c.latency, zmmAddLatency: c.latency, zmmAddRate: 1 / wholes,
		avx512Round: 16 / wholes, avx512Word: 12 / wholes,
		halfRotateLatency: c.latency, halfRotateRate: 1 / c.halfRotates, halfTernaryLatency: c.latency, addLatency: c.latency, addRate: 1 / halves,
		halfRound: 16 / halves, halfWord: 12 / halves,
		shiftLatency: c.latency, shiftRate: 1 / c.shifts, xorLatency: c.latency, xorRate: 1 / c.logical,
		avx2Round: 34 / c.logical, avx2Word: 22 / c.logical,
	})
}

// What a core does of which everything is known is never beaten by it: whatever else ran
// beside the loops, and made them up to a fifth longer, the limit is at most what counting
// operations and units gives.
func TestLimitsAreNotBeaten(t *testing.T) {
	for name, c := range cores {
		t.Run(name, func(t *testing.T) {
			exact := c.figures()
			counted := map[string]float64{
				"avx512/32": (20*64*max(16/c.adds, 6/c.rotates) + 9*48*max(12/c.adds, 6/c.rotates)) / 16,
				"avx512/8":  (20*64*max(16/c.halfAdds, 6/c.halfRotates) + 9*48*max(12/c.halfAdds, 6/c.halfRotates)) / 8,
				"avx2/8":    (20*64*max(34/c.logical, 12/c.shifts) + 9*48*max(22/c.logical, 10/c.shifts)) / 8,
				"sha-ni/4":  20 * 32 * c.rounds,
			}
			rapid.Check(t, func(t *rapid.T) {
				measured := slices.Clone(exact)
				for i := range measured {
					measured[i].Cycles *= rapid.Float64Range(0.99, 1.05).Draw(t, measured[i].Name)
					measured[i].Cycles *= rapid.SampledFrom([]float64{1, 1, 1.08}).Draw(t, "a neighbour's part")
				}
				for _, k := range slices.Sorted(maps.Keys(counted)) {
					set, lanes, _ := strings.Cut(k, "/")
					limit := measured.Label(set, map[string]int{"32": 32, "8": 8, "4": 4}[lanes], 2)
					for _, b := range limit.Bounds {
						if strings.HasPrefix(b.Text, "units") && b.Cycles > counted[k]*1.0001 {
							t.Errorf("%s: %.1f cycles (%s), more than the %.1f that are counted", k, b.Cycles, b.Text, counted[k])
						}
					}
				}
			})
		})
	}
}
