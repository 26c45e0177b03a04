package view

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"charm.land/lipgloss/v2"

	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/topology"
)

var jobsAt = time.Date(2026, 1, 2, 13, 4, 5, 0, time.UTC)

// someJobs are two at work, one whose record is of an older version, one that has stopped, a stranger; and two that
// wait.
func someJobs() *Jobs {
	since := jobsAt.Add(-3*time.Hour - 25*time.Minute)
	said := jobsAt.Add(-time.Second)
	return &Jobs{At: jobsAt, Jobs: reserve.Jobs{
		Held: []reserve.Holder{
			{PID: 4711, Job: "sector 17 of f01000", Program: "curio", Since: since, Cores: []topology.CPU{0, 1, 2}, Progress: &reserve.Progress{
				At: said, Proof: "StackedDrg32GiBV1_1", Sectors: 1, Stage: "labels", Layer: 5, Layers: 11, Node: 1 << 29, Done: 9 << 29, Total: 22 << 29,
				LabelsPerSecond: 1_320_000, SecondsLeft: 5286.2, Waited: reserve.Waited{Parents: 0.002, Disk: 0.031},
			}},
			{PID: 4712, Job: "16 sectors of f01000", Program: "sdrbench pc1", Since: since, Cores: []topology.CPU{4, 5, 8}, Progress: &reserve.Progress{
				At: said, Proof: "StackedDrg64GiBV1_1", Sectors: 16, Stage: "tree-d", Layers: 11, Done: 1 << 36, Total: 1 << 40,
			}},
			{PID: 4713, Job: "sdr", Since: since, Cores: []topology.CPU{12}},
			{PID: 4714, Job: "stopped", Program: "host", Since: since, Cores: []topology.CPU{13}, Progress: &reserve.Progress{
				At: jobsAt.Add(-10 * time.Minute), Proof: "StackedDrg8MiBV1_1", Sectors: 1, Stage: "labels", Layer: 1, Layers: 2, Done: 1, Total: 3, LabelsPerSecond: 17,
			}},
			{Locker: reserve.Process{PID: 99, Command: "flock"}, Cores: []topology.CPU{20}},
			{Cores: []topology.CPU{21}},
		},
		Waiting: []reserve.Holder{
			{Turn: 7, PID: 4715, Job: "sector 18 of f01000", Program: "curio", Since: jobsAt.Add(-90 * time.Second), Progress: &reserve.Progress{
				At: said, Proof: "StackedDrg32GiBV1_1", Sectors: 1, WaitsFor: "placing 1 sector: no room; memory: 64.25 GiB wanted, 12 GiB free; held: process 4711, \"sector 17 of f01000\"",
			}},
			{Turn: 9, PID: 4716, Job: "old", Since: jobsAt.Add(time.Hour)},
		},
		Unreadable: []error{errors.New("reserve: using lock directory /run/sdrbench: core-3.lock: permission denied")},
	}}
}

// TestJobs draws jobs in different widths. With -update it rewrites what is expected.
func TestJobs(t *testing.T) {
	for _, columns := range []int{0, 120, 80, 40} {
		j := someJobs()
		j.Columns = columns
		got := j.Text()
		wantText(t, filepath.Join("..", "jobs", fmt.Sprintf("%d.txt", columns)), got)
		for line := range strings.Lines(got) {
			if width := lipgloss.Width(strings.TrimSuffix(line, "\n")); columns > 0 && width >= columns {
				t.Errorf("%d columns: a line of %d: %s", columns, width, line)
			}
		}
	}
	for _, c := range []struct {
		j    Jobs
		want string
	}{
		{Jobs{}, "0 jobs hold cores, 0 wait\n"},
		{Jobs{Missing: "/run/x\n"}, "no jobs: there is no lock directory /run/x\\n, or no job has used it (the first one makes it)\n"},
	} {
		if got := c.j.Text(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// Whatever stands in a record, a terminal obeys nothing of it, and each job has its line.
func TestHostileJobs(t *testing.T) {
	const nasty = "\x1b]0;title\a\x1b[2J\u009b1m\u202e\xff\r\n\t\x00"
	for _, text := range []string{nasty, strings.Repeat(nasty, 100_000), strings.Repeat("世", 5000), strings.Repeat("e\u0301", 5000), strings.Repeat("x", 1<<20)} {
		most := uint64(math.MaxUint64)
		p := &reserve.Progress{
			At: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), Proof: text, Sectors: math.MaxInt, Stage: text, Layer: math.MaxInt, Layers: 1, Node: most, Done: most, Total: 1,
			LabelsPerSecond: math.MaxFloat64, SecondsLeft: 100 * 365 * 24 * 3600, Waited: reserve.Waited{Disk: 1, Memory: 1, Parents: 1}, WaitsFor: text,
		}
		h := reserve.Holder{PID: math.MaxInt, Job: text, Program: text, Since: time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC), Cores: []topology.CPU{3}, Progress: p}
		stranger := reserve.Holder{Locker: reserve.Process{PID: 1, Command: text}, Cores: []topology.CPU{4}}
		for _, columns := range []int{0, 80, 1} {
			j := Jobs{At: jobsAt, Columns: columns, Jobs: reserve.Jobs{
				Held: []reserve.Holder{h, stranger}, Waiting: []reserve.Holder{h}, Unreadable: []error{errors.New(text)},
			}}
			got := j.Text()
			if lines := strings.Count(got, "\n"); lines != 8 {
				t.Errorf("%d lines in %q", lines, got)
			}
			for _, r := range got {
				if r != '\n' && !strconv.IsPrint(r) {
					t.Errorf("%q in %q", r, got)
					break
				}
			}
			if len(got) > 10_000 {
				t.Errorf("%d bytes", len(got))
			}
		}
	}
}
