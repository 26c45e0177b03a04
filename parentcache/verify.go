package parentcache

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/porep"
)

// A CorruptError says what is wrong with a parent cache file.
type CorruptError struct {
	Path string
	What string // "length", "SHA-256", "parent 3 of node 17"
	Got  string
	Want string
}

// Is reports whether target is the kind ErrCorrupt.
func (e *CorruptError) Is(target error) bool { return target == failure.ErrCorrupt }

func (e *CorruptError) Error() string {
	return fmt.Sprintf("parentcache: verifying %s: %s is %s, want %s", e.Path, e.What, e.Got, e.Want)
}

// Verify reads the whole of a parent cache file, whose name says which seal
// proof it is for, on all cores. Its error is an *UnknownNameError, a
// *CorruptError, or why the file could not be read.
func Verify(ctx context.Context, path string) error {
	p, err := ProofOf(path)
	if err != nil {
		return err
	}
	return VerifyFor(ctx, p, path, nil)
}

// VerifyFor is Verify for a file of any name. A hook, which may be nil, is told
// how far it is.
func VerifyFor(ctx context.Context, p porep.SealProof, path string, hook func(Event)) error {
	f, err := openVerified(ctx, p, path, hook)
	if err != nil {
		return err
	}
	return f.Close()
}

// A verified file is open, and has the checksums of what was read of it when it
// was verified.
type verified struct {
	*os.File
	sums sums
}

// openVerified opens a file for reading and verifies what it opened.
func openVerified(ctx context.Context, p porep.SealProof, path string, hook func(Event)) (*verified, error) {
	failed := func(err error) error {
		return fmt.Errorf("parentcache: verifying %s for %v: %w", path, p, err)
	}
	if err := p.Check(); err != nil {
		return nil, failed(err)
	}
	// Before it is opened, because that alone may do something to a device.
	info, err := os.Stat(path)
	if err != nil {
		return nil, failed(err)
	}
	if !info.Mode().IsRegular() {
		return nil, failed(&NotFileError{path, info.Mode()})
	}
	f, err := os.OpenFile(path, os.O_RDONLY|linux.NoWait, 0)
	if err != nil {
		return nil, failed(err)
	}
	v := &verified{f, newSums(p)}
	if err := v.verify(ctx, p, path, hook); err != nil {
		f.Close()
		if _, ok := err.(*CorruptError); ok {
			return nil, err
		}
		return nil, failed(err)
	}
	return v, nil
}

// A NotFileError says that something stands in the place of a parent cache that
// is no regular file, a directory for instance. It is never replaced.
type NotFileError struct {
	Path string
	Mode os.FileMode
}

// Is reports whether target is the kind ErrBadInput.
func (e *NotFileError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *NotFileError) Error() string {
	return fmt.Sprintf("%s is not a regular file, its mode is %v", e.Path, e.Mode)
}

// verify returns a *CorruptError unless v is p's parent cache.
func (v *verified) verify(ctx context.Context, p porep.SealProof, path string, hook func(Event)) error {
	info, err := v.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() { // it was replaced before it was opened
		return &NotFileError{path, info.Mode()}
	}
	if got, want := info.Size(), Size(p); got != want {
		return &CorruptError{path, "length", fmt.Sprint(got), fmt.Sprintf("%d bytes", want)}
	}
	if want, ok := Digest(p); ok {
		return verifyDigest(ctx, p, v, path, v.sums, want, hook)
	}
	return verifyParents(ctx, p, v, path, v.sums, hook)
}

// verifyDigest compares a file's digest. Hashing is sequential; the cores read.
func verifyDigest(ctx context.Context, p porep.SealProof, f io.ReaderAt, path string, sums sums, want [32]byte, hook func(Event)) error {
	nodes := p.SectorSize().Nodes()
	hash := sha256.New()
	err := run(ctx, nodes, func(b *block) error {
		if _, err := f.ReadAt(b.bytes, b.offset()); err != nil {
			return err
		}
		sums.take(b)
		return nil
	}, func(b *block) error {
		hash.Write(b.bytes)
		report(hook, StepVerify, b, nodes)
		return nil
	})
	if err != nil {
		return err
	}
	if got := [32]byte(hash.Sum(nil)); got != want {
		return &CorruptError{path, "SHA-256", fmt.Sprintf("%x", got), fmt.Sprintf("%x", want)}
	}
	return nil
}

// verifyParents compares a file with the graph.
func verifyParents(ctx context.Context, p porep.SealProof, f io.ReaderAt, path string, sums sums, hook func(Event)) error {
	g, err := graph.New(p)
	if err != nil {
		return err
	}
	return run(ctx, g.Nodes(), func(b *block) error {
		if _, err := f.ReadAt(b.bytes, b.offset()); err != nil {
			return err
		}
		sums.take(b)
		if err := g.Parents(b.parents, b.first); err != nil {
			return err
		}
		for i, want := range b.parents {
			if got := binary.LittleEndian.Uint32(b.bytes[4*i:]); got != want {
				what := fmt.Sprintf("parent %d of node %d", i%porep.Degree, b.first+uint64(i/porep.Degree))
				return &CorruptError{path, what, fmt.Sprint(got), fmt.Sprint(want)}
			}
		}
		return nil
	}, func(b *block) error {
		report(hook, StepVerify, b, g.Nodes())
		return nil
	})
}
