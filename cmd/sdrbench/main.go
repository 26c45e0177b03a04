// Sdrbench seals Filecoin sectors up to the end of PreCommit phase 1, a step or
// all of it, and measures how fast it does.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/verify"
)

// The exit codes are part of the contract with scripts.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitWrong  = 3 // of verify: the data is wrong
)

func main() { os.Exit(mainStatus()) }

func mainStatus() int {
	return inProcess(func(ctx context.Context, a *app) int { return a.run(ctx, os.Args[1:]) })
}

// inProcess runs the command in a process that is ready for signals and crashes.
func inProcess(run func(context.Context, *app) int) int {
	ctx, stop := withSignals(context.Background())
	defer stop()
	s := readSettings(os.Environ())
	// Go's own way to end after a panic, or a fault of its runtime, is exit code 2, which
	// is wrong usage. So it ends by SIGABRT. A core would be as large as the layers in memory and
	// say little more than the stacks on standard error: it is written only if asked for.
	debug.SetTraceback("crash")
	if !s.core {
		_ = linux.NoCore() // where it is not known nobody writes any
	}
	return run(ctx, &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, settings: s})
}

// exitQuit is what a shell says of a process that SIGQUIT ended.
const exitQuit = 128 + int(syscall.SIGQUIT)

// withSignals is a context that the first signal to end cancels. The second ends the
// process at once.
func withSignals(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		ends = append(ends, syscall.SIGHUP)
	}
	got := make(chan os.Signal, len(ends))
	signal.Notify(got, ends...)
	// Who no longer reads what a job prints must not end it, and leave its files.
	signal.Ignore(syscall.SIGPIPE)
	first := new(firstSignal)
	ctx = context.WithValue(ctx, firstSignalKey{}, first)
	go func() {
		<-got
		if first.heard() {
			<-got
		}
		cancel()
		// Resetting signals already here would lose one that arrives just then.
		for sig := range got {
			if sig == syscall.SIGQUIT { // which ends a Go program with exit code 2
				os.Exit(exitQuit)
			}
			signal.Reset(sig)
			if self, err := os.FindProcess(os.Getpid()); err != nil || self.Signal(sig) != nil {
				os.Exit(exitFailed)
			}
		}
	}()
	return ctx, func() {
		signal.Stop(got)
		cancel()
	}
}

// A firstSignal is what a job may hear of instead of its context's end.
type firstSignal struct {
	mu    sync.Mutex
	taken chan struct{}
}

type firstSignalKey struct{}

// take is a channel that the first signal closes, which then does nothing else.
func (f *firstSignal) take() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.taken == nil {
		f.taken = make(chan struct{})
	}
	return f.taken
}

// heard reports whether somebody has taken the first signal, which has come.
func (f *firstSignal) heard() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.taken != nil {
		close(f.taken)
	}
	return f.taken != nil
}

// An app is what the commands share: the three streams and the settings.
type app struct {
	in       io.Reader
	out, err io.Writer
	settings settings
	watch    func(*seal.Progress) // for tests: is told of a job's before it begins
}

// A usageError is a fault of the command line, not of the work it asks for.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// A workError is an error of a command that had begun its work. Whatever else
// comes out of cobra is about the command line.
type workError struct{ error }

func (e workError) Unwrap() error { return e.error }

func (a *app) run(ctx context.Context, args []string) (exit int) {
	shown := *a
	shown.err = view.TextWriter{To: a.err}
	a = &shown
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	cmd, err := root.ExecuteContextC(ctx)
	var work workError
	var usage usageError
	switch began := errors.As(err, &work); {
	case err == nil:
		return exitDone
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		fmt.Fprintln(a.err, "sdrbench: canceled")
		return exitFailed
	case began && !errors.As(err, &usage):
		fmt.Fprintln(a.err, "sdrbench:", oneLine(err))
		if errors.Is(err, verify.ErrWrong) {
			return exitWrong
		}
		return exitFailed
	default:
		fmt.Fprintf(a.err, "sdrbench: %s\nrun '%s --help'\n", oneLine(err), cmd.CommandPath())
		return exitUsage
	}
}

