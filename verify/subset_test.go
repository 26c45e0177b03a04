package verify

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// TestParts: the parts of any number are disjoint, and together whole; a share is as large as
// it says, and no 4 MiB are without some of it.
func TestParts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		nodes := uint64(1) << rapid.IntRange(6, 31).Draw(rt, "nodes")
		of := rapid.Uint64Range(1, min(maxParts, 4000)).Draw(rt, "of")
		at := uint64(0)
		for part := uint64(1); part <= of; part++ {
			for _, s := range (Subset{part: part, of: of}).spans(nodes) {
				if s.first != at || s.n == 0 {
					rt.Fatalf("part %d of %d begins at %d, the one before ended at %d", part, of, s.first, at)
				}
				at += s.n
			}
		}
		if at != nodes {
			rt.Fatalf("%d parts end at %d of %d", of, at, nodes)
		}
		share := Subset{millionths: rapid.Uint64Range(1, million).Draw(rt, "millionths")}
		spans := share.spans(nodes)
		n := count(spans)
		if want := nodes * share.millionths / million; n < want || n > want+uint64(len(spans)) {
			rt.Fatalf("%v of %d nodes are %d", share, nodes, n)
		}
		for i, s := range spans {
			if i > 0 && s.first < spans[i-1].first+spans[i-1].n || s.first+s.n > nodes || s.n == 0 {
				rt.Fatalf("%v has %+v", share, spans)
			}
		}
	})
}

// TestTake: passes together are what they are taken of.
func TestTake(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var spans []span
		at := uint64(0)
		for range rapid.IntRange(0, 5).Draw(rt, "spans") {
			s := span{at + rapid.Uint64Range(0, 9).Draw(rt, "gap"), rapid.Uint64Range(1, 30).Draw(rt, "n")}
			spans, at = append(spans, s), s.first+s.n
		}
		most := rapid.Uint64Range(1, 20).Draw(rt, "most")
		var nodes, taken []uint64
		list := func(to []uint64, spans []span) []uint64 {
			for _, s := range spans {
				for i := range s.n {
					to = append(to, s.first+i)
				}
			}
			return to
		}
		nodes = list(nodes, spans)
		for rest := spans; len(rest) > 0; {
			var some []span
			some, rest = take(rest, most)
			if n := count(some); n > most || n < most && len(rest) > 0 {
				rt.Fatalf("%d were taken, %d may be", n, most)
			}
			taken = list(taken, some)
		}
		if len(nodes) != len(taken) {
			rt.Fatalf("%d of %d were taken", len(taken), len(nodes))
		}
		for i := range nodes {
			if nodes[i] != taken[i] {
				rt.Fatalf("%d was taken in the place of %d", taken[i], nodes[i])
			}
		}
	})
}

func TestParseSubset(t *testing.T) {
	for text, want := range map[string]Subset{
		"1/1": {part: 1, of: 1}, "3/8": {part: 3, of: 8}, "5%": {millionths: 50_000}, "100%": {millionths: million}, "0.25%": {millionths: 2_500}, "0.0001%": {millionths: 1},
	} {
		if got, err := ParseSubset(text); err != nil || got != want {
			t.Errorf("%q is %+v (%v), want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "/", "0/0", "5/4", "0/4", "1/0", "-1/4", "1/1048577", "101%", "0%", "100.0001%", "%", ".5%", "1.%", "1.00001%", "1e1%", "+5%", "5", "1/2/3", "1/2%", "18446744073709551616/2", "99999999999999999999%"} {
		if _, err := ParseSubset(text); !errors.As(err, new(*OptionError)) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzParseSubset: whatever is read is a part of a layer, and says itself.
func FuzzParseSubset(f *testing.F) {
	for _, text := range []string{"1/1", "3/8", "5%", "100%", "0.0001%", "0/0", "5/4", "101%"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSubset(text)
		if err != nil {
			return
		}
		if again, err := ParseSubset(s.String()); err != nil || again != s {
			t.Errorf("%q is %+v, which is said %q, which is %+v (%v)", text, s, s, again, err)
		}
		const nodes = 1 << 20
		for _, p := range s.spans(nodes) {
			if p.n == 0 || p.first >= nodes || p.n > nodes-p.first {
				t.Errorf("%q: %+v", text, p)
			}
		}
	})
}
