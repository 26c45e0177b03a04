package main

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/topology"
)

// heldOn lists the jobs that hold cores, unless the machine is another one's dump.
func (a *app) heldOn(ctx context.Context, root, lockDir string) ([]reserve.Holder, error) {
	if filepath.Clean(root) != "/" {
		return nil, nil
	}
	held, err := reserve.Patience{Tell: func(e *reserve.GuardError) { a.note("%v", e) }}.Held(ctx, lockDir)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil, nil // without locks nobody holds anything
	}
	return held, err
}

func (a *app) lockDirFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "lock-dir", a.settings.lockDir, "`DIR` where the machine's jobs hold cores; SDR_LOCK_DIR changes the default")
	_ = cmd.MarkFlagDirname("lock-dir")
}

// heldCores is who holds the core that a CPU belongs to.
func heldCores(m *topology.Machine, jobs []reserve.Holder) view.Holder {
	who := map[topology.CPU]string{}
	for _, job := range jobs {
		for _, core := range job.Cores {
			if number, ok := m.CoreNumber(core); ok {
				who[number] = job.Who()
			}
		}
	}
	return func(cpu topology.CPU) (string, bool) {
		core, _ := m.CoreNumber(cpu)
		w, ok := who[core]
		return w, ok
	}
}
