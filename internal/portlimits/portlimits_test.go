package portlimits

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
)

// zen5 is what is known of a core: its instructions' cycles, rates as how many
// start in a cycle, and of mixes what was measured.
var zen5 = figures(map[string]float64{
	additions:      1.0 / 6,
	rnds2Latency:   4,
	rnds2Two:       2,
	rnds2Three:     2,
	rnds2Four:      8.2 / 4,
	rnds2Six:       2,
	rnds2Schedules: 8.5 / 4,
	msg1Rate:       0.5,
	msg2Rate:       1,
	rotateLatency:  2,
	rotateRate:     1.0 / 2,
	ternaryLatency: 2,
	zmmAddLatency:  2,
	zmmAddRate:     1.0 / 4,
	avx512Round:    4.3,
	avx512Word:     3.05,
})

func figures(cycles map[string]float64) (f Figures) {
	for _, name := range slices.Sorted(maps.Keys(cycles)) {
		f = append(f, Figure{Name: name, Cycles: cycles[name]})
	}
	return f
}

// with is f, but that one figure is another.
func (f Figures) with(name string, cycles float64) Figures {
	f = slices.DeleteFunc(slices.Clone(f), func(x Figure) bool { return x.Name == name })
	return append(f, Figure{Name: name, Cycles: cycles})
}

func TestLabelLimits(t *testing.T) {
	icelake := figures(map[string]float64{ // two units for zmm, one of them rotates
		rotateLatency: 1, rotateRate: 1, ternaryLatency: 1, zmmAddLatency: 1, zmmAddRate: 0.5, avx512Round: 8.6, avx512Word: 6.1,
	})
	halves := icelake
	for name, cycles := range map[string]float64{ // three units for ymm, two of them rotate
		halfRotateLatency: 1, halfRotateRate: 0.5, halfTernaryLatency: 1, addLatency: 1, addRate: 1.0 / 3, halfRound: 5.7, halfWord: 4.1,
	} {
		halves = halves.with(name, cycles)
	}
	for name, c := range map[string]struct {
		figures Figures
		set     string
		lanes   int
		layer   uint32
		want    float64
		bound   string
	}{
		"one chain waits":                  {zen5, "sha-ni", 1, 2, 2432, "latency"},
		"in layer 1 as well":               {zen5, "sha-ni", 1, 1, 2432, "latency"},
		"two fill the unit":                {zen5, "sha-ni", 2, 2, 1280, "units"},
		"two wait if the unit is faster":   {zen5.with(rnds2Four, 1).with(rnds2Schedules, 1.05), "sha-ni", 2, 2, 1216, "latency"},
		"four fill a faster unit":          {zen5.with(rnds2Four, 1).with(rnds2Schedules, 1.05), "sha-ni", 4, 2, 640, "units"},
		"schedules in the unit, 9":         {zen5.with(rnds2Schedules, 2+18.0/32), "sha-ni", 2, 2, 1280 + 9*18, "units"},
		"schedules in the unit, 5":         {zen5.with(rnds2Schedules, 2+18.0/32), "sha-ni", 2, 1, 1280 + 5*18, "units"},
		"16 lanes wait":                    {zen5, "avx512", 16, 2, 560, "latency"},
		"32 lanes are many operations":     {zen5, "avx512", 32, 2, 401, "units"},
		"fewer schedules in layer 1":       {zen5, "avx512", 32, 1, 365, "units"},
		"operations bound 16 lanes, too":   {icelake, "avx512", 16, 2, (20*64*8 + 9*48*6) / 16, "units"},
		"a mix may beat one of its parts":  {icelake.with(zmmAddRate, 1), "avx512", 16, 2, (20*64*8.6 + 9*48*6.1) / 16, "units"},
		"rotates alone may bound":          {icelake.with(rotateRate, 2), "avx512", 16, 2, (20*64*12 + 9*48*12) / 16.0, "units"},
		"8 lanes in half a register":       {halves, "avx512", 8, 2, (20*64*16.0/3 + 9*48*4) / 8, "units"},
		"which does not change 16":         {halves, "avx512", 16, 2, (20*64*8 + 9*48*6) / 16, "units"},
		"8 lanes may wait, too":            {halves.with(addLatency, 5), "avx512", 8, 2, 20 * 64 * 8 / 8, "latency"},
		"eight lanes of AVX2":              {avx2Core, "avx2", 8, 2, (20*64*8.5 + 9*48*5.5) / 8, "units"},
		"and where shifts are rare":        {avx2Core.with(shiftRate, 1), "avx2", 8, 2, (20*64*12 + 9*48*10) / 8.0, "units"},
		"four rounds on ARM take 5 cycles": {armCore, "armv8", 1, 2, 19 * 16 * 5, "latency"},
		"two sectors on ARM":               {armCore, "armv8", 2, 2, 19 * 16 * 5 / 2, "latency"},
		"where that fills the unit":        {armCore.with(foursTwo, 4).with(foursThree, 4).with(foursFour, 4).with(foursSchedules, 4), "armv8", 2, 2, 20 * 16 * 4, "units"},
	} {
		t.Run(name, func(t *testing.T) { check(t, c.figures.Label(c.set, c.lanes, c.layer), c.want, c.bound) })
	}
}

