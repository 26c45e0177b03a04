package view

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/topology"
)

// Jobs are those of a machine at a moment.
type Jobs struct {
	reserve.Jobs
	At      time.Time
	Missing string // the lock directory, if there is none
	Columns int    // of the terminal; 0: as many as it takes
}

// silentAfter is how long a job that is at work says nothing before that is told: it does so every
// two seconds.
const silentAfter = 10 * time.Second

const (
	widestCell = 48
	widestLast = 160
	nothing    = "–"
)

// A table is lines of cells below a head.
type table struct {
	heads []string
	right []bool
	order []int // columns, those first that are kept first where there is no room
	rows  [][]string
}

// Text is a table of the jobs that hold cores, one of those that wait, and what could not be
// looked at.
func (j *Jobs) Text() string {
	widest := widestLast
	if j.Columns > 0 {
		widest = max(1, min(widest, j.Columns-1)) // in the last column a terminal may already wrap
	}
	if j.Missing != "" {
		return oneLine(fmt.Sprintf("no jobs: there is no lock directory %s, or no job has used it (the first one makes it)", j.Missing), widest) + "\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s cores, %d %s\n", words.Count(len(j.Held), "job"), Verb(len(j.Held), "holds", "hold"), len(j.Waiting), Verb(len(j.Waiting), "waits", "wait"))
	if len(j.Held) > 0 {
		t := table{
			heads: []string{"job", "program", "process", "cores", "sectors", "since", "stage", "layer", "done", "labels/s", "left", "waits for"},
			right: []bool{2: true, 5: true, 7: true, 8: true, 9: true, 10: true, 11: false},
			order: []int{0, 6, 8, 10, 9, 7, 2, 3, 11, 1, 4, 5},
		}
		for i := range j.Held {
			t.rows = append(t.rows, j.held(&j.Held[i]))
		}
		t.write(&b, j.Columns)
	}
	if len(j.Waiting) > 0 {
		if len(j.Held) > 0 {
			b.WriteByte('\n')
		}
		t := table{
			heads: []string{"", "waiting job", "program", "process", "sectors", "since", "waits for"},
			right: []bool{0: true, 3: true, 5: true, 6: false},
			order: []int{1, 0, 6, 3, 5, 2, 4},
		}
		for i := range j.Waiting {
			h := &j.Waiting[i]
			who, p := j.who(h), progressOf(h)
			waits := cmp.Or(oneLine(p.WaitsFor, widestLast), nothing)
			t.rows = append(t.rows, []string{fmt.Sprint(i + 1), who[0], who[1], who[2], sectorsOf(p), j.ago(h.Since), waits})
		}
		t.write(&b, j.Columns)
	}
	for _, err := range j.Unreadable {
		b.WriteString(oneLine("not seen: "+err.Error(), widest) + "\n")
	}
	return b.String()
}

func (j *Jobs) held(h *reserve.Holder) []string {
	who, p := j.who(h), progressOf(h)
	r := reading{Sample: Sample{Done: min(p.Done, p.Total), Total: p.Total}}
	layer, rate, left, waits := nothing, nothing, nothing, nothing
	if p.Layer > 0 {
		layer = fmt.Sprintf("%d/%d", p.Layer, p.Layers)
		waits = cmp.Or(waitedText([3]float64{engine.WaitParents: p.Waited.Parents, engine.WaitMemory: p.Waited.Memory, engine.WaitDisk: p.Waited.Disk}, 0.0005), "nothing")
	}
	if p.LabelsPerSecond > 0 {
		rate = strings.TrimSuffix(PerSecond(p.LabelsPerSecond, ""), " /s")
	}
	if p.SecondsLeft > 0 {
		left = time.Duration(p.SecondsLeft * float64(time.Second)).Round(time.Second).String()
	}
	if silent := j.At.Sub(p.At); p.Stage != "" && silent > silentAfter {
		waits = "no word for " + silent.Round(time.Second).String()
	}
	cells := []string{
		who[0], who[1], who[2], topology.NewCPUSet(h.Cores...).String(), sectorsOf(p), j.ago(h.Since),
		p.Stage, layer, strings.TrimSpace(r.percent()), rate, left, waits,
	}
	for i, text := range cells {
		cells[i] = cmp.Or(oneLine(text, widestCell), nothing)
	}
	return cells
}

// who is the job, its program and its process.
func (j *Jobs) who(h *reserve.Holder) [3]string {
	switch {
	case h.PID != 0:
		return [3]string{cmp.Or(oneLine(h.Job, widestCell), nothing), cmp.Or(oneLine(h.Program, widestCell), nothing), fmt.Sprint(h.PID)}
	case h.Locker.PID != 0:
		return [3]string{"(does not say)", cmp.Or(oneLine(h.Locker.Command, widestCell), nothing), fmt.Sprint(h.Locker.PID)}
	}
	return [3]string{"(does not say)", nothing, nothing}
}

