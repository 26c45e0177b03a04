package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/topology"
)

// someJobs are one at work, one whose record is of an older version, and one that waits.
func someJobs() *view.Jobs {
	at := time.Date(2026, 1, 2, 13, 4, 5, 600_700_800, time.UTC)
	return &view.Jobs{At: at, Jobs: reserve.Jobs{
		Held: []reserve.Holder{
			{PID: 4711, ID: "A", Job: "sector 17 of f01000", Program: "curio", Since: at.Add(-time.Hour).Truncate(time.Second), Cores: []topology.CPU{0, 1, 2},
				Memory: []reserve.Memory{{Planned: 64 << 30}, {Node: 1, Planned: 1 << 20}},
				Progress: &reserve.Progress{
					At: at.Truncate(time.Second), Proof: "StackedDrg32GiBV1_1", Sectors: 1, Stage: "labels", Layer: 5, Layers: 11, Node: 7, Done: 9 << 29, Total: 22 << 29,
					LabelsPerSecond: 1.25e6, SecondsLeft: 5286.5, Waited: reserve.Waited{Parents: 0.25, Disk: 0.03125},
				}},
			{PID: 4713, ID: "B", Job: `a "name" with \ and` + "\nlines", Since: at.Add(-time.Hour).Truncate(time.Second), Cores: []topology.CPU{12}},
			{Locker: reserve.Process{PID: 99, Command: "flock"}, Cores: []topology.CPU{20}},
		},
		Waiting: []reserve.Holder{{Turn: 7, PID: 4715, ID: "C", Job: "next", Program: "curio", Since: at.Add(-time.Minute).Truncate(time.Second), Progress: &reserve.Progress{
			At: at.Truncate(time.Second), Proof: "StackedDrg32GiBV1_1", Sectors: 2, Layers: 11, WaitsFor: `held: process 4711, "sector 17 of f01000"`,
		}}},
		Unreadable: []error{errors.New("no")},
	}}
}

func TestJobsJSON(t *testing.T) {
	var stdout bytes.Buffer
	a := &app{out: &stdout}
	for _, line := range jobLines(someJobs()) {
		if err := a.printJSON(line); err != nil {
			t.Fatal(err)
		}
	}
	const want = `{"at":"2026-01-02T13:04:05.6Z","state":"holds","job":"sector 17 of f01000","program":"curio","pid":4711,"id":"A","since":"2026-01-02T12:04:05Z","cores":[0,1,2],"memory":68720525312,"said":"2026-01-02T13:04:05Z","proof":"StackedDrg32GiBV1_1","sectors":1,"stage":"labels","layer":5,"layers":11,"node":7,"done":4831838208,"total":11811160064,"labels_per_second":1250000,"seconds_left":5286.5,"waited":{"parents":0.25,"memory":0,"disk":0.03125}}
{"at":"2026-01-02T13:04:05.6Z","state":"holds","job":"a \"name\" with \\ and\nlines","pid":4713,"id":"B","since":"2026-01-02T12:04:05Z","cores":[12]}
{"at":"2026-01-02T13:04:05.6Z","state":"holds","program":"flock","pid":99,"cores":[20]}
{"at":"2026-01-02T13:04:05.6Z","state":"waits","job":"next","program":"curio","pid":4715,"id":"C","since":"2026-01-02T13:03:05Z","turn":7,"waits_for":"held: process 4711, \"sector 17 of f01000\"","said":"2026-01-02T13:04:05Z","proof":"StackedDrg32GiBV1_1","sectors":2,"layers":11}
`
	if diff := cmp.Diff(want, stdout.String()); diff != "" {
		t.Error(diff)
	}
	// Help tells of each field that there is, and of no other.
	help := new(app).jobs().Long
	_, help, _ = strings.Cut(help, "Fields that are not known are missing:\n")
	help, _, _ = strings.Cut(help, "\nA process that")
	documented := map[string]bool{}
	for line := range strings.Lines(help) {
		if names := regexp.MustCompile(`^  ([a-z_]+(?:, [a-z_]+)*)  `).FindStringSubmatch(line); names != nil {
			for name := range strings.SplitSeq(names[1], ", ") {
				documented[name] = true
			}
		}
	}
	there := map[string]bool{}
	for line := range strings.Lines(want) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		for name := range fields {
			there[name] = true
		}
	}
	if diff := cmp.Diff(there, documented); diff != "" {
		t.Errorf("fields, and those that help has: %s", diff)
	}
}

