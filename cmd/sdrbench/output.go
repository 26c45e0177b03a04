package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// An output is where a result goes: standard output, or a file that appears
// under its name only when it is complete.
type output struct {
	write   func(text []byte) error
	discard func() // what write did not finish
}

// createOutput opens an output before the work begins, so that a wrong path
// costs nobody hours. An empty path is standard output, and gets a newline.
func (a *app) createOutput(path string) (*output, error) {
	if path == "" {
		return &output{func(text []byte) error { return a.print("%s\n", text) }, func() {}}, nil
	}
	perm := os.FileMode(0o666)
	direct := false
	if info, err := os.Stat(path); err == nil {
		perm, direct = info.Mode().Perm(), !info.Mode().IsRegular()
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return nil, fmt.Errorf("creating output: %w", err)
		}
	}
	if direct { // a device or a pipe, which no file may replace; a folder fails
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return nil, fmt.Errorf("creating output: %w", err)
		}
		return &output{
			func(text []byte) error { return finish(f, text, f.Close) },
			func() { f.Close() },
		}, nil
	}
	temp := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%d.tmp", filepath.Base(path), os.Getpid()))
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
	if err != nil {
		return nil, fmt.Errorf("creating output: %w", err)
	}
	renamed := false
	return &output{
		func(text []byte) error {
			return finish(f, text, func() error {
				if err := f.Sync(); err != nil {
					return err
				}
				if err := f.Close(); err != nil {
					return err
				}
				err := os.Rename(temp, path)
				renamed = err == nil
				return err
			})
		},
		func() {
			f.Close()
			if !renamed {
				os.Remove(temp)
			}
		},
	}, nil
}

// finish writes text and does what comes after it.
func finish(f *os.File, text []byte, then func() error) error {
	_, err := f.Write(text)
	if err == nil {
		err = then()
	}
	if err != nil {
		return fmt.Errorf("writing output: %w", err)
	}
	return nil
}