// ago is how long something is.
func (j *Jobs) ago(since time.Time) string {
	if since.IsZero() {
		return nothing
	}
	return max(0, j.At.Sub(since)).Round(time.Second).String()
}

func progressOf(h *reserve.Holder) reserve.Progress {
	if h.Progress == nil {
		return reserve.Progress{}
	}
	return *h.Progress
}

// sectorsOf is "16 × 32GiB".
func sectorsOf(p reserve.Progress) string {
	if p.Sectors == 0 {
		return nothing
	}
	size := oneLine(p.Proof, widestCell)
	if proof, err := porep.ParseSealProof(p.Proof); err == nil {
		size = proof.SectorSize().String()
	}
	return fmt.Sprintf("%d × %s", p.Sectors, size)
}

// oneLine is a text from outside in a line of at most so many columns.
func oneLine(text string, most int) string {
	const widest = 4 // bytes of a rune
	text = Visible(text[:min(len(text), widest*most)])
	text = strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(text)
	if lipgloss.Width(text) <= most {
		return text
	}
	runes := []rune(text)
	for len(runes) > 0 && lipgloss.Width(string(runes)) > most-1 {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}

// write draws the table in lines that are shorter than so many columns.
func (t *table) write(b *strings.Builder, columns int) {
	widths := make([]int, len(t.heads))
	for i, head := range t.heads {
		widths[i] = max(1, lipgloss.Width(head))
		for _, row := range t.rows {
			widths[i] = max(widths[i], lipgloss.Width(row[i]))
		}
	}
	last := len(t.heads) - 1
	shown := slices.Repeat([]string{"shown"}, len(t.heads))
	fit := lipgloss.NewStyle()
	if columns > 0 {
		// What is waited for is cut, not left out.
		inKeep := slices.Clone(widths)
		inKeep[last] = min(inKeep[last], 16)
		keep(shown, inKeep, t.order, columns-1)
		fit = fit.MaxWidth(columns - 1)
	}
	for _, row := range append([][]string{t.heads}, t.rows...) {
		line := ""
		for i, cell := range row {
			if shown[i] == "" {
				continue
			}
			pad := strings.Repeat(" ", widths[i]-lipgloss.Width(cell))
			if t.right[i] {
				cell = pad + cell
			} else {
				cell += pad
			}
			line += cell + "  "
		}
		b.WriteString(fit.Render(strings.TrimRight(line, " ")))
		b.WriteByte('\n')
	}
}

// Watch draws on a terminal what read says, again and again, until ctx is done. What it said
// last stays, all of it. Read is told how many columns there are.
func Watch(ctx context.Context, f *os.File, every time.Duration, read func(columns int) string) error {
	w := &watch{every: every, read: read}
	p := tea.NewProgram(w,
		tea.WithOutput(&screen{File: f, keepOff: func() {}}),
		tea.WithInput(nil), tea.WithoutSignalHandler(),
		tea.WithFPS(int(time.Second/tick)))
	stopped := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-ctx.Done():
			p.Send(endMsg{})
		case <-stopped:
		}
	})
	_, err := p.Run()
	close(stopped)
	wg.Wait()
	if err == nil {
		_, err = f.WriteString("\r\x1b[K" + w.text) // in place of the key that ended it
	}
	return err
}

// A watch is the model of what Watch draws.
type watch struct {
	every         time.Duration
	read          func(columns int) string
	width, height int
	text          string
	over          bool
}

// Init does nothing: the terminal's size comes by itself.
func (w *watch) Init() tea.Cmd { return nil }

// Update reads at each tick, the first of which comes with the terminal's size.
func (w *watch) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		first := w.width == 0
		w.width, w.height = msg.Width, msg.Height
		if !first {
			return w, nil
		}
	case endMsg:
		w.over = true
		return w, tea.Quit
	case tickMsg:
	default:
		return w, nil
	}
	w.text = w.read(w.width)
	return w, tea.Tick(w.every, func(t time.Time) tea.Msg { return tickMsg(t) })
}

// View is as much of the text as there is room for, nothing at the end.
func (w *watch) View() tea.View {
	v := tea.View{DisableBracketedPasteMode: true}
	if w.over {
		return v
	}
	lines := strings.Split(strings.TrimSuffix(w.text, "\n"), "\n")
	if room := w.height - 1; room > 0 && len(lines) > room {
		more := len(lines) - room + 1
		lines = append(lines[:room-1], fmt.Sprintf("… and %d more lines", more))
	}
	v.SetContent(strings.Join(lines, "\n"))
	return v
}