func TestMetrics(t *testing.T) {
	const want = `# HELP sdr_jobs Jobs in the lock directory, by state.
# TYPE sdr_jobs gauge
sdr_jobs{state="holds"} 3
sdr_jobs{state="waits"} 1
# HELP sdr_jobs_unreadable Lock files that could not be looked at.
# TYPE sdr_jobs_unreadable gauge
sdr_jobs_unreadable 1
# HELP sdr_job_info A job that holds cores, with its seal proof and its stage.
# TYPE sdr_job_info gauge
sdr_job_info{name="sector 17 of f01000",program="curio",pid="4711",cores="0-2",proof="StackedDrg32GiBV1_1",stage="labels"} 1
sdr_job_info{name="a \"name\" with \\ and\nlines",program="",pid="4713",cores="12",proof="",stage=""} 1
sdr_job_info{name="",program="flock",pid="99",cores="20",proof="",stage=""} 1
# HELP sdr_job_start_timestamp_seconds When the job got its cores.
# TYPE sdr_job_start_timestamp_seconds gauge
sdr_job_start_timestamp_seconds{name="sector 17 of f01000",program="curio",pid="4711",cores="0-2"} 1.767355445e+09
sdr_job_start_timestamp_seconds{name="a \"name\" with \\ and\nlines",program="",pid="4713",cores="12"} 1.767355445e+09
# HELP sdr_job_said_timestamp_seconds When the job last said where it stands.
# TYPE sdr_job_said_timestamp_seconds gauge
sdr_job_said_timestamp_seconds{name="sector 17 of f01000",program="curio",pid="4711",cores="0-2"} 1.767359045e+09
# HELP sdr_job_memory_bytes Memory that the job has planned.
# TYPE sdr_job_memory_bytes gauge
sdr_job_memory_bytes{name="sector 17 of f01000",program="curio",pid="4711",cores="0-2"} 6.8720525312e+10
sdr_job_memory_bytes{name="a \"name\" with \\ and\nlines",program="",pid="4713",cores="12"} 0
sdr_job_memory_bytes{name="",program="flock",pid="99",cores="20"} 0
# HELP sdr_job_sectors Sectors that are sealed together.
# TYPE sdr_job_sectors gauge
sdr_job_sectors{name="sector 17 of f01000",program="curio",pid="4711",cores="0-2"} 1
# HELP sdr_job_stage_ratio Part of the present stage that is done, 0 to 1.
# TYPE sdr_job_stage_ratio gauge
sdr_job_stage_ratio{name="sector 17 of f01000",program="curio",pid="4711",cores="0-2"} 0.4090909090909091
# HELP sdr_job_layer The lowest layer that a hasher is at, from 1.
# TYPE sdr_job_layer gauge
sdr_job_layer{name="sector 17 of f01000",program="curio",pid="4711",cores="0-2"} 5
# HELP sdr_job_layers Layers that the job labels.
# TYPE sdr_job_layers gauge
sdr_job_layers{name="sector 17 of f01000",program="curio",pid="4711",cores="0-2"} 11
# HELP sdr_job_labels_total Labels made, of all sectors and layers.
# TYPE sdr_job_labels_total counter
sdr_job_labels_total{name="sector 17 of f01000",program="curio",pid="4711",cores="0-2"} 4.831838208e+09
# HELP sdr_job_labels_planned Labels that the job makes in all.
# TYPE sdr_job_labels_planned gauge
sdr_job_labels_planned{name="sector 17 of f01000",program="curio",pid="4711",cores="0-2"} 1.1811160064e+10
# HELP sdr_job_labels_per_second Labels a second, of all sectors, in the last seconds.
# TYPE sdr_job_labels_per_second gauge
sdr_job_labels_per_second{name="sector 17 of f01000",program="curio",pid="4711",cores="0-2"} 1.25e+06
# HELP sdr_job_left_seconds Time until the last label, by the present rate.
# TYPE sdr_job_left_seconds gauge
sdr_job_left_seconds{name="sector 17 of f01000",program="curio",pid="4711",cores="0-2"} 5286.5
# HELP sdr_job_waited_ratio Part of the last seconds that hashers waited, by what for.
# TYPE sdr_job_waited_ratio gauge
sdr_job_waited_ratio{name="sector 17 of f01000",program="curio",pid="4711",cores="0-2",for="parents"} 0.25
sdr_job_waited_ratio{name="sector 17 of f01000",program="curio",pid="4711",cores="0-2",for="memory"} 0
sdr_job_waited_ratio{name="sector 17 of f01000",program="curio",pid="4711",cores="0-2",for="disk"} 0.03125
# HELP sdr_job_waiting_start_timestamp_seconds When a job that waits for cores or memory began to.
# TYPE sdr_job_waiting_start_timestamp_seconds gauge
sdr_job_waiting_start_timestamp_seconds{name="next",program="curio",pid="4715",turn="7"} 1.767358985e+09
`
	if diff := cmp.Diff(want, metricsText(someJobs())); diff != "" {
		t.Error(diff)
	}
}

