package main

import (
	"context"
	"fmt"
	"io"

	"github.com/sdr-engine/sdr/internal/input"
	"github.com/sdr-engine/sdr/porep"
)

// openPiece opens a piece, "-" being standard input. Known is whether its size is: that of a
// regular file.
func (a *app) openPiece(ctx context.Context, path string) (source io.ReadCloser, size porep.UnpaddedSize, known bool, err error) {
	if path == "-" {
		return cancelable(ctx, io.NopCloser(a.in)), 0, false, nil
	}
	file, err := input.OpenUntil(ctx, path)
	if err != nil {
		return nil, 0, false, fmt.Errorf("opening piece: %w", err)
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory", path)
	}
	if err != nil {
		file.Close()
		return nil, 0, false, fmt.Errorf("opening piece: %w", err)
	}
	if info.Mode().IsRegular() {
		return file, porep.UnpaddedSize(info.Size()), true, nil
	}
	return cancelable(ctx, file), 0, false, nil
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
