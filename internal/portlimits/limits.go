package portlimits

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Names of figures, as far as limits come from them. A latency is that of a chain; a
// rate is what one of many independent instructions takes.
const (
	latency   = ", latency"
	additions = "integer addition, rate"

	rnds2Latency   = "sha256rnds2, latency"
	rnds2Two       = "sha256rnds2, 2 chains"
	rnds2Three     = "sha256rnds2, 3 chains"
	rnds2Four      = "sha256rnds2, 4 chains"
	rnds2Six       = "sha256rnds2, 6 chains"
	rnds2Schedules = "sha256rnds2, 6 chains beside all schedules"
	msg1Rate       = "sha256msg1, rate"
	msg2Rate       = "sha256msg2, rate"

	shiftLatency = "ymm shift, latency"
	shiftRate    = "ymm shift, rate"
	xorLatency   = "ymm xor, latency"
	xorRate      = "ymm xor, rate"
	addLatency   = "ymm addition, latency"
	addRate      = "ymm addition, rate"
	avx2Round    = "AVX2 round: 12 shifts, 16 logical operations, 6 additions"
	avx2Word     = "AVX2 schedule word: 10 shifts, 8 logical operations, 4 additions"

	rotateLatency  = "zmm rotate, latency"
	rotateRate     = "zmm rotate, rate"
	ternaryLatency = "zmm ternary, latency"
	zmmAddLatency  = "zmm addition, latency"
	zmmAddRate     = "zmm addition, rate"
	avx512Round    = "AVX-512 round: 6 rotates, 4 ternaries, 6 additions"
	avx512Word     = "AVX-512 schedule word: 6 rotates and shifts, 2 ternaries, 4 additions"

	halfRotateLatency  = "ymm rotate, latency"
	halfRotateRate     = "ymm rotate, rate"
	halfTernaryLatency = "ymm ternary, latency"
	halfRound          = avx512Round + ", on ymm"
	halfWord           = avx512Word + ", on ymm"

	foursLatency   = "sha256h, sha256h2 and a copy, latency"
	foursTwo       = "sha256h, sha256h2 and a copy, 2 chains"
	foursThree     = "sha256h, sha256h2 and a copy, 3 chains"
	foursFour      = "sha256h, sha256h2 and a copy, 4 chains"
	foursSchedules = "sha256h, sha256h2 and a copy, 4 chains beside all schedules"
	su0Rate        = "sha256su0, rate"
	su1Rate        = "sha256su1, rate"
)

// Operations of a vector kernel: of a round, and of a word that the schedule adds, with K
// added to it. No kernel of ours has fewer, which a test counts.
const (
	avx2RoundShifts, avx2RoundOps = 12, 34
	avx2WordShifts, avx2WordOps   = 10, 22

	avx512RoundRotates, avx512RoundOps = 6, 16
	avx512WordRotates, avx512WordOps   = 6, 12
)

// What a label consists of.
const (
	blocks      = 20 // of a label's message
	chainBlocks = 19 // those that need another label: all but the first
	rounds      = 64 // of a block
	words       = 48 // that a block's schedule adds to its message
	rnds2       = rounds / 2
	fours       = rounds / 4
	scheduleOps = words / 4 // sha256msg1, and as many sha256msg2; or sha256su0 and su1
)

// schedules is how many blocks of a label have a schedule that no other has.
func schedules(layer uint32) float64 {
	if layer == 1 {
		return 5 // the first block, 3 pairs of parents, the last block
	}
	return 9 // the first block, 7 pairs, the last block
}

// A Bound is one reason why a kernel cannot be faster.
type Bound struct {
	Cycles float64 // for a label or hash, on one core
	Text   string  // what it comes from
}

// A Limit is what a kernel cannot go below: the greatest of its bounds.
type Limit struct {
	Bounds []Bound // greatest first
	// Unknown is why there is no limit, empty where there is one.
	Unknown string
}

// Cycles is the limit for a label or hash, on one core, if it is known.
func (l Limit) Cycles() (cycles float64, ok bool) {
	if len(l.Bounds) == 0 {
		return 0, false
	}
	return l.Bounds[0].Cycles, true
}

// Label is the limit of a label kernel: of an instruction set, "sha-ni", with so many
// lanes, in a layer. Nothing but the chain and the units counts: no loads, no sums
// at a block's end, no wait for memory.
func (f Figures) Label(set string, lanes int, layer uint32) Limit {
	return f.limit(set, lanes, func(e *equations, c costs) {
		e.bound(chainsOf(set)*c.chain/float64(lanes), "latency: %.0f × %s%s (%s)", chainsOf(set), c.chainSum, share(lanes), c.chainNote)
		e.units(c, blocks, schedules(layer))
	})
}

// Tree is the limit of a kernel for tree nodes: SHA-256 of 64 bytes, many at once, so
// that no latency counts. It has a block of two nodes and one whose schedule
// is a constant.
func (f Figures) Tree(set string) Limit {
	return f.limit(set, many, func(e *equations, c costs) { e.units(c, 2, 1) })
}