// sampleLine is a sample of the text format, as Prometheus reads it.
var sampleLine = regexp.MustCompile(`^([a-z_]+)(\{(?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? [0-9.e+-]+$`)

// Whatever records say, the metrics are well-formed, and no two samples have the same labels.
func TestHostileMetrics(t *testing.T) {
	all := uint64(math.MaxUint64)
	h := reserve.Holder{
		PID: math.MaxInt, ID: nasty, Job: nasty + "\n# TYPE x gauge\nx 1\n\"} 7", Program: strings.Repeat(`\"`+"é", 5000), Since: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
		Memory: []reserve.Memory{{Planned: all}, {Planned: all}},
		Progress: &reserve.Progress{At: time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC), Proof: nasty, Stage: nasty, Sectors: math.MaxInt, Layer: math.MaxInt, Layers: math.MaxInt, Node: all, Done: all, Total: 1,
			LabelsPerSecond: math.MaxFloat64, SecondsLeft: 1e300, Waited: reserve.Waited{Parents: 1, Memory: 1, Disk: 1}, WaitsFor: nasty},
	}
	j := &view.Jobs{At: time.Now()}
	for i := range 3 {
		h.Cores = []topology.CPU{topology.CPU(i)}
		j.Held = append(j.Held, h, reserve.Holder{Cores: []topology.CPU{topology.CPU(10 + i)}, Locker: reserve.Process{PID: i, Command: nasty}})
	}
	h.Cores = nil
	for i := range 3 {
		h.Turn = uint64(1 + i)
		j.Waiting = append(j.Waiting, h, reserve.Holder{Turn: uint64(10 + i)})
	}
	seen := map[string]bool{}
	for line := range strings.Lines(metricsText(j)) {
		line = strings.TrimSuffix(line, "\n")
		wantHarmless(t, "metrics", line)
		if strings.HasPrefix(line, "# ") {
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("no sample: %.300q", line)
			continue
		}
		if seen[m[1]+m[2]] {
			t.Errorf("twice: %.300q", line)
		}
		seen[m[1]+m[2]] = true
	}
	var stdout bytes.Buffer
	for _, line := range jobLines(j) {
		if err := (&app{out: &stdout}).printJSON(line); err != nil {
			t.Error(err)
		}
	}
	wantHarmless(t, "JSON", stdout.String())
}
