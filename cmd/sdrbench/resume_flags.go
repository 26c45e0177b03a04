package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/engine"
)

// ResumeFlags are the flags of commands whose layers stay.
type resumeFlags struct {
	restart    bool
	sampled    bool
	checkpoint time.Duration
}

// resumeHelp is what their help says of it.
const resumeHelp = `
A job that is cancelled, killed or loses power goes on, the same command again, from what the cache
dir's sdr-manifest.json proves: layers that pass their hash, and what was on the disk of the one
that was being made. A manifest of another sector is refused, and nothing is touched: --restart
makes the layers anew. Without a manifest they are made anew, too, unless --believe-sampled has
those believed of which a sample of labels is right.`

func (f *resumeFlags) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.restart, "restart", false, "make all layers anew, whatever an earlier job, or another sector's, has left in the cache dir")
	flags.BoolVar(&f.sampled, "believe-sampled", false, "go on from layers that no manifest proves, if a sample of their labels is right")
	flagVar(cmd, &f.checkpoint, "checkpoint-every", "DURATION", "how much work a crash may cost, like 10s (default 3s)", parseCheckpoint)
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

// resumeError says which flag helps against what a job is refused for.
func resumeError(err error) error {
	other, schema, damaged := (*engine.OtherSectorError)(nil), (*engine.ManifestSchemaError)(nil), (*engine.ManifestDamagedError)(nil)
	if errors.As(err, &other) || errors.As(err, &schema) || errors.As(err, &damaged) {
		return fmt.Errorf("%w (--restart makes the layers anew)", err)
	}
	return err
}