// oneLine puts an error that consists of several on one line.
func oneLine(err error) string {
	lines := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Join(lines, "; ")
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "sdrbench",
		Short: "Seal Filecoin sectors up to the end of PreCommit phase 1",
		Long: `Sdrbench seals Filecoin sectors up to the end of PreCommit phase 1: the files
that it leaves are, byte for byte, those of the reference implementation.

Sizes of pieces are in unpadded bytes. 32-byte values are 64 hex digits.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 (of verify) wrong data. What kind of failure it was, which tells
whether to try again, is in "kind" with --sectors: see docs/errors.md. A fault in the program itself ends it
by SIGABRT, which a shell shows as 134.

SIGINT, SIGTERM, SIGHUP and SIGQUIT end a job, and what it has not finished goes; a
second one ends the process at once. Under nohup, SIGHUP does nothing. No core file
is written, unless GOTRACEBACK=crash asks for one.

What no flag says may be in the environment:
  SDR_LOCK_DIR, SDR_PROFILE, SDR_KERNEL         --lock-dir, --profile, --kernel
  FIL_PROOFS_MULTICORE_SDR_PRODUCERS            --producers of commands that label
  FIL_PROOFS_MULTICORE_SDR_PRODUCER_STRIDE      --stride
  FIL_PROOFS_MULTICORE_SDR_LOOKAHEAD            --lookahead
  FIL_PROOFS_PARENT_CACHE                       --dir of parents build
  FIL_PROOFS_MAXIMIZE_CACHING                   with --parent-cache: its file in memory
  NO_COLOR                                      no colors on a terminal

FIL_PROOFS variables are read as the reference reads them: names in any case, booleans
as 1, true, on, yes or 0, false, off, no; anything else is an error, and so is an
empty one. Without FIL_PROOFS_PARENT_CACHE, its path is FIL_PROOFS_CACHE_DIR followed
by filecoin-parents. The reference's file, rust-fil-proofs.config.toml in the working
directory, is not read; where it sets one of these, that is said.`,
		Example: `  # Does this machine seal right, and how fast?
  sdrbench bench

  # A sector with one piece that fills it
  sdrbench addpiece --proof StackedDrg8MiBV1_1 --piece deal.car --piece-size 8323072 --staged staged
  mkdir cache && touch sealed
  sdrbench pc1 --proof StackedDrg8MiBV1_1 --cache-dir cache --staged staged --sealed sealed \
    --miner 1000 --sector 1 --ticket $TICKET --piece $COMM_P:8323072 --output p1.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		// Before anything else of a command.
		PersistentPreRunE: a.beforeWork,
		Version:           version(),
		SilenceErrors:     true,
		SilenceUsage:      true,
	}
	root.SetVersionTemplate("sdrbench {{.Version}}\n")
	root.AddCommand(a.addPiece(), a.commP(), a.cid(), a.commD(), a.replicaID(), a.pc1(), a.sdr(), a.verify(), a.processor(), a.parents(), a.bench(), a.tune(), a.jobs(), a.topo(), a.plan(), a.kernels(), a.overlay(), a.man())
	return root
}

// work turns a command's function into cobra's, and marks its errors.
func work(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := f(cmd.Context(), args); err != nil {
			return workError{err}
		}
		return nil
	}
}

// printJSON prints v on one line.
func (a *app) printJSON(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return a.print("%s\n", view.VisibleJSON(string(text)))
}

// printText prints what people read.
func (a *app) printText(format string, args ...any) error {
	return a.print("%s", view.Visible(fmt.Sprintf(format, args...)))
}

// print prints bytes as they are.
func (a *app) print(format string, args ...any) error {
	if _, err := fmt.Fprintf(a.out, format, args...); err != nil {
		return fmt.Errorf("writing to standard output: %w", err)
	}
	return nil
}

// linkedVersion is what make sets with -ldflags, after git's tags.
var linkedVersion string

// release is the program's version: what it was linked with, or what the go command knows, the
// module's version, a tag's where there was one; "(devel)" if it was told not to look.
func release() string {
	if info, ok := debug.ReadBuildInfo(); ok && linkedVersion == "" {
		return info.Main.Version
	}
	return linkedVersion
}

// version is that of the program, the compiler and the platform.
func version() string {
	return fmt.Sprintf("%s, %s, %s/%s", cmp.Or(release(), "unknown version"), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// byFlag refuses arguments, for commands whose file or value has a flag; without that flag, an
// argument most likely was to be its value.
func byFlag(flag string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		if cmd.Flags().Changed(flag) {
			return fmt.Errorf("%q: unexpected argument: what a command needs has a flag", args[0])
		}
		return fmt.Errorf("%q: unexpected argument: do you mean --%s %s?", args[0], flag, args[0])
	}
}