// chainsOf is how many of a label's blocks the latency bound has one after the
// other. The first block waits for no label. A SHA unit that waits for a chain does
// it on the side; vector kernels are taken to have no room for it, since it needs
// the units that the chain needs.
func chainsOf(set string) float64 {
	if set == "avx2" || set == "avx512" {
		return blocks
	}
	return chainBlocks
}

func share(n int) string {
	if n == 1 {
		return ""
	}
	return fmt.Sprintf(" ÷ %d", n)
}

// Costs are what blocks cost a core at least, in cycles.
type costs struct {
	chain    float64 // one block after another
	block    float64 // of the units, without its schedule
	schedule float64 // of the units
	width    float64 // how many lanes block and schedule are for
	// How they come about, in numbers and in words.
	chainSum, blockSum, scheduleSum string
	chainNote, unitNote             string
}

// many are more lanes than any instruction takes.
const many = 1 << 10

// limit finds the costs with so many lanes, and lets derive make bounds of them.
func (f Figures) limit(set string, lanes int, derive func(*equations, costs)) Limit {
	e := &equations{figures: f}
	var c costs
	switch set {
	case "sha-ni":
		c = e.shaNI()
	case "armv8":
		c = e.armV8()
	case "avx2":
		c = e.avx2()
	case "avx512":
		c = e.avx512(lanes)
	default:
		return Limit{Unknown: "its instructions are the compiler's choice"}
	}
	if e.unknown != "" {
		return Limit{Unknown: e.unknown}
	}
	derive(e, c)
	slices.SortStableFunc(e.bounds, func(a, b Bound) int { return cmp.Compare(b.Cycles, a.Cycles) })
	return Limit{Bounds: e.bounds}
}

// Equations look figures up, and keep the first reason why there is none.
type equations struct {
	figures Figures
	bounds  []Bound
	unknown string
}

func (e *equations) get(name string) float64 {
	figure := e.figures.find(name)
	if figure.Unknown != "" && e.unknown == "" {
		e.unknown = name + ": " + figure.Unknown
	}
	return figure.Cycles
}

// noise is how far below the true one a figure may be, as where the clock changed while it
// was measured. Whatever else disturbs a loop makes it longer, and a limit from what was
// measured while others used the core is one that a kernel beats as soon as it has
// the core for itself. So what lies between two values that can be is taken
// for the lower cost.
const noise = 0.05

// latency is that of an instruction, a whole number of cycles.
func (e *equations) latency(name string) float64 { return math.Floor(e.get(name) * (1 + noise)) }

// rate is the least of those of instructions that the same units do. Each unit starts one
// every whole number of cycles, and two may do halves of one together: so one starts
// every 1, 1½, 2, 3… cycles, or as many start in a cycle.
func (e *equations) rate(names ...string) float64 {
	rate := math.Inf(1)
	for _, name := range names {
		rate = min(rate, e.get(name))
	}
	switch {
	case rate <= 0:
		return 0
	case rate > 1/(1+noise):
		if rate *= 1 + noise; rate < 2 {
			return math.Floor(2*rate) / 2
		}
		return math.Floor(rate)
	}
	starts := 1 / rate * (1 - noise)
	if starts <= 2 {
		return 2 / math.Ceil(2*starts)
	}
	return 1 / math.Ceil(starts)
}

func (e *equations) bound(cycles float64, format string, args ...any) {
	e.bounds = append(e.bounds, Bound{cycles, fmt.Sprintf(format, args...)})
}

// units is the bound of so many blocks, of which some have a schedule.
func (e *equations) units(c costs, blocks, schedules float64) {
	sum := fmt.Sprintf("%.0f × %s", blocks, c.blockSum)
	if c.schedule > 0 {
		sum = fmt.Sprintf("(%s + %.0f × %s)", sum, schedules, c.scheduleSum)
	}
	e.bound((blocks*c.block+schedules*c.schedule)/c.width, "units: %s%s (%s)", sum, share(int(c.width)), c.unitNote)
}

// shaNI: a block is 32 SHA256RNDS2, each of which waits for the one before, in a
// unit that has room for more chains than one.
func (e *equations) shaNI() costs {
	chain := e.latency(rnds2Latency)
	rate := e.rate(rnds2Latency, rnds2Two, rnds2Three, rnds2Four, rnds2Six)
	schedule := e.inUnit(rnds2*(e.get(rnds2Schedules)-rate), scheduleOps*(e.get(msg1Rate)+e.get(msg2Rate)))
	return costs{
		chain: rnds2 * chain, block: rnds2 * rate, schedule: schedule, width: 1,
		chainSum: fmt.Sprintf("%d × %.2f", rnds2, chain), chainNote: "sha256rnds2 after sha256rnds2",
		blockSum: fmt.Sprintf("%d × %.2f", rnds2, rate), scheduleSum: fmt.Sprintf("%.1f", schedule), unitNote: "sha256rnds2 among many" + besides(schedule),
	}
}

