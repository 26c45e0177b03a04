package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/topology"
)

type jobsFlags struct {
	lockDir string
	json    bool
	watch   bool
	metrics string
}

// watchEvery is how often --watch looks; jobs say where they stand as often.
const watchEvery = 2 * time.Second

func (a *app) jobs() *cobra.Command {
	var f jobsFlags
	cmd := &cobra.Command{
		Use:   "jobs",
		Short: "List the jobs that run on this machine, and those that wait",
		Long: `Jobs lists what runs on this machine, whatever program runs it: each job that holds
cores in the lock directory, where it stands, and what its hashers wait for; then the
jobs that wait for cores or memory, in their order. Jobs say so themselves, every two
seconds; one that was killed is not listed. A job that runs without the lock directory
(--policy none, or a directory that is not for its user) is not seen.

With --json each job is a line. Fields that are not known are missing:
  at                 when this was looked at
  state              "holds" cores, or "waits"
  job, program, pid  what people call it, what runs it, and its process
  id, since          of the job, its own, and when it got its cores, or began to wait
  cores, memory      the numbers of its cores; bytes planned
  turn, waits_for    of a job that waits: its place (lowest first), and what for
  said               when the job said what follows
  proof, sectors     the seal proof, and how many sectors are sealed together
  stage              "checks", "tree-d", "labels", "measure" or "done"
  layer, layers      the lowest layer that a hasher is at, from 1, of how many
  node               the next node of that layer
  done, total        labels of all sectors and layers; before the labels, bytes
  labels_per_second  of all sectors, in the last ten seconds
  seconds_left       until the last label
  waited             parts of that time, 0 to 1, that hashers waited: for parents,
                     memory, disk
A process that holds a core without a word has a pid and a program, if the kernel names
them, and no job.

With --metrics-file nothing is printed: the same is written as metrics in Prometheus'
text format, for the node exporter's textfile collector, which reads files named *.prom.
The file is replaced as a whole.

With --watch this goes on until SIGINT or SIGTERM, which is no failure then.`,
		Example: `  sdrbench jobs
  sdrbench jobs --watch
  sdrbench jobs --json
  sdrbench jobs --watch --metrics-file /var/lib/node_exporter/sdr.prom`,
		Args: cobra.NoArgs,
		RunE: work(func(ctx context.Context, _ []string) error { return a.runJobs(ctx, f) }),
	}
	a.lockDirFlag(cmd, &f.lockDir)
	cmd.Flags().BoolVar(&f.json, "json", false, "print a line of JSON for each job")
	cmd.Flags().BoolVar(&f.watch, "watch", false, "look again every two seconds, until interrupted")
	cmd.Flags().StringVar(&f.metrics, "metrics-file", "", "write metrics to `FILE`, and print nothing")
	_ = cmd.MarkFlagFilename("metrics-file", "prom")
	cmd.MarkFlagsMutuallyExclusive("json", "metrics-file")
	return cmd
}

func (a *app) runJobs(ctx context.Context, f jobsFlags) (err error) {
	defer func() {
		if f.watch && ctx.Err() != nil { // which is how it ends, also in the middle of a look
			err = nil
		}
	}()
	if f.metrics != "" {
		if err := a.checkMetricsPath(f.lockDir, f.metrics); err != nil {
			return err
		}
	}
	terminal := view.Terminal(a.out)
	if f.watch && terminal != nil && !a.settings.plainTerminal && !f.json && f.metrics == "" {
		if _, err := lookJobs(ctx, f.lockDir, a.tellGuard); err != nil { // what is wrong is no view
			return err
		}
		return view.Watch(ctx, terminal, watchEvery, func(columns int) string {
			j, err := lookJobs(ctx, f.lockDir, nil)
			if err != nil {
				return view.Visible(err.Error()) + "\n"
			}
			j.Columns = columns
			return j.Text()
		})
	}
	err = a.showJobs(ctx, f)
	if err != nil || !f.watch {
		return err
	}
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		var printing *printError
		switch err := a.showJobs(ctx, f); {
		case errors.As(err, &printing):
			return err // nobody reads it any more
		case err != nil && ctx.Err() == nil:
			a.note("%v", err) // the next time it may go well
		}
	}
}

// showJobs looks once, and prints what is seen, or writes it as metrics.
func (a *app) showJobs(ctx context.Context, f jobsFlags) error {
	if f.metrics != "" {
		return a.writeMetrics(ctx, f.lockDir, f.metrics)
	}
	j, err := lookJobs(ctx, f.lockDir, a.tellGuard)
	if err != nil {
		return err
	}
	if !f.json {
		if out := view.Terminal(a.out); out != nil {
			j.Columns, _, _ = term.GetSize(int(out.Fd()))
		}
		return printing(a.printText("%s", j.Text()))
	}
	for _, err := range j.Unreadable {
		a.note("not seen: %v", err)
	}
	if j.Missing != "" {
		a.note("no lock directory %s, so no jobs", j.Missing)
	}
	for _, line := range jobLines(j) {
		if err := a.printJSON(line); err != nil {
			return printing(err)
		}
	}
	return nil
}

// A printError says that standard output takes nothing.
type printError struct{ error }

func (e *printError) Unwrap() error { return e.error }

func printing(err error) error {
	if err == nil {
		return nil
	}
	return &printError{err}
}

