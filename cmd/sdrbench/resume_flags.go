package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/seal"
)

// ResumeFlags are the flags of commands whose layers stay.
type resumeFlags struct {
	workDir    string
	restart    bool
	sampled    bool
	checkpoint time.Duration
	drain      bool
}

// resumeHelp is what their help says of it.
const resumeHelp = `
A job that is cancelled, killed or loses power goes on, the same command again, from what the cache
dir's sdr-manifest.json proves: layers that pass their hash, and what was on the disk of the one
that was being made. A manifest of another sector is refused, and nothing is touched: --restart
makes the layers anew. Without a manifest they are made anew, too, unless --believe-sampled has
those believed of which a sample of labels is right.

With --work-dir layers and the manifest are in another directory, of this sector alone, until all of
it is done. Then the layers get their names in the cache dir, too, or, on another file system, copies
do, and the work dir is empty again. A cache dir that a host empties between two attempts loses
none of them. In a file for --sectors each line has a work-dir of its own.

The first SIGINT, SIGTERM or SIGHUP has what is labelled brought to the disk, and ends the job; a
second one ends the process at once. With --drain the first one has the layer finished before,
the second is as the first without, and the third ends the process.`

func (f *resumeFlags) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.workDir, "work-dir", "", "`DIR` of this sector for layers while they are made, for hosts that empty the cache dir (default: the cache dir)")
	_ = cmd.MarkFlagDirname("work-dir")
	flags.BoolVar(&f.restart, "restart", false, "make all layers anew, whatever an earlier job, or another sector's, has left in the cache dir")
	flags.BoolVar(&f.sampled, "believe-sampled", false, "go on from layers that no manifest proves, if a sample of their labels is right")
	flagVar(cmd, &f.checkpoint, "checkpoint-every", "DURATION", "how much work a crash may cost, like 10s (default 3s)", parseCheckpoint)
	flags.BoolVar(&f.drain, "drain", false, "the first signal to end is heard when the layer that is being made is done; the second at once")
	cmd.MarkFlagsMutuallyExclusive("restart", "believe-sampled")
}

func parseCheckpoint(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil && (d < 10*time.Millisecond || d > 24*time.Hour) {
		err = fmt.Errorf("%q is not between 10ms and 24h", text)
	}
	return d, err
}

func (f *resumeFlags) resume() engine.Resume {
	switch {
	case f.restart:
		return engine.Restart
	case f.sampled:
		return engine.ResumeSampled
	}
	return engine.ResumeSame
}

// draining has a job end at the end of a layer when the first signal comes, if the flag is set.
// Before the first label there is no layer to finish: it ends then. Stop is called when the job
// has ended.
func (f *resumeFlags) draining(ctx context.Context, p *seal.Progress) (_ context.Context, drain <-chan struct{}, stop func()) {
	first, ok := ctx.Value(firstSignalKey{}).(*firstSignal)
	if !f.drain || !ok {
		return ctx, nil, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	heard, ended := first.take(), make(chan struct{})
	go func() {
		select {
		case <-heard:
			if p.Layer() == 0 {
				cancel()
			}
		case <-ended:
		}
	}()
	return ctx, heard, sync.OnceFunc(func() {
		close(ended)
		cancel()
	})
}

// resumeError says which flag helps against what a job is refused for.
func resumeError(err error) error {
	if errors.As(err, new(*engine.OtherSectorError)) || errors.As(err, new(*engine.ManifestError)) {
		return fmt.Errorf("%w (--restart makes the layers anew)", err)
	}
	return err
}