var (
	avx2Core = figures(map[string]float64{
		shiftLatency: 1, shiftRate: 0.5, xorLatency: 1, xorRate: 0.25, addLatency: 1, addRate: 0.25, avx2Round: 8.6, avx2Word: 5.7,
	})
	armCore = figures(map[string]float64{
		foursLatency: 5, foursTwo: 2.5, foursThree: 2, foursFour: 2, foursSchedules: 2.1, su0Rate: 0.5, su1Rate: 1,
	})
)

func TestTreeLimits(t *testing.T) {
	for name, c := range map[string]struct {
		figures Figures
		set     string
		want    float64
	}{
		"AVX-512":                         {zen5, "avx512", 41},
		"SHA-NI":                          {zen5, "sha-ni", 128},
		"SHA-NI with schedules in it":     {zen5.with(rnds2Schedules, 2+18.0/32), "sha-ni", 128 + 18},
		"SHA-NI, one instruction a cycle": {zen5.with(rnds2Four, 1).with(rnds2Schedules, 1), "sha-ni", 64},
		"AVX2":                            {avx2Core, "avx2", (128*8.5 + 48*5.5) / 8},
		"ARM":                             {armCore, "armv8", 2 * 16 * 2},
	} {
		t.Run(name, func(t *testing.T) { check(t, c.figures.Tree(c.set), c.want, "units") })
	}
}

func check(t *testing.T, l Limit, want float64, bound string) {
	t.Helper()
	got, ok := l.Cycles()
	if !ok || math.Abs(got-want) > 0.5 {
		t.Fatalf("the limit is %.1f, %v (%s), want %.1f", got, ok, l.Unknown, want)
	}
	if text := l.Bounds[0].Text; !strings.HasPrefix(text, bound+": ") {
		t.Errorf("the limit comes from %q, want from %s", text, bound)
	}
}

// No limit is guessed: a set without formulas, a figure that is missing or unknown.
func TestNoLimit(t *testing.T) {
	lacks := slices.Clone(zen5)
	lacks[slices.IndexFunc(lacks, func(f Figure) bool { return f.Name == rnds2Latency })].Unknown = "this CPU lacks SHA"
	for name, c := range map[string]struct {
		l    Limit
		want string
	}{
		"generic":         {zen5.Label("generic", 1, 2), "compiler"},
		"an unknown set":  {zen5.Label("abacus", 1, 2), "compiler"},
		"no figure":       {zen5.Label("avx2", 8, 2), "ymm shift, latency: no loop measures it"},
		"no figures":      {Figures(nil).Tree("armv8"), "no loop measures it"},
		"unknown figure":  {lacks.Label("sha-ni", 1, 2), "sha256rnds2, latency: this CPU lacks SHA"},
		"unknown in tree": {lacks.Tree("sha-ni"), "this CPU lacks SHA"},
	} {
		t.Run(name, func(t *testing.T) {
			if cycles, ok := c.l.Cycles(); ok || cycles != 0 || !strings.Contains(c.l.Unknown, c.want) {
				t.Errorf("got %v, %v, %q, want none, because of %q", cycles, ok, c.l.Unknown, c.want)
			}
		})
	}
}

func TestEmulatorsAreDoubted(t *testing.T) {
	for name, f := range map[string]Figures{
		"all instructions take the same": zen5.with(additions, 1),
		"a routine for an instruction":   zen5.with(rnds2Latency, 80),
	} {
		if l := slices.Clone(f).doubted().Label("sha-ni", 1, 2); !strings.Contains(l.Unknown, "emulator") {
			t.Errorf("%s: limit %+v, want none because of an emulator", name, l)
		}
	}
	if l := slices.Clone(zen5).doubted().Label("sha-ni", 1, 2); l.Unknown != "" {
		t.Errorf("a real core's limit is not known: %s", l.Unknown)
	}
}

// Every loop that this CPU can run does, and each figure that a formula wants has a
// loop on the architecture whose kernels it bounds.
func TestMeasure(t *testing.T) {
	f := Measure(2, 3)
	for _, l := range loops() {
		figure := f.find(l.name)
		t.Logf("%7.3f  %s %s", figure.Cycles, figure.Name, figure.Unknown)
		if figure.Unknown == "" && !(0 < figure.Low && figure.Low <= figure.Cycles && figure.Cycles <= figure.High) {
			t.Errorf("%s: %+v is no median between quartiles", l.name, figure)
		}
		if figure.Unknown == "no loop measures it" {
			t.Errorf("%s was not measured", l.name)
		}
	}
	for _, set := range sets() {
		for _, l := range []Limit{f.Label(set, 1, 1), f.Label(set, 1, 2), f.Tree(set)} {
			if strings.Contains(l.Unknown, "no loop") {
				t.Errorf("%s: %s", set, l.Unknown)
			}
			if cycles, ok := l.Cycles(); ok && !(cycles > 0 && !math.IsInf(cycles, 0)) {
				t.Errorf("%s: a limit of %v cycles", set, cycles)
			}
		}
	}
}
