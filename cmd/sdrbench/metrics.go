package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/topology"
)

// The field's library for this format, prometheus/common's expfmt, brings protobuf with it: a third
// of this program. What is needed of the format is below.

// A metric is one name of the text format with all its samples.
type metric struct {
	name, kind, help string
	samples          []string
}

// A label is of a sample.
type label struct{ name, text string }

// escapeLabel escapes what the format does. What a terminal obeys is made visible before: people
// look at such files.
var escapeLabel = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

const maxLabel = 200 // bytes

func (m *metric) add(value float64, labels ...label) {
	var parts []string
	for _, l := range labels {
		text := l.text
		if len(text) > maxLabel {
			text = strings.ToValidUTF8(text[:maxLabel], "") + "…"
		}
		parts = append(parts, fmt.Sprintf(`%s="%s"`, l.name, escapeLabel.Replace(view.Visible(text))))
	}
	of := ""
	if len(parts) > 0 {
		of = "{" + strings.Join(parts, ",") + "}"
	}
	m.samples = append(m.samples, m.name+of+" "+strconv.FormatFloat(value, 'g', -1, 64))
}

// metricsText is what is known of jobs in Prometheus' text format. No two samples have the
// same labels, whatever records say, or the collector would refuse all of them: no
// two jobs have the same cores, or the same turn.
func metricsText(j *view.Jobs) string {
	gauge := func(name, help string) *metric { return &metric{name: name, kind: "gauge", help: help} }
	jobs := gauge("sdr_jobs", "Jobs in the lock directory, by state.")
	unreadable := gauge("sdr_jobs_unreadable", "Lock files that could not be looked at.")
	info := gauge("sdr_job_info", "A job that holds cores, with its seal proof and its stage.")
	began := gauge("sdr_job_start_timestamp_seconds", "When the job got its cores.")
	said := gauge("sdr_job_said_timestamp_seconds", "When the job last said where it stands.")
	memory := gauge("sdr_job_memory_bytes", "Memory that the job has planned.")
	sectors := gauge("sdr_job_sectors", "Sectors that are sealed together.")
	stage := gauge("sdr_job_stage_ratio", "Part of the present stage that is done, 0 to 1.")
	layer := gauge("sdr_job_layer", "The lowest layer that a hasher is at, from 1.")
	layers := gauge("sdr_job_layers", "Layers that the job labels.")
	labels := &metric{name: "sdr_job_labels_total", kind: "counter", help: "Labels made, of all sectors and layers."}
	planned := gauge("sdr_job_labels_planned", "Labels that the job makes in all.")
	rate := gauge("sdr_job_labels_per_second", "Labels a second, of all sectors, in the last seconds.")
	left := gauge("sdr_job_left_seconds", "Time until the last label, by the present rate.")
	waited := gauge("sdr_job_waited_ratio", "Part of the last seconds that hashers waited, by what for.")
	waiting := gauge("sdr_job_waiting_start_timestamp_seconds", "When a job that waits for cores or memory began to.")
	all := []*metric{jobs, unreadable, info, began, said, memory, sectors, stage, layer, layers, labels, planned, rate, left, waited, waiting}

	jobs.add(float64(len(j.Held)), label{"state", stateHolds})
	jobs.add(float64(len(j.Waiting)), label{"state", stateWaits})
	unreadable.add(float64(len(j.Unreadable)))
	for _, h := range j.Held {
		l := newJobLine(j.At, stateHolds, h)
		of := append(whose(&l), label{"cores", topology.NewCPUSet(h.Cores...).String()})
		info.add(1, append(of, label{"proof", l.Proof}, label{"stage", l.Stage})...)
		if !l.Since.IsZero() {
			began.add(unix(l.Since), of...)
		}
		memory.add(float64(l.Memory), of...)
		if h.Progress == nil {
			continue
		}
		said.add(unix(l.Said), of...)
		sectors.add(float64(l.Sectors), of...)
		if l.Total > 0 {
			stage.add(float64(min(l.Done, l.Total))/float64(l.Total), of...)
		}
		if l.Layer == 0 {
			continue
		}
		layer.add(float64(l.Layer), of...)
		layers.add(float64(l.Layers), of...)
		labels.add(float64(l.Done), of...)
		planned.add(float64(l.Total), of...)
		rate.add(l.LabelsPerSecond, of...)
		if l.SecondsLeft > 0 { // else nothing tells it yet
			left.add(l.SecondsLeft, of...)
		}
		for _, w := range waits(l.Waited) {
			waited.add(w.part, append(of, label{"for", w.what})...)
		}
	}
	for _, h := range j.Waiting {
		l := newJobLine(j.At, stateWaits, h)
		if l.Since.IsZero() {
			continue // it does not say who it is, either
		}
		waiting.add(unix(l.Since), append(whose(&l), label{"turn", fmt.Sprint(l.Turn)})...)
	}
	var b strings.Builder
	for _, m := range all {
		if len(m.samples) > 0 {
			fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n%s\n", m.name, m.help, m.name, m.kind, strings.Join(m.samples, "\n"))
		}
	}
	return b.String()
}

// whose are the labels of a job. "job" is Prometheus' own.
func whose(l *jobLine) []label {
	return []label{{"name", l.Job}, {"program", l.Program}, {"pid", fmt.Sprint(l.PID)}}
}

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

type waitedPart struct {
	what string
	part float64
}

func waits(w *reserve.Waited) []waitedPart {
	return []waitedPart{{"parents", w.Parents}, {"memory", w.Memory}, {"disk", w.Disk}}
}
