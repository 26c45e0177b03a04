package view

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"golang.org/x/term"

	"github.com/sdr-engine/sdr/engine"
)

// Terminal is the terminal that w is, if a view can be drawn there; else nil.
func Terminal(w io.Writer) *os.File {
	if shown, ok := w.(TextWriter); ok {
		w = shown.To
	}
	f, ok := w.(*os.File)
	if !ok {
		return nil
	}
	if columns, _, err := term.GetSize(int(f.Fd())); err != nil || columns <= 0 {
		return nil
	}
	return f
}

// drawLive draws a view until done, and then takes it away. The calling goroutine
// reads the samples and makes the text; another one, which calls keepOff, writes it.
func drawLive(f *os.File, keepOff func(), l *live, done <-chan struct{}) {
	select {
	case <-done:
		return // nothing worth showing
	case <-time.After(tick):
	}
	p := tea.NewProgram(l,
		tea.WithOutput(&screen{File: f, keepOff: keepOff}),
		tea.WithInput(nil), tea.WithoutSignalHandler(), // jobs end by signals; the keyboard is not ours
		tea.WithFPS(int(time.Second/tick)))
	stopped := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-done:
			p.Send(endMsg{})
		case <-stopped:
		}
	})
	_, _ = p.Run() // a job goes on without its view
	close(stopped)
	wg.Wait()
}

// A screen is a terminal of which nothing is asked and whose keyboard is left alone.
type screen struct {
	*os.File
	keepOff func()
	once    sync.Once
}

// keyboard matches what bubbletea sends, inline too, since it expects to read the
// keyboard: requests, whose answers would be typed into the shell afterwards, and
// modes in which Ctrl-C is no signal any more.
var keyboard = regexp.MustCompile(`\x1b\[(?:[<=>?][0-9;]*[um]|\?[0-9]+\$p)`)

// Write is called by one goroutine while the view is shown, which is to keep off the
// cores that hash.
func (s *screen) Write(b []byte) (int, error) {
	s.once.Do(s.keepOff)
	if rest := keyboard.ReplaceAll(b, nil); len(rest) > 0 {
		if _, err := s.File.Write(rest); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

type (
	tickMsg time.Time
	endMsg  struct{}
)

// A live is the view's model.
type live struct {
	gauge         *gauge
	read          func() Sample
	began         time.Time
	style         liveStyle
	width, height int // of the terminal; 0 before it is known
	last          reading
	over          bool
}

func newLive(g *gauge, read func() Sample, noColor bool) *live {
	return &live{gauge: g, read: read, style: newLiveStyle(noColor)}
}

// Init is the first tick.
func (l *live) Init() tea.Cmd { return func() tea.Msg { return tickMsg(time.Now()) } }

// Update takes a sample at each tick.
func (l *live) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tickMsg:
		if l.began.IsZero() {
			l.began = time.Time(msg)
		}
		l.last = l.gauge.add(time.Time(msg).Sub(l.began), l.read())
		return l, tea.Tick(tick, func(t time.Time) tea.Msg { return tickMsg(t) })
	case tea.WindowSizeMsg:
		l.width, l.height = msg.Width, msg.Height
	case endMsg:
		l.over = true
		return l, tea.Quit
	}
	return l, nil
}

// View is what is known last, nothing at the end.
func (l *live) View() tea.View {
	v := tea.View{DisableBracketedPasteMode: true}
	if !l.over && l.width > 0 && l.last.Stage != "" {
		v.SetContent(strings.Join(l.style.lines(&l.last, l.width, l.height), "\n"))
	}
	return v
}

// A liveStyle is how the view looks.
type liveStyle struct {
	full, empty       lipgloss.Style // parts of the bar
	faint, some, many lipgloss.Style // the table's head; waits of more than 1 and 10 %
}

