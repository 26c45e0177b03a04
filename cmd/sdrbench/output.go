package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/parentcache"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// An output is where a command's result goes. It is opened before the work begins, so
// that a wrong path costs nobody hours.
type output struct {
	a      *app
	path   string        // what a link leads to; "" for standard output
	file   *durable.File // appears under its name only when it is complete and on the disk
	size   int64         // reserved
	opened *os.File      // a device or a pipe
}

// isStandardOutput reports whether a path stands for standard output. Where that was
// closed, /dev/stdout is /dev/null by now.
func isStandardOutput(path string) bool {
	if path == "" {
		return true
	}
	switch filepath.Clean(path) {
	case "-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1":
		return true
	}
	return false
}

// openOutput makes sure that a result of up to most bytes can be written to path: of a
// file the space is taken, and the name is locked against another job. No path, or -, is
// standard output, which gets a newline. A result may have more bytes, but then they may
// not find room.
func (a *app) openOutput(ctx context.Context, path string, most int64) (*output, error) {
	if path == "" || isStandardOutput(path) {
		return &output{a: a}, nil
	}
	failed := func(err error) (*output, error) { return nil, fmt.Errorf("writing output: %w", err) }
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return failed(err)
	case info.IsDir():
		return failed(fmt.Errorf("%s is a directory", path))
	case !info.Mode().IsRegular():
		f, err := a.openDevice(ctx, path)
		if err != nil {
			return failed(err)
		}
		return &output{a: a, path: path, opened: f}, nil
	}
	o := &output{a: a, path: durable.Target(path), size: most}
	if o.file, err = durable.Create(ctx, o.path); err != nil {
		return failed(err)
	}
	if most > 0 {
		err = o.file.Reserve(most)
	}
	if err != nil {
		o.close()
		return failed(err)
	}
	return o, nil
}

// isPipe reports whether a path is a named pipe, which is open only when somebody reads it.
func isPipe(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&os.ModeNamedPipe != 0
}

