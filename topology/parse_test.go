package topology

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseCPUList(t *testing.T) {
	for text, want := range map[string]string{
		"":                 "",
		"\n":               "",
		"0":                "0",
		"0-3,7":            "0-3,7",
		"7,0-3\n":          "0-3,7",
		"3-3":              "3",
		"1,2,3":            "1-3",
		"0-3,2-5,4":        "0-5",
		"0,2,4,6":          "0,2,4,6",
		"8191":             "8191",
		"0-8191":           "0-8191",
		" 0-1 \x00":        "0-1",
		"0000000000000001": "1",
	} {
		set, err := ParseCPUList(text)
		if err != nil || set.String() != want {
			t.Errorf("%q: %s, %v, want %s", text, set, err, want)
		}
	}
	for text, want := range map[string]string{
		"0-3,7,5-4":            "5-4 runs backwards",
		"99999":                "CPU 99999 is above the largest, 8191",
		"0-8192":               "CPU 8192 is above the largest, 8191",
		"18446744073709551616": "CPU 18446744073709551616 is above",
		"0-":                   `"0-" is neither a number nor a range`,
		"-1":                   `"-1" is neither`,
		"1--2":                 `"1--2" is neither`,
		"1,,2":                 `"" is neither`,
		"1,":                   `"" is neither`,
		"0-3:2/4":              `"0-3:2/4" is neither`,
		"0x1":                  `"0x1" is neither`,
		"+1":                   `"+1" is neither`,
		"1 2":                  `"1 2" is neither`,
		"one":                  `"one" is neither`,
		"١":                    "is neither",
	} {
		set, err := ParseCPUList(text)
		var wrong *ParseError
		if !errors.As(err, &wrong) || set.Len() != 0 || wrong.Text != text || wrong.What != "CPU list" {
			t.Errorf("%q: %s, %v", text, set, err)
			continue
		}
		if !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), fmt.Sprintf("topology: parsing CPU list %q: ", text)) {
			t.Errorf("%q: %q, want %q", text, err, want)
		}
	}
	if _, err := ParseCPUList(strings.Repeat("9", 1<<20)); err == nil || len(err.Error()) > 1<<12 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
	if _, err := parseNodeList("0,1024"); err == nil || !strings.Contains(err.Error(), "NUMA node 1024 is above the largest, 1023") {
		t.Errorf("NUMA node 1024: %v", err)
	}
}

