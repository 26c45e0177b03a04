package durable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sdr-engine/sdr/internal/linux"
)

// ReserveFrom is Reserve, but what is before from takes no space: it stays a hole.
func (d *File) ReserveFrom(from, size int64) error {
	err := d.do(OpReserve, d.path, func() error {
		if err := d.f.Truncate(size); err != nil {
			return err
		}
		err := linux.ReserveRange(d.f, from, size-from)
		if errors.Is(err, errors.ErrUnsupported) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("durable: reserving %d bytes for %s: %w", size-from, d.path, err)
	}
	d.size, d.sums = size, NewSums(size, sumBlock)
	return nil
}

// ExtendBlocks is ReserveBlocks, but takes no space: what is written takes what it needs, until
// TakeSpace.
func (d *File) ExtendBlocks(size int64, block int) error {
	err := d.patiently(func() error { return d.do(OpResize, d.path, func() error { return d.f.Truncate(size) }) })
	if err != nil {
		return fmt.Errorf("durable: extending %s to %d bytes: %w", d.path, size, err)
	}
	d.size, d.sums = size, NewSums(size, block)
	return nil
}

// TakeSpace takes the space for all of the file, where the file system can. It may be at the same
// time as writes.
func (d *File) TakeSpace() error {
	err := d.patiently(func() error { return d.do(OpReserve, d.path, func() error { return linux.Reserve(d.f, d.size) }) })
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("durable: reserving %d bytes for %s: %w", d.size, d.path, err)
	}
	return nil
}

// Punch leaves n bytes at off zeros, as they were reserved, and gives their space back where
// the file system can. They must not be written.
func (d *File) Punch(off, n int64) error {
	if off < 0 || off > d.size-n {
		return fmt.Errorf("durable: leaving out of %s: %d bytes at %d are outside of its %d", d.path, n, off, d.size)
	}
	err := d.do(OpResize, d.path, func() error { return linux.PunchHole(d.f, off, n) })
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// copySparse fills dst, which is empty, with src's data, and leaves its holes out.
func copySparse(ctx context.Context, dst, src *os.File) error {
	info, err := src.Stat()
	if err != nil {
		return err
	}
	holes := HolesOf(src)
	defer holes.Close()
	for off, size := int64(0), info.Size(); ; {
		if off = holes.DataFrom(off); off >= size {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := linux.CopyRange(dst, src, off, int(min(copyStep, holes.DataEnd(off, size)-off)))
		if errors.Is(err, errors.ErrUnsupported) {
			var copied int64
			copied, err = io.Copy(io.NewOffsetWriter(dst, off), io.NewSectionReader(src, off, min(copyStep, size-off)))
			n = int(copied)
		}
		if err != nil {
			return err
		}
		if n == 0 { // src has become shorter
			return nil
		}
		off += int64(n)
	}
}