// openDevice opens what is no file to write to it. A named pipe is waited for until
// somebody reads it.
func (a *app) openDevice(ctx context.Context, path string) (*os.File, error) {
	if !isPipe(path) {
		return os.OpenFile(path, os.O_WRONLY, 0)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if !errors.Is(err, syscall.ENXIO) {
		return f, err
	}
	a.note("output %q is a pipe that nobody reads: waiting for a reader before the work begins", path)
	type opening struct {
		f   *os.File
		err error
	}
	opened := make(chan opening, 1)
	go func() { // for ever, if nobody comes
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		opened <- opening{f, err}
	}()
	select {
	case o := <-opened:
		return o.f, o.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// begin removes what an earlier run left under the name: whatever becomes of this run,
// nobody takes that for its result.
func (o *output) begin() error {
	if o.file == nil {
		return nil
	}
	err := os.Remove(o.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = linux.SyncDir(filepath.Dir(o.path))
	}
	if err != nil {
		return fmt.Errorf("removing the output of an earlier run: %w", err)
	}
	return nil
}

// write writes the result. One that cannot be written where it should goes to standard
// error, so that the work is not lost, and it is an error all the same.
func (o *output) write(text []byte) error {
	err := o.put(text)
	if err == nil {
		return nil
	}
	if _, lost := fmt.Fprintf(o.a.err, "%s\n", text); lost != nil {
		return errors.Join(err, fmt.Errorf("writing the result to standard error instead: %w", lost))
	}
	return fmt.Errorf("%w; the result is on standard error instead, right before this line", err)
}

func (o *output) put(text []byte) (err error) {
	switch {
	case o.file != nil:
		size := int64(len(text))
		if size > o.size {
			err = o.file.Reserve(size)
		}
		if err == nil {
			_, err = o.file.WriteAt(text, 0)
		}
		if err == nil && size < o.size {
			err = o.file.Cut(size)
		}
		if err == nil {
			err = o.file.Replace(context.Background())
		}
	case o.opened != nil:
		_, err = o.opened.Write(text)
		err = errors.Join(err, o.opened.Close())
		o.opened = nil
	default:
		if err := o.a.print("%s\n", text); err != nil {
			return err
		}
		// Where it is a file, the result is no less on the disk than with --output.
		if f, ok := o.a.out.(*os.File); ok {
			if info, statErr := f.Stat(); statErr == nil && info.Mode().IsRegular() {
				err = f.Sync()
			}
		}
	}
	if err != nil {
		return fmt.Errorf("writing output: %w", err)
	}
	return nil
}

// close gives up what was not written.
func (o *output) close() {
	if o == nil {
		return
	}
	if o.file != nil {
		o.file.Abort()
	}
	if o.opened != nil {
		o.opened.Close()
	}
}

// outputFile is what seal.CheckPaths is to know of an output.
func outputFile(path string) []seal.File {
	if path == "" || isStandardOutput(path) {
		return nil
	}
	return []seal.File{{Role: "--output", Path: path, Use: seal.Replaces}}
}

// printedFiles are the files that standard output and standard error may be.
func (a *app) printedFiles() (files []seal.File) {
	if f, ok := a.out.(*os.File); ok {
		files = append(files, seal.File{Role: "standard output", Path: f.Name(), Opened: f, Use: seal.Prints})
	}
	if f, ok := a.err.(*os.File); ok {
		files = append(files, seal.File{Role: "standard error", Path: f.Name(), Opened: f, Use: seal.Prints})
	}
	return files
}

// inputFile is a file that is read; "-" is standard input, where it has another role.
func (a *app) inputFile(path, role, roleOnStdin string) seal.File {
	if path != "-" {
		return seal.File{Role: role, Path: path, Use: seal.Reads}
	}
	in := seal.File{Role: roleOnStdin, Use: seal.Reads}
	if f, ok := a.in.(*os.File); ok {
		in.Path, in.Opened = f.Name(), f
	}
	return in
}

// pieceFile is a piece, which may be standard input.
func (a *app) pieceFile(path string) seal.File {
	return a.inputFile(path, "piece", "the piece on standard input")
}

// checkPiecePaths makes sure that adding a piece to staged writes to nothing else.
func (a *app) checkPiecePaths(f addPieceFlags) error {
	target := durable.Target(f.staged)
	files := append(a.printedFiles(), a.pieceFile(f.piece),
		seal.File{Role: "staged", Path: f.staged, Use: seal.Writes},
		seal.File{Role: "staged's record", Path: seal.RecordName(target), Use: seal.Replaces})
	if f.treeD {
		files = append(files, seal.File{Role: "tree-d beside staged", Path: seal.TreeDName(target), Use: seal.Replaces})
	}
	return seal.CheckPaths(nil, files...)
}

// recordFiles are the piece records that belong to a sector: the one that is read, and the
// one beside staged.
func recordFiles(read, staged string) (files []seal.File) {
	for _, path := range []string{read, seal.RecordName(durable.Target(staged))} {
		if path != "" {
			files = append(files, seal.File{Role: "piece record", Path: path, Use: seal.Reads})
		}
	}
	return files
}

// readFiles are the files that a job reads beside its sector's.
func (f *engineFlags) readFiles(p porep.SealProof) (files []seal.File) {
	if f.tuned != nil {
		files = append(files, seal.File{Role: "profile", Path: f.tuned.Path(), Use: seal.Reads})
	}
	if name, err := parentcache.Name(p); err == nil && f.parentCache != "" {
		path := filepath.Join(f.parentCache, name)
		files = append(files, seal.File{Role: "parent cache", Path: path, Use: seal.Reads},
			seal.File{Role: "parent cache's lock", Path: path + ".lock", Use: seal.Reads})
	}
	// What lies in the lock directory says who holds which core.
	entries, _ := os.ReadDir(f.lockDir)
	for _, entry := range entries {
		files = append(files, seal.File{Role: "lock file", Path: filepath.Join(f.lockDir, entry.Name()), Use: seal.Reads})
	}
	return files
}

// beforeWork finds what is wrong with the command line, and with where the result goes.
func (a *app) beforeWork(cmd *cobra.Command, args []string) error {
	return errors.Join(badFlags(cmd, args), a.checkStandardOutput(cmd))
}

// checkStandardOutput refuses to work for a result that has nowhere to go: with standard
// output closed, what is written there is lost, and no write fails. Commands whose result
// is elsewhere go on. Where it cannot be told whether it was closed, or
// whether somebody wants no result, the result is printed on standard error, too.
func (a *app) checkStandardOutput(cmd *cobra.Command) error {
	f, ok := a.out.(*os.File)
	if !ok {
		return nil
	}
	stream := linux.AtStart(f)
	if stream == linux.StreamOpen {
		return nil
	}
	if a.resultElsewhere(cmd) {
		return nil
	}
	instead := ""
	for _, name := range []string{"output", "dump", "metrics-file"} {
		flag := cmd.Flags().Lookup(name)
		if flag == nil {
			continue
		}
		if flag.Changed && !isStandardOutput(flag.Value.String()) {
			return nil
		}
		instead = " with --" + name + ","
	}
	if stream == linux.StreamNull {
		a.note("standard output is closed, or /dev/null open for reading, too, which looks the same: the result is on standard error")
		a.out = a.err
		return nil
	}
	return fmt.Errorf("standard output is closed, and the result would be lost: send it to a file%s or to >/dev/null if nobody wants it", instead)
}

// resultElsewhere reports whether a command's result is in files, or in the exit code: what it
// prints is for people then, and the work is not lost with it.
func (a *app) resultElsewhere(cmd *cobra.Command) bool {
	given := cmd.Flags().Changed
	switch cmd.Name() {
	case "sdr":
		return !given("sectors") // what became of each is on a line of its own
	case "build", "verify":
		return !given("json")
	case "tune":
		path, _ := a.profilePath(cmd.Flags().Lookup("profile").Value.String())
		return path != "" && !given("json") && !given("dry-run")
	}
	return false
}