func newLiveStyle(noColor bool) (s liveStyle) {
	if noColor {
		return s
	}
	s.full = s.full.Foreground(lipgloss.Cyan)
	s.empty = s.empty.Foreground(lipgloss.BrightBlack)
	s.faint = s.faint.Foreground(lipgloss.BrightBlack)
	s.some = s.some.Foreground(lipgloss.Yellow)
	s.many = s.many.Foreground(lipgloss.Red)
	return s
}

const (
	maxLines = 12
	minBar   = 8
	maxBar   = 40
	narrow   = 60 // columns with less room use shorter words
)

// lines are a terminal's of so many columns, all shorter than that, and at most so
// many rows less one.
func (s *liveStyle) lines(r *reading, columns, rows int) []string {
	width := columns - 1 // in the last column a terminal may already wrap
	if width < 1 {
		return []string{""}
	}
	all := []string{s.jobLine(r, width)}
	if r.Sample.Labels != nil {
		room := maxLines - 1
		if rows > 0 {
			room = min(room, rows-2)
		}
		all = append(all, s.hasherLines(r, width, room)...)
	}
	return all
}

// jobLine is "labels  █████░░░  37.2 %  layer 2/11  5.90 M labels/s  290 cycles a label  eta 20s".
func (s *liveStyle) jobLine(r *reading, width int) string {
	rate := r.perSecond()
	if width < narrow {
		rate = strings.Replace(rate, " labels/s", "/s", 1)
	}
	bar := ""
	if r.Total > 0 {
		bar = strings.Repeat("░", minBar)
	}
	parts := []string{r.Stage, bar, strings.TrimSpace(r.percent()), r.Detail, rate, r.cycles(), r.eta()}
	widths := make([]int, len(parts))
	for i, p := range parts {
		widths[i] = lipgloss.Width(p)
	}
	room := keep(parts, widths, []int{0, 2, 6, 4, 3, 1, 5}, width)
	if parts[1] != "" {
		columns := min(minBar+room, maxBar)
		full := int(math.Round(float64(columns) * float64(min(r.Done, r.Total)) / float64(r.Total)))
		parts[1] = s.full.Render(strings.Repeat("█", full)) + s.empty.Render(strings.Repeat("░", columns-full))
	}
	parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" })
	return lipgloss.NewStyle().MaxWidth(max(0, width)).Render(strings.Join(parts, "  "))
}

// keep empties those of parts that do not fit into a line, each two columns from the
// next, and returns how much room is left. What comes first in order is kept first.
func keep(parts []string, widths, order []int, width int) (room int) {
	room = width + 2
	for i, at := range order {
		switch need := widths[at] + 2; {
		case parts[at] == "":
		case need <= room:
			room -= need
		case i > 0:
			parts[at] = ""
		}
	}
	return room
}

// A column is one of the table of hashers.
type column struct {
	head  string
	order int // what comes first is kept first where there is no room
	right bool
	width int // at least
	cell  func(h *engine.HasherProgress, r *engine.HasherRates) string
}

