package durable

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// A Mark is a file as it was at a moment, for telling later whether it is still that.
type Mark struct {
	path string
	info os.FileInfo
	sure bool // a later write shows in its time
}

// MarkOf is f, the file at path, as it is now.
func MarkOf(path string, f *os.File) (Mark, error) {
	info, err := f.Stat()
	if err != nil {
		return Mark{}, fmt.Errorf("durable: looking at %s: %w", path, err)
	}
	return Mark{path, info, time.Since(info.ModTime()) > step(info)}, nil
}

// step is more than the steps in which a file's file system counts time: a jiffy, or, where
// there are only whole seconds, two of them.
func step(info os.FileInfo) time.Duration {
	if info.ModTime().Nanosecond() == 0 {
		return 2100 * time.Millisecond
	}
	return 50 * time.Millisecond
}

// markOf is MarkOf. For a file that takes longer to be read once more, it waits until a
// later write would show.
func markOf(ctx context.Context, path string, f *os.File) (Mark, error) {
	const large = 64 << 20
	m, err := MarkOf(path, f)
	if err != nil || m.sure || m.info.Size() < large {
		return m, err
	}
	select {
	case <-time.After(step(m.info)):
		return MarkOf(path, f)
	case <-ctx.Done():
		return m, context.Cause(ctx)
	}
}

// Same looks at what is at the path now. The error is a *LostError if that is another file,
// or none, or one of another length. Otherwise it reports whether nobody can have written
// to the file since.
func (m *Mark) Same() (bool, error) {
	now, err := os.Stat(m.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, &LostError{m.path, "it has been removed"}
	case err != nil:
		return false, fmt.Errorf("durable: looking at %s once more: %w", m.path, err)
	case !os.SameFile(now, m.info):
		return false, &LostError{m.path, "another file has taken its place"}
	case now.Size() != m.info.Size():
		return false, &LostError{m.path, fmt.Sprintf("it has %d bytes now, and had %d", now.Size(), m.info.Size())}
	}
	return m.sure && now.ModTime().Equal(m.info.ModTime()), nil
}
