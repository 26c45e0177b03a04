package main

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sdr-engine/sdr/internal/input"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/topology"
)

// A flagValue is a flag whose text is parsed while the command line is read, so
// that a bad one is wrong usage and never begins any work. What is wrong is kept,
// so that badFlags tells of all flags at once.
type flagValue[T any] struct {
	to    *T
	text  string
	kind  string
	parse func(text string, old T) (T, error)
	wrong error
}

func (v *flagValue[T]) String() string { return v.text }
func (v *flagValue[T]) Type() string   { return v.kind }

func (v *flagValue[T]) Set(text string) error {
	value, err := v.parse(text, *v.to)
	if err != nil {
		v.wrong = errors.Join(v.wrong, err)
		return nil
	}
	*v.to, v.text = value, text
	return nil
}

func (v *flagValue[T]) problem() error { return v.wrong }

// badFlags reports every flag with a text that could not be parsed, or that is no path;
// flags that are plain strings are paths.
func badFlags(cmd *cobra.Command, _ []string) error {
	var errs []error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if v, ok := f.Value.(interface{ problem() error }); ok && v.problem() != nil {
			errs = append(errs, fmt.Errorf("--%s: %w", f.Name, v.problem()))
		}
		// Somebody who writes --dir "$DIR" does not want what no --dir means.
		if f.Changed && f.Value.Type() == "string" && f.Value.String() == "" {
			errs = append(errs, fmt.Errorf("--%s: \"\" is no path", f.Name))
		}
	})
	return errors.Join(errs...)
}

// flagVar adds a flag. Its kind stands in the help for its value.
func flagVar[T any](cmd *cobra.Command, to *T, name, kind, usage string, parse func(string) (T, error)) {
	cmd.Flags().Var(&flagValue[T]{to: to, kind: kind, parse: func(text string, _ T) (T, error) { return parse(text) }}, name, usage)
}

// require marks flags that must be given. Cobra fails only for unknown names.
func require(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // a name in this program is misspelt; every test finds it
		}
	}
}

func proofFlag(cmd *cobra.Command, to *porep.SealProof, usage string) {
	flagVar(cmd, to, "proof", "PROOF", usage, porep.ParseSealProof)
	names := make([]string, 0, len(porep.SealProofs()))
	for _, p := range porep.SealProofs() {
		names = append(names, p.String())
	}
	_ = cmd.RegisterFlagCompletionFunc("proof", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
}

// What flags take at most where nothing else bounds them: sums stay far from overflow.
const (
	maxNumber = 1 << 30
	// maxSectors is what 128 cores label with 32 lanes each: every sector has files and
	// directories of its own, which are made and compared first.
	maxSectors = 1 << 12
	maxTime    = 1000 * time.Hour
)

// parseNumber reads a number of things; none of them is no number.
func parseNumber(text string) (int, error) { return input.NumberFrom(1, maxNumber)(text) }

// parseWhile reads a time that something takes, 60s or 5m.
func parseWhile(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > maxTime {
		return 0, fmt.Errorf("%q is not a time above zero, up to %.0fh, like 60s or 5m", text, maxTime.Hours())
	}
	return d, nil
}

// parsePatience is parseWhile, or 0 for no time at all.
func parsePatience(text string) (time.Duration, error) {
	if text == "0" {
		return -1, nil
	}
	return parseWhile(text)
}

// parseSizes reads "127,508"; an empty text is no sizes.
func parseSizes(text string) (sizes []porep.UnpaddedSize, err error) {
	if text == "" {
		return nil, nil
	}
	for size := range strings.SplitSeq(text, ",") {
		n, err := input.Unpadded(size)
		if err != nil {
			return nil, err
		}
		sizes = append(sizes, n)
	}
	return sizes, nil
}

// parseBytes reads a number of bytes with a unit or without, "256GiB", "1.5TiB",
// by powers of 1024. What is less than a byte is cut off.
func parseBytes(text string) (uint64, error) {
	whole, rest, ok := strings.Cut(strings.TrimSpace(text), ".")
	if !ok {
		return topology.ParseSize(text)
	}
	notDigit := func(r rune) bool { return r < '0' || r > '9' }
	fraction := rest
	if i := strings.IndexFunc(rest, notDigit); i >= 0 {
		fraction = rest[:i]
	}
	failed := fmt.Errorf("%q is not a number of bytes, like 256GiB or 1.5TiB", text)
	const maxDigits = 30
	if whole == "" || fraction == "" || strings.ContainsFunc(whole, notDigit) || len(whole)+len(fraction) > maxDigits {
		return 0, failed
	}
	unit, err := topology.ParseSize("1" + rest[len(fraction):])
	if err != nil {
		return 0, failed
	}
	value, ok := new(big.Rat).SetString(whole + "." + fraction)
	if !ok {
		return 0, failed
	}
	value.Mul(value, new(big.Rat).SetInt(new(big.Int).SetUint64(unit)))
	bytes := new(big.Int).Quo(value.Num(), value.Denom())
	if !bytes.IsUint64() {
		return 0, failed
	}
	return bytes.Uint64(), nil
}