func TestParseCPUMask(t *testing.T) {
	for text, want := range map[string]string{
		"0":                          "",
		"1":                          "0",
		"ff":                         "0-7",
		"ffffffff":                   "0-31",
		"3,ffffffff\n":               "0-33",
		"00000000,00000000,00155550": "4,6,8,10,12,14,16,18,20",
		"8000,00000000":              "47",
		"80000000" + strings.Repeat(",00000000", 255): "8191",
		strings.Repeat("0,", 1000) + "1":              "0",
	} {
		set, err := parseCPUMask(text)
		if err != nil || set.String() != want {
			t.Errorf("%.40q: %s, %v, want %s", text, set, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                              `"" is not a hexadecimal word`,
		",":                             `"" is not`,
		"0x1":                           `"0x1" is not`,
		"1,g":                           `"g" is not`,
		"-1":                            `"-1" is not`,
		"+1":                            `"+1" is not`,
		"1_0":                           `"1_0" is not`,
		"100000000":                     `"100000000" is not`,
		"1" + strings.Repeat(",0", 256): "CPU 8192 is above the largest, 8191",
	} {
		var wrong *ParseError
		if set, err := parseCPUMask(text); !errors.As(err, &wrong) || set.Len() != 0 || !strings.Contains(err.Error(), want) || wrong.Text != text {
			t.Errorf("%.40q: %s, %v, want %q", text, set, err, want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "1": 1, "4096 B": 4096, "32768K": 32 << 20, "5118K\n": 5118 << 10, "8873760 kB": 8873760 << 10, "256GiB": 256 << 30,
		"1g": 1 << 30, "2MB": 2 << 20, "3 tib": 3 << 40, "16777215T": 16777215 << 40, "18446744073709551615": 1<<64 - 1,
	} {
		if n, err := ParseSize(text); n != want || err != nil {
			t.Errorf("%q: %d, %v, want %d", text, n, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "no number", "K": "no number", "-1": "no number", "1.5G": "the unit", "1 PB": "the unit", "1KK": "the unit", "0x10": "the unit",
		"16777216T": "more than 2^64 bytes", "18446744073709551616": "more than 2^64 bytes", "1\x00K": "the unit",
	} {
		var wrong *ParseError
		if n, err := ParseSize(text); n != 0 || !errors.As(err, &wrong) || wrong.Text != text || !strings.Contains(wrong.Reason, want) {
			t.Errorf("%q: %d, %v, want %q", text, n, err, want)
		}
	}
}

// Sets behave like sets: a map of bools is the model.
func TestCPUSet(t *testing.T) {
	cpus := rapid.SliceOf(rapid.Map(rapid.IntRange(-1, 300), func(n int) CPU {
		if n > 250 {
			return CPU(n * 27) // up to 8100
		}
		return CPU(n)
	}))
	rapid.Check(t, func(t *rapid.T) {
		a, b := cpus.Draw(t, "a"), cpus.Draw(t, "b")
		setA, setB := NewCPUSet(a...), NewCPUSet(b...)
		for name, c := range map[string]struct {
			got  CPUSet
			want func(inA, inB bool) bool
		}{
			"a":         {setA, func(inA, _ bool) bool { return inA }},
			"union":     {setA.union(setB), func(inA, inB bool) bool { return inA || inB }},
			"intersect": {setA.Intersect(setB), func(inA, inB bool) bool { return inA && inB }},
			"minus":     {setA.Minus(setB), func(inA, inB bool) bool { return inA && !inB }},
		} {
			var want []CPU
			for cpu := range CPU(MaxCPUs) {
				is := c.want(slices.Contains(a, cpu), slices.Contains(b, cpu))
				if is {
					want = append(want, cpu)
				}
				if c.got.Contains(cpu) != is {
					t.Fatalf("%s contains %d: %v", name, cpu, !is)
				}
			}
			if got := c.got.Slice(); !slices.Equal(got, want) || c.got.Len() != len(want) || !c.got.Equal(NewCPUSet(want...)) {
				t.Fatalf("%s of %d and %d: %d, want %d", name, a, b, got, want)
			}
			if again, err := ParseCPUList(c.got.String()); err != nil || !again.Equal(c.got) {
				t.Fatalf("%s: %q is %s again, %v", name, c.got, again, err)
			}
		}
		if setA.Equal(setB) != (setA.String() == setB.String()) {
			t.Fatalf("%s equal %s: %v", setA, setB, setA.Equal(setB))
		}
	})
}

func FuzzParseCPUList(f *testing.F) {
	for _, text := range []string{"", "0-3,7", "0-3,7,5-4", "99999", "0-8191", "1,,2", "-", "0-3:2/4"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, err := ParseCPUList(text)
		checkParsed(t, text, set, err)
		if again, err := ParseCPUList(set.String()); err != nil || !again.Equal(set) {
			t.Errorf("%q is %s, and %s again, %v", text, set, again, err)
		}
		nodes, err := parseNodeList(text)
		if err == nil && len(nodes) > maxNUMANodes {
			t.Errorf("%q: %d nodes", text, len(nodes))
		}
		if memory, err := ParseMemoryNodes(text); err == nil {
			if again, err := ParseMemoryNodes(memory.String()); err != nil || again.String() != memory.String() {
				t.Errorf("%q is %v, and %v again, %v", text, memory, again, err)
			}
		}
	})
}

func checkParsed(t *testing.T, text string, set CPUSet, err error) {
	var wrong *ParseError
	if err != nil && (!errors.As(err, &wrong) || wrong.Text != text || set.Len() > 0) {
		t.Errorf("%q: %s, %v", text, set, err)
	}
	for cpu := range set.All() {
		if cpu < 0 || cpu >= MaxCPUs {
			t.Errorf("%q: CPU %d", text, cpu)
		}
	}
}

func FuzzParseCPUMask(f *testing.F) {
	for _, text := range []string{"0", "3,ffffffff", "1" + strings.Repeat(",0", 256), "g", ","} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, err := parseCPUMask(text)
		checkParsed(t, text, set, err)
		if err != nil {
			return
		}
		// The same mask as one number.
		var digits strings.Builder
		for word := range strings.SplitSeq(strings.Trim(text, " \t\r\n\x00"), ",") {
			fmt.Fprintf(&digits, "%08s", word)
		}
		number, ok := new(big.Int).SetString(strings.ReplaceAll(digits.String(), " ", "0"), 16)
		if !ok {
			t.Fatalf("%q is no mask", text)
		}
		for cpu := range number.BitLen() {
			if set.Contains(CPU(cpu)) != (number.Bit(cpu) == 1) {
				t.Fatalf("%q: CPU %d: %v", text, cpu, set.Contains(CPU(cpu)))
			}
		}
		if set.Len() > 0 && !set.Contains(CPU(number.BitLen()-1)) {
			t.Errorf("%q: the highest of %s is not %d", text, set, number.BitLen()-1)
		}
	})
}

func FuzzParseSize(f *testing.F) {
	for _, text := range []string{"0", "32768K", "8873760 kB", "256GiB", "16777216T", "1.5G", "-1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseSize(text)
		var wrong *ParseError
		if err != nil {
			if !errors.As(err, &wrong) || wrong.Text != text || n != 0 {
				t.Errorf("%q: %d, %v", text, n, err)
			}
			return
		}
		if again, err := ParseSize(fmt.Sprintf("%d B", n)); again != n || err != nil {
			t.Errorf("%q is %d, and %d again, %v", text, n, again, err)
		}
	})
}

// FuzzDump: no dump makes the reader panic; one that is read is, dumped again, the
// same machine.
func FuzzDump(f *testing.F) {
	for _, build := range []func() *textSource{newTextSource, small, noCache, oddNodes, hybrid} {
		var text strings.Builder
		build().write(&text)
		f.Add(text.String())
	}
	f.Add(dumpHeader + "\n[sys/devices/system/cpu]\nonline = 0-3,7,5-4\n")
	f.Fuzz(func(t *testing.T, text string) {
		src, err := parseDump(text)
		if err != nil {
			return
		}
		rec := &recorder{source: src, used: newTextSource()}
		m, err := read(rec, "dump")
		if err != nil {
			return
		}
		checkMachine(t, m)
		var second strings.Builder
		rec.used.write(&second)
		src, err = parseDump(second.String())
		if err != nil {
			t.Fatalf("its own dump: %v\n%s", err, second.String())
		}
		again, err := read(src, "dump")
		if err != nil {
			t.Fatalf("its own dump: %v\n%s", err, second.String())
		}
		if one, two := fmt.Sprint(pictureOf(m)), fmt.Sprint(pictureOf(again)); one != two {
			t.Errorf("%s\nis, dumped again,\n%s", one, two)
		}
	})
}
