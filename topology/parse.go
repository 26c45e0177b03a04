package topology

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// A ParseError says which text is wrong, and what about it.
type ParseError struct {
	What   string // what the text should have been: "CPU list", …
	Text   string
	Reason string
}

func (e *ParseError) Error() string {
	return fmt.Sprintf("topology: parsing %s %q: %s", e.What, abridge(e.Text), e.Reason)
}

// abridge keeps a text that nobody would read to its end out of an error.
func abridge(text string) string {
	if len(text) <= 200 {
		return text
	}
	return text[:200] + "…"
}

// ParseCPUList reads the kernel's list format: numbers and ranges, in any order,
// "0-3,7". A range that runs backwards and a CPU that cannot exist are errors, of
// type *ParseError; an empty text is no CPUs.
func ParseCPUList(text string) (CPUSet, error) {
	cpus, err := parseList[CPU]("CPU", text, MaxCPUs)
	return NewCPUSet(cpus...), err
}

func parseNodeList(text string) ([]NUMANodeID, error) {
	return parseList[NUMANodeID]("NUMA node", text, maxNUMANodes)
}

// parseList returns numbers below limit, ascending, each once.
func parseList[T CPU | NUMANodeID](what, text string, limit int) (numbers []T, err error) {
	failed := func(reason string, args ...any) ([]T, error) {
		return nil, &ParseError{what + " list", text, fmt.Sprintf(reason, args...)}
	}
	trimmed := strings.Trim(text, " \t\r\n\x00")
	if trimmed == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(trimmed, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		var ends [2]int
		for i, digits := range [2]string{from, to} {
			n, ok := parseNumber(digits)
			if !ok {
				return failed("%q is neither a number nor a range", abridge(part))
			}
			if n >= uint64(limit) {
				return failed("%s %s is above the largest, %d", what, abridge(digits), limit-1)
			}
			ends[i] = int(n)
		}
		if ends[0] > ends[1] {
			return failed("%s runs backwards", abridge(part))
		}
		if len(numbers) >= 2*limit { // the same numbers again and again
			slices.Sort(numbers)
			numbers = slices.Compact(numbers)
		}
		for n := ends[0]; n <= ends[1]; n++ {
			numbers = append(numbers, T(n))
		}
	}
	slices.Sort(numbers) // which is quick where they are in order, as the kernel has them
	return slices.Compact(numbers), nil
}

// parseNumber reads decimal digits and nothing else; what is too large for 64 bits
// becomes the largest number.
func parseNumber(digits string) (n uint64, ok bool) {
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, _ = strconv.ParseUint(digits, 10, 64)
	return n, true
}

// parseCPUMask reads the kernel's mask format: hexadecimal words of 32 bits, the
// highest first, "3,ffffffff". Errors are of type *ParseError.
func parseCPUMask(text string) (CPUSet, error) {
	failed := func(reason string, args ...any) (CPUSet, error) {
		return CPUSet{}, &ParseError{"CPU mask", text, fmt.Sprintf(reason, args...)}
	}
	words := strings.Split(strings.Trim(text, " \t\r\n\x00"), ",")
	var cpus []CPU
	for i := range words {
		word, err := strconv.ParseUint(words[i], 16, 32)
		if err != nil || strings.ContainsAny(words[i], "+_") {
			return failed("%q is not a hexadecimal word of 32 bits", abridge(words[i]))
		}
		first := 32 * (len(words) - 1 - i)
		if word != 0 && first >= MaxCPUs {
			return failed("CPU %d is above the largest, %d", first+bits.TrailingZeros64(word), MaxCPUs-1)
		}
		for ; word != 0; word &= word - 1 {
			cpus = append(cpus, CPU(first+bits.TrailingZeros64(word)))
		}
	}
	return NewCPUSet(cpus...), nil
}

// ParseSize reads a number of bytes, with a unit or without: K, M, G or T, alone
// or followed by B or iB, in upper or lower case. Units are powers of 1024, as
// the kernel means them. Errors are of type *ParseError.
func ParseSize(text string) (bytes uint64, err error) {
	failed := func(reason string) (uint64, error) { return 0, &ParseError{"size", text, reason} }
	trimmed := strings.Trim(text, " \t\r\n\x00")
	digits := trimmed
	if i := strings.IndexFunc(trimmed, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		digits = trimmed[:i]
	}
	if digits == "" {
		return failed("no number")
	}
	shift := 0
	switch strings.ToLower(strings.TrimLeft(trimmed[len(digits):], " ")) {
	case "", "b":
	case "k", "kb", "kib":
		shift = 10
	case "m", "mb", "mib":
		shift = 20
	case "g", "gb", "gib":
		shift = 30
	case "t", "tb", "tib":
		shift = 40
	default:
		return failed("the unit is none of B, K, M, G, T")
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n > ^uint64(0)>>shift {
		return failed("more than 2^64 bytes")
	}
	return n << shift, nil
}
