package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// The sector that bench seals. Testdata/digests.sh has the same inputs: digests
// are known for these alone.
var (
	benchSeed   = [32]byte([]byte("sdrbench bench piece v1\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	benchProver = porep.ProverIDOf(1000)
	benchTicket = porep.Ticket([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f" +
		"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f"))
)

const benchSector = 1

// benchSectorOf is the sector that bench seals, or one of those beside it.
func benchSectorOf(dir string, p porep.SealProof, i int) (seal.Sector, error) {
	dir = filepath.Join(dir, fmt.Sprint(i))
	s := seal.Sector{
		Proof:    p,
		CacheDir: filepath.Join(dir, "cache"),
		Staged:   filepath.Join(dir, "staged"),
		Sealed:   filepath.Join(dir, "sealed"),
		ProverID: benchProver,
		Number:   benchSector + uint64(i),
		Ticket:   benchTicket,
	}
	if err := errors.Join(os.MkdirAll(s.CacheDir, 0o777), os.WriteFile(s.Sealed, nil, 0o666)); err != nil { // #nosec G301 G306 -- the umask decides, as for what any command makes
		return s, fmt.Errorf("making the sector's files: %w", err)
	}
	return s, nil
}

// madeUpSectors are sectors with replica ids of their own and empty directories.
func madeUpSectors(dir string, n int) (all []engine.Sector, err error) {
	for i := range n {
		s := engine.Sector{CacheDir: filepath.Join(dir, fmt.Sprint(i))}
		s.ReplicaID = sha256.Sum256(fmt.Appendf(nil, "sdrbench bench sector %d", i))
		s.ReplicaID[porep.NodeSize-1] &= 0x3f
		if err := os.Mkdir(s.CacheDir, 0o777); err != nil { // #nosec G301 -- the umask decides, as for what any command makes
			return nil, fmt.Errorf("making a sector's directory: %w", err)
		}
		all = append(all, s)
	}
	return all, nil
}

// makePiece writes the piece to a file, so that AddPiece is not charged with
// making it: Go's ChaCha8 of a fixed seed, which Go promises not to change.
func (a *app) makePiece(ctx context.Context, path string, size porep.UnpaddedSize) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	source := io.LimitReader(rand.NewChaCha8(benchSeed), int64(size))
	return a.withCounter(ctx, "piece", source, uint64(size), func(source io.Reader) error {
		_, err := io.CopyBuffer(f, source, make([]byte, 1<<20))
		return err
	})
}

func (a *app) benchAddPiece(ctx context.Context, p porep.SealProof, path string, size porep.UnpaddedSize, stagedPath string) (added seal.AddedPiece, took time.Duration, err error) {
	piece, err := os.Open(path)
	if err != nil {
		return added, 0, fmt.Errorf("opening the piece: %w", err)
	}
	defer piece.Close()
	staged, err := os.Create(stagedPath)
	if err != nil {
		return added, 0, fmt.Errorf("creating staged: %w", err)
	}
	defer func() { err = errors.Join(err, staged.Close()) }()
	// The file itself, as addpiece has it: goroutines read it in several places at a time.
	defer a.showProgress(func() view.Sample {
		s := view.Sample{Stage: "addpiece", Total: uint64(size.Padded()), Unit: "bytes"}
		if info, err := staged.Stat(); err == nil {
			s.Done = uint64(info.Size())
		}
		return s
	})()
	began := time.Now()
	added, err = seal.AddPiece(ctx, p, piece, size, staged, nil)
	return added, time.Since(began), err
}

// withCounter runs a job that reads source to its end, shows how far it is and
// cancels it with ctx.
func (a *app) withCounter(ctx context.Context, stage string, source io.Reader, total uint64, job func(io.Reader) error) error {
	c := &counter{ctx: ctx, r: source}
	defer a.showProgress(func() view.Sample {
		return view.Sample{Stage: stage, Done: c.n.Load(), Total: total, Unit: "bytes"}
	})()
	return job(c)
}

type counter struct {
	ctx context.Context
	r   io.Reader
	n   atomic.Uint64
}

func (c *counter) Read(b []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	n, err := c.r.Read(b)
	c.n.Add(uint64(n))
	return n, err
}