// armV8: a block is 16 times SHA256H and SHA256H2.
func (e *equations) armV8() costs {
	chain := e.latency(foursLatency)
	rate := e.rate(foursLatency, foursTwo, foursThree, foursFour)
	schedule := e.inUnit(fours*(e.get(foursSchedules)-rate), scheduleOps*(e.get(su0Rate)+e.get(su1Rate)))
	return costs{
		chain: fours * chain, block: fours * rate, schedule: schedule, width: 1,
		chainSum: fmt.Sprintf("%d × %.2f", fours, chain), chainNote: "sha256h and sha256h2 after those before",
		blockSum: fmt.Sprintf("%d × %.2f", fours, rate), scheduleSum: fmt.Sprintf("%.1f", schedule), unitNote: "sha256h and sha256h2 among many" + besides(schedule),
	}
}

// inUnit is what a block's schedule costs the SHA unit. Beside rounds that fill the unit,
// its instructions took extra cycles. If that is half of what they take alone, or
// more, they need the unit. If not, others do them, and what little it is, is the
// loop's.
func (e *equations) inUnit(extra, alone float64) float64 {
	if extra < alone/2 {
		return 0
	}
	return min(extra, alone)
}

func besides(schedule float64) string {
	if schedule > 0 {
		return "; schedules in the same unit"
	}
	return "; schedules beside them"
}

// avx2: Σ is three rotations of two shifts each, then an exclusive or of six values,
// and an addition on the way from one round to the next.
func (e *equations) avx2() costs {
	shift, xor, add := e.latency(shiftLatency), e.latency(xorLatency), e.latency(addLatency)
	fastest := e.rate(shiftRate, xorRate, addRate)
	round := max(avx2RoundShifts*e.rate(shiftRate), min(e.get(avx2Round), avx2RoundOps*fastest))
	word := max(avx2WordShifts*e.rate(shiftRate), min(e.get(avx2Word), avx2WordOps*fastest))
	return costs{
		chain: rounds * (shift + 3*xor + add), block: rounds * round, schedule: words * word, width: 8,
		chainSum: fmt.Sprintf("%d × (%.2f + 3 × %.2f + %.2f)", rounds, shift, xor, add), chainNote: "shift, exclusive ors, addition",
		blockSum: fmt.Sprintf("%d × %.2f", rounds, round), scheduleSum: fmt.Sprintf("%d × %.2f", words, word), unitNote: operations(avx2RoundOps, avx2WordOps),
	}
}

func operations(round, word int) string {
	return fmt.Sprintf("%d operations a round, %d a schedule word", round, word)
}

// A vectorSet is the figures of AVX-512's instructions on registers of one width.
type vectorSet struct {
	lanes                                     float64
	rotateLatency, rotateRate, ternaryLatency string
	addLatency, addRate                       string
	round, newWord                            string // mixes of them
}

var (
	wholeRegisters = vectorSet{16, rotateLatency, rotateRate, ternaryLatency, zmmAddLatency, zmmAddRate, avx512Round, avx512Word}
	halfRegisters  = vectorSet{8, halfRotateLatency, halfRotateRate, halfTernaryLatency, addLatency, addRate, halfRound, halfWord}
)

// avx512: Σ is three rotates, of which the last may have to wait for a unit, a
// ternary, and an addition on the way from one round to the next. Up to 8 lanes need
// only half of each register.
//
// The mixes lose a few hundredths to the order in which a core picks operations.
// All of them at the rate of additions, if that is less, is what no order beats. The
// shortest chain takes an operation more in each round than the fewest: a kernel that
// the units bound has the fewest, one that waits the shortest chain.
func (e *equations) avx512(lanes int) costs {
	v := wholeRegisters
	if lanes <= int(halfRegisters.lanes) {
		v = halfRegisters
	}
	rotate, ternary, add := e.latency(v.rotateLatency), e.latency(v.ternaryLatency), e.latency(v.addLatency)
	rotates, adds := e.rate(v.rotateRate), e.rate(v.addRate)
	units := max(1, math.Round(1/rotates))
	wait := math.Floor(2 / units)
	round := max(avx512RoundRotates*rotates, min(e.get(v.round), avx512RoundOps*adds))
	word := max(avx512WordRotates*rotates, min(e.get(v.newWord), avx512WordOps*adds))
	return costs{
		chain: rounds * (rotate + wait + ternary + add), block: rounds * round, schedule: words * word, width: v.lanes,
		chainSum: fmt.Sprintf("%d × (%.2f + %.0f + %.2f + %.2f)", rounds, rotate, wait, ternary, add), chainNote: "rotate, wait for a unit, ternary, addition",
		blockSum: fmt.Sprintf("%d × %.2f", rounds, round), scheduleSum: fmt.Sprintf("%d × %.2f", words, word), unitNote: operations(avx512RoundOps, avx512WordOps),
	}
}
