package main

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/sha256"
	"github.com/sdr-engine/sdr/topology"
)

// A flagValue is a flag whose text is parsed while the command line is read, so
// that a bad one is wrong usage and never begins any work.
type flagValue[T any] struct {
	to    *T
	text  string
	kind  string
	parse func(text string, old T) (T, error)
}

func (v *flagValue[T]) String() string { return v.text }
func (v *flagValue[T]) Type() string   { return v.kind }

func (v *flagValue[T]) Set(text string) error {
	value, err := v.parse(text, *v.to)
	if err == nil {
		*v.to, v.text = value, text
	}
	return err
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

func kernelFlag(cmd *cobra.Command, to *string) {
	flagVar(cmd, to, "kernel", "NAME", "label kernel (default: the best that this machine can run)", parseKernel)
	var names []string
	for _, k := range sha256.Kernels() {
		if k.Usable() && k.Lanes == 1 {
			names = append(names, k.Name)
		}
	}
	_ = cmd.RegisterFlagCompletionFunc("kernel", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
}

func parseKernel(name string) (string, error) {
	k, err := sha256.ByName(name)
	if err == nil && k.Lanes != 1 {
		err = fmt.Errorf("%q labels %d sectors at a time, want a kernel for one", name, k.Lanes)
	}
	return name, err
}

func parseUnpadded(text string) (porep.UnpaddedSize, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number of bytes", text)
	}
	return porep.UnpaddedSize(n), nil
}

// parseSizes reads "127,508"; an empty text is no sizes.
func parseSizes(text string) (sizes []porep.UnpaddedSize, err error) {
	if text == "" {
		return nil, nil
	}
	for size := range strings.SplitSeq(text, ",") {
		n, err := parseUnpadded(size)
		if err != nil {
			return nil, err
		}
		sizes = append(sizes, n)
	}
	return sizes, nil
}

// parsePiece reads COMM_P:UNPADDED.
func parsePiece(text string) (piece porep.Piece, err error) {
	commP, size, ok := strings.Cut(text, ":")
	if !ok {
		return piece, fmt.Errorf("%q is not COMM_P:UNPADDED", text)
	}
	if piece.CommP, err = porep.ParseCommitment(commP); err != nil {
		return piece, err
	}
	piece.Size, err = parseUnpadded(size)
	return piece, err
}

// parseMiner reads an actor number, 1000 or f01000, as a prover id.
func parseMiner(text string) (porep.ProverID, error) {
	digits := strings.TrimPrefix(strings.TrimPrefix(text, "f0"), "t0")
	actor, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return porep.ProverID{}, fmt.Errorf("%q is not an actor number, like 1000 or f01000", text)
	}
	return porep.ProverIDOf(actor), nil
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