// hasherLines are a head and a line for each hasher, those that wait most first, in so
// many lines.
func (s *liveStyle) hasherLines(r *reading, width, room int) (lines []string) {
	hashers := r.Sample.Labels.Hashers
	if len(hashers) == 0 || room < 2 {
		return nil
	}
	order := make([]int, len(hashers))
	for i := range order {
		order[i] = i
	}
	// By whole percents, so that lines stay where they are.
	waited := func(i int) float64 { return float64(int(100 * r.labels.Hashers[i].Total())) }
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(waited(b), waited(a)) })
	more := 0
	if len(order) > room-1 {
		more = len(order) - max(0, room-2)
		order = order[:len(order)-more]
	}

	columns := r.columns()
	heads, widths, keptOrder := make([]string, len(columns)), make([]int, len(columns)), make([]int, len(columns))
	for i, c := range columns {
		heads[i], widths[i], keptOrder[c.order] = c.head, max(c.width, len(c.head)), i
		if i < len(columns)-1 {
			for _, h := range order {
				widths[i] = max(widths[i], lipgloss.Width(c.cell(&hashers[h], &r.labels.Hashers[h])))
			}
		}
	}
	left := keep(heads, widths, keptOrder, width-2)
	widths[len(widths)-1] += left // waits take what is there

	row := func(waits lipgloss.Style, text func(c *column) string) string {
		line := ""
		for i, c := range columns {
			if heads[i] == "" {
				continue
			}
			cell := text(&c)
			pad := strings.Repeat(" ", max(0, widths[i]-lipgloss.Width(cell)))
			switch {
			case c.right:
				cell = pad + cell
			case i < len(columns)-1:
				cell += pad
			default:
				cell = waits.Render(cutWaits(cell, widths[i]))
			}
			line += "  " + cell
		}
		return line
	}
	fit := lipgloss.NewStyle().MaxWidth(width)
	lines = append(lines, fit.Render(s.faint.Render(row(lipgloss.NewStyle(), func(c *column) string { return c.head }))))
	for _, h := range order {
		waits := lipgloss.NewStyle()
		switch total := r.labels.Hashers[h].Total(); {
		case total > 0.1:
			waits = s.many
		case total > 0.01:
			waits = s.some
		}
		lines = append(lines, fit.Render(row(waits, func(c *column) string { return c.cell(&hashers[h], &r.labels.Hashers[h]) })))
	}
	if more > 0 {
		lines = append(lines, fit.Render(s.faint.Render(fmt.Sprintf("  … and %d more", more))))
	}
	return lines
}

// cutWaits leaves out what is waited for least, as far as there is no room.
func cutWaits(text string, width int) string {
	for lipgloss.Width(text) > width {
		shorter := strings.LastIndex(text, ", ")
		if shorter < 0 {
			break
		}
		text = text[:shorter]
	}
	return text
}

func (r *reading) columns() []column {
	return []column{
		{"cpu", 0, true, 3, func(h *engine.HasherProgress, _ *engine.HasherRates) string {
			if h.CPU == engine.NoCPU {
				return "any"
			}
			return fmt.Sprint(h.CPU)
		}},
		{"kernel", 6, false, 0, func(h *engine.HasherProgress, _ *engine.HasherRates) string { return h.Kernel }},
		{"sectors", 7, false, 0, func(h *engine.HasherProgress, _ *engine.HasherRates) string { return ranges(h.Sectors) }},
		{"layer", 3, true, 0, func(h *engine.HasherProgress, _ *engine.HasherRates) string { return fmt.Sprint(h.Layer) }},
		{"node", 4, true, 10, func(h *engine.HasherProgress, _ *engine.HasherRates) string { return Thousands(h.Node) }},
		{"labels/s", 2, true, 0, func(_ *engine.HasherProgress, hr *engine.HasherRates) string {
			return strings.TrimSuffix(PerSecond(hr.Labels, ""), " /s")
		}},
		{"cycles", 5, true, 0, func(_ *engine.HasherProgress, hr *engine.HasherRates) string {
			if n := hr.Cycles(r.hz); n > 0 {
				return Thousands(uint64(n + 0.5))
			}
			return "–"
		}},
		{"waits", 1, false, len("parents 100.0 %"), func(h *engine.HasherProgress, hr *engine.HasherRates) string {
			if h.Kernel != "" && h.Left == (engine.Left{}) {
				return "done"
			}
			return cmp.Or(waitedText(hr.Waited, 0.0005), "none")
		}},
	}
}

// ranges is "0-3,7" for the numbers 0, 1, 2, 3 and 7.
func ranges(numbers []int) string {
	var parts []string
	for i := 0; i < len(numbers); {
		j := i + 1
		for j < len(numbers) && numbers[j] == numbers[j-1]+1 {
			j++
		}
		part := fmt.Sprint(numbers[i])
		if j-i > 1 {
			part += fmt.Sprintf("-%d", numbers[j-1])
		}
		parts = append(parts, part)
		i = j
	}
	return strings.Join(parts, ",")
}
