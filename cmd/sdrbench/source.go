package main

import (
	"context"
	"fmt"
	"io"

	"github.com/sdr-engine/sdr/internal/input"
	"github.com/sdr-engine/sdr/porep"
)

// openPiece opens a piece, "-" being standard input, of the size announced; nil
// asks for the file's. That it has another size shows here where it can be told
// without reading.
func (a *app) openPiece(ctx context.Context, path string, announced *porep.UnpaddedSize) (source io.ReadCloser, size porep.UnpaddedSize, err error) {
	f := io.NopCloser(a.in)
	regular := false
	if path != "-" {
		file, err := input.OpenUntil(ctx, path)
		if err != nil {
			return nil, 0, fmt.Errorf("opening piece: %w", err)
		}
		info, err := file.Stat()
		if err == nil && info.IsDir() {
			err = fmt.Errorf("%s is a directory", path)
		}
		if err != nil {
			file.Close()
			return nil, 0, fmt.Errorf("opening piece: %w", err)
		}
		f, regular, size = file, info.Mode().IsRegular(), porep.UnpaddedSize(info.Size())
	}
	switch {
	case !regular && announced == nil:
		err = usageError{fmt.Errorf("the size of piece %q is not known before its end: add --piece-size", path)}
	case regular && announced != nil && *announced != size:
		err = fmt.Errorf("opening piece: %s has %d bytes, --piece-size announced %d", path, size, *announced)
	case regular:
		return f, size, nil
	default:
		return cancelable(ctx, f), *announced, nil
	}
	f.Close()
	return nil, 0, err
}

// cancelable is a reader whose Read ends when ctx does. A pipe or a terminal may
// yield nothing for ever.
func cancelable(ctx context.Context, r io.ReadCloser) io.ReadCloser {
	pr, pw := io.Pipe()
	stop := context.AfterFunc(ctx, func() { pw.CloseWithError(context.Cause(ctx)) })
	go func() {
		_, err := io.CopyBuffer(pw, r, make([]byte, 1<<20))
		pw.CloseWithError(err)
		stop()
		r.Close()
	}()
	return pr
}
