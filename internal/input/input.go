// Package input reads what people and hosts write: miners, sector numbers, pieces and their
// sizes; and opens the files and pipes that they name.
package input

import (
	"context"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/sdr-engine/sdr/porep"
)

// SectorNumber reads a sector's number.
func SectorNumber(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number from 0 to %d", text, uint64(math.MaxUint64))
	}
	return n, nil
}

// Miner reads an actor number, 1000 or f01000, as a prover id.
func Miner(text string) (porep.ProverID, error) {
	digits, ok := strings.CutPrefix(text, "f0")
	if !ok {
		digits = strings.TrimPrefix(text, "t0")
	}
	actor, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return porep.ProverID{}, fmt.Errorf("%q is not an actor number, up to %d, like 1000 or f01000", text, uint64(math.MaxUint64))
	}
	return porep.ProverIDOf(actor), nil
}

// OpenUntil opens a file to read, unless ctx is done before: a pipe is waited for until
// somebody writes to it.
func OpenUntil(ctx context.Context, path string) (*os.File, error) {
	var f *os.File
	opened := make(chan error)
	go func() {
		var err error
		f, err = os.Open(path)
		select {
		case opened <- err:
		case <-ctx.Done():
			if err == nil {
				f.Close()
			}
		}
	}()
	select {
	case err := <-opened:
		return f, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
