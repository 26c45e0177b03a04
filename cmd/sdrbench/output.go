package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sdr-engine/sdr/internal/durable"
)

// createOutput makes sure that a result can be written to path, before the work
// begins, so that a wrong path costs nobody hours, and returns what writes it. A
// file appears under its name only when it is complete and on the disk; a
// device, a pipe or a socket is written to. An empty path is standard output,
// which gets a newline.
func (a *app) createOutput(path string) (write func(text []byte) error, err error) {
	if path == "" {
		return func(text []byte) error { return a.print("%s\n", text) }, nil
	}
	failed := func(err error) error { return fmt.Errorf("writing output: %w", err) }
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, failed(err)
	case info.IsDir():
		return nil, failed(fmt.Errorf("%s is a folder", path))
	case !info.Mode().IsRegular():
		return func(text []byte) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err == nil {
				_, err = f.Write(text)
				err = errors.Join(err, f.Close())
			}
			if err != nil {
				return failed(err)
			}
			return nil
		}, nil
	default: // what a link leads to, not the link, is replaced
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return nil, failed(err)
		}
	}
	try, err := durable.Create(context.Background(), path)
	if err != nil {
		return nil, failed(err)
	}
	try.Abort()
	return func(text []byte) error {
		f, err := durable.Create(context.Background(), path)
		if err != nil {
			return failed(err)
		}
		defer f.Abort()
		err = f.Reserve(int64(len(text)))
		if err == nil {
			_, err = f.WriteAt(text, 0)
		}
		if err == nil {
			err = f.Replace(context.Background())
		}
		if err != nil {
			return failed(err)
		}
		return nil
	}, nil
}