func (a *app) tellGuard(e *reserve.GuardError) { a.note("%v", e) }

// lookJobs lists the jobs of a lock directory.
func lookJobs(ctx context.Context, lockDir string, tell func(*reserve.GuardError)) (*view.Jobs, error) {
	jobs, err := reserve.Patience{Tell: tell}.Look(ctx, lockDir)
	j := &view.Jobs{Jobs: jobs, At: time.Now()}
	if errors.Is(err, fs.ErrNotExist) {
		j.Missing, err = lockDir, nil
	}
	return j, err
}

// checkMetricsPath makes sure that metrics destroy nothing.
func (a *app) checkMetricsPath(lockDir, path string) error {
	if isStandardOutput(path) {
		return usageError{errors.New("--metrics-file: standard output is no file: name one")}
	}
	return a.checkReplaced("--metrics-file", lockDir, path)
}

// checkReplaced makes sure that a file that no job writes takes the place of no standard stream's, and
// of no lock, with which jobs would lose each other.
func (a *app) checkReplaced(role, lockDir, path string) error {
	if isStandardOutput(path) {
		return nil
	}
	files := append(a.printedFiles(), seal.File{Role: role, Path: path, Use: seal.Replaces})
	entries, _ := os.ReadDir(lockDir)
	for _, entry := range entries {
		files = append(files, seal.File{Role: "lock file", Path: filepath.Join(lockDir, entry.Name()), Use: seal.Reads})
	}
	if err := seal.CheckPaths(nil, files...); err != nil {
		return err
	}
	target := durable.Target(path)
	if filepath.Ext(target) == ".lock" && sameDirectory(filepath.Dir(target), lockDir) {
		// A job may make it at any time, and hold a core with it.
		return fmt.Errorf("%s: %q has the name of a lock file, in the lock directory: name another", role, path)
	}
	return nil
}

// sameDirectory reports whether two paths lead to one directory, which is there.
func sameDirectory(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// writeMetrics writes what runs in a lock directory as metrics, in place of what the file held.
func (a *app) writeMetrics(ctx context.Context, lockDir, path string) error {
	j, err := lookJobs(ctx, lockDir, a.tellGuard)
	if err != nil {
		return err
	}
	for _, err := range j.Unreadable {
		a.note("not seen: %v", err)
	}
	out, err := a.openOutput(ctx, path, 0)
	if err != nil {
		return err
	}
	defer out.close()
	return out.put([]byte(metricsText(j)))
}

// jobLine is a contract with scripts: see the command's help.
type jobLine struct {
	At      time.Time      `json:"at"`
	State   string         `json:"state"`
	Job     string         `json:"job,omitempty"`
	Program string         `json:"program,omitempty"`
	PID     int            `json:"pid,omitempty"`
	ID      string         `json:"id,omitempty"`
	Since   time.Time      `json:"since,omitzero"`
	Cores   []topology.CPU `json:"cores,omitempty"`
	Memory  uint64         `json:"memory,omitempty"`
	Turn    uint64         `json:"turn,omitempty"`

	WaitsFor        string          `json:"waits_for,omitempty"`
	Said            time.Time       `json:"said,omitzero"`
	Proof           string          `json:"proof,omitempty"`
	Sectors         int             `json:"sectors,omitempty"`
	Stage           string          `json:"stage,omitempty"`
	Layer           int             `json:"layer,omitempty"`
	Layers          int             `json:"layers,omitempty"`
	Node            uint64          `json:"node,omitempty"`
	Done            uint64          `json:"done,omitempty"`
	Total           uint64          `json:"total,omitempty"`
	LabelsPerSecond float64         `json:"labels_per_second,omitempty"`
	SecondsLeft     float64         `json:"seconds_left,omitempty"`
	Waited          *reserve.Waited `json:"waited,omitempty"`
}

const (
	stateHolds = "holds"
	stateWaits = "waits"
)

// jobLines are those that hold cores, then those that wait.
func jobLines(j *view.Jobs) (lines []jobLine) {
	at := j.At.UTC().Truncate(time.Millisecond)
	for _, h := range j.Held {
		lines = append(lines, newJobLine(at, stateHolds, h))
	}
	for _, h := range j.Waiting {
		lines = append(lines, newJobLine(at, stateWaits, h))
	}
	return lines
}

func newJobLine(at time.Time, state string, h reserve.Holder) jobLine {
	l := jobLine{At: at, State: state, Job: h.Job, Program: h.Program, PID: h.PID, ID: h.ID, Since: h.Since, Cores: h.Cores, Turn: h.Turn}
	if h.PID == 0 {
		l.Program, l.PID = h.Locker.Command, h.Locker.PID
	}
	for _, m := range h.Memory {
		l.Memory += min(m.Planned, ^uint64(0)-l.Memory)
	}
	if p := h.Progress; p != nil {
		l.Said, l.Proof, l.Sectors, l.Stage, l.Layer, l.Layers, l.Node = p.At, p.Proof, p.Sectors, p.Stage, p.Layer, p.Layers, p.Node
		l.Done, l.Total, l.LabelsPerSecond, l.SecondsLeft, l.WaitsFor = p.Done, p.Total, p.LabelsPerSecond, p.SecondsLeft, p.WaitsFor
		if p.Layer > 0 {
			l.Waited = &p.Waited
		}
	}
	return l
}
