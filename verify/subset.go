package verify

import (
	"fmt"
	"strconv"
	"strings"
)

// A Subset is a part of each layer's nodes. The zero Subset is all of them.
//
// Part n of t, "3/8", is the nth of t stretches of the layer: those of all n are disjoint, and
// together they are the layer, so that a check can be done in as many goes. A share, "5%", is the
// beginning of each 4 MiB of the layer.
type Subset struct {
	part, of   uint64 // the first is 1
	millionths uint64
}

const (
	maxParts = 1 << 20
	million  = 1_000_000
	all      = 100 // per cent

	blockNodes = 4 << 20 / 32
)

// ParseSubset reads "n/t" or "P%". The error is an *OptionError.
func ParseSubset(text string) (Subset, error) {
	fail := func(format string, args ...any) (Subset, error) {
		return Subset{}, &OptionError{"subset", fmt.Sprintf("%q: ", text) + fmt.Sprintf(format, args...)}
	}
	if percent, ok := strings.CutSuffix(text, "%"); ok {
		whole, fraction, pointed := strings.Cut(percent, ".")
		const decimals = 4 // a millionth
		n, err := number(whole)
		if pointed && (fraction == "" || len(fraction) > decimals) || err != nil {
			return fail("not a share, like 5%% or 0.25%%")
		}
		parts := uint64(0)
		if pointed {
			if parts, err = number(fraction + strings.Repeat("0", decimals-len(fraction))); err != nil {
				return fail("not a share, like 5%% or 0.25%%")
			}
		}
		if n > all {
			return fail("more than 100%%")
		}
		share := n*million/all + parts
		if share == 0 || share > million {
			return fail("want more than 0%%, and 100%% at most")
		}
		return Subset{millionths: share}, nil
	}
	first, second, ok := strings.Cut(text, "/")
	part, errPart := number(first)
	of, errOf := number(second)
	switch {
	case !ok || errPart != nil || errOf != nil:
		return fail("neither a part, like 3/8, nor a share, like 5%%")
	case of < 1 || of > maxParts:
		return fail("want 1 to %d parts", maxParts)
	case part < 1 || part > of:
		return fail("want part 1 to %d", of)
	}
	return Subset{part: part, of: of}, nil
}

// number reads decimal digits alone.
func number(text string) (uint64, error) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseUint(text, 10, 64)
}

func (s Subset) String() string {
	switch {
	case s.millionths > 0:
		const unit = million / all
		text := strconv.FormatUint(s.millionths/unit, 10)
		if rest := s.millionths % unit; rest > 0 {
			text += strings.TrimRight(fmt.Sprintf(".%04d", rest), "0")
		}
		return text + "%"
	case s.of > 0:
		return fmt.Sprintf("%d/%d", s.part, s.of)
	}
	return "1/1"
}

// Whole reports whether it is all of each layer.
func (s Subset) Whole() bool { return s.of <= 1 && (s.millionths == 0 || s.millionths == million) }

// A span is consecutive nodes.
type span struct{ first, n uint64 }

// spans are those of a layer of so many nodes, ascending and apart.
func (s Subset) spans(nodes uint64) (all []span) {
	switch {
	case s.Whole():
		return []span{{0, nodes}}
	case s.of > 0:
		first, end := nodes*(s.part-1)/s.of, nodes*s.part/s.of
		if first == end {
			return nil // more parts than nodes
		}
		return []span{{first, end - first}}
	}
	for first := uint64(0); first < nodes; first += blockNodes {
		n := min(blockNodes, nodes-first)
		all = append(all, span{first, (n*s.millionths + million - 1) / million})
	}
	return all
}

// count is how many nodes spans have.
func count(spans []span) (n uint64) {
	for _, s := range spans {
		n += s.n
	}
	return n
}
