package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/internal/testkit"
)

// onTerminal runs a shell command on a terminal of 80 columns, calls seen with all
// of the output so far whenever there is more, and returns it. What seen returns is
// typed.
func onTerminal(t *testing.T, command string, seen func(output string) (keys string)) string {
	t.Helper()
	script, err := exec.LookPath("script")
	if err != nil {
		t.Skipf("script(1), which makes a terminal, is not here: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), script, "-qfec", "stty cols 80 rows 24; trap : INT; "+command, "/dev/null")
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "NO_COLOR=", "SHELL=/bin/sh", "SDR_LOCK_DIR="+filepath.Join(t.TempDir(), "locks"))
	keyboard, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer keyboard.Close()
	screen, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	buffer := make([]byte, 1<<16)
	for {
		n, err := screen.Read(buffer)
		output.Write(buffer[:n])
		if err != nil {
			break
		}
		if keys := seen(output.String()); keys != "" {
			if _, err := io.WriteString(keyboard, keys); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	return output.String()
}

// A pane is what a terminal shows of what was written to it, as far as a view that
// is drawn inline needs it.
type pane struct {
	lines  [][]rune
	x, y   int
	hidden bool // the cursor
}

func (p *pane) put(r rune) {
	for len(p.lines) <= p.y {
		p.lines = append(p.lines, nil)
	}
	for len(p.lines[p.y]) <= p.x {
		p.lines[p.y] = append(p.lines[p.y], ' ')
	}
	p.lines[p.y][p.x] = r
	p.x++
}

// erase empties a line's columns.
func (p *pane) erase(y, from, to int) {
	if y < len(p.lines) {
		for x := from; x < min(to, len(p.lines[y])); x++ {
			p.lines[y][x] = ' '
		}
	}
}

const wide = 1 << 20

func (p *pane) write(t *testing.T, text string) {
	t.Helper()
	for text != "" {
		if rest, ok := strings.CutPrefix(text, "\x1b["); ok {
			end := strings.IndexFunc(rest, func(r rune) bool { return r >= '@' && r <= '~' })
			if end < 0 {
				t.Fatalf("an escape without an end: %q", text)
			}
			p.control(t, rest[:end], rest[end])
			text = rest[end+1:]
			continue
		}
		r := []rune(text[:min(len(text), 4)])[0]
		text = text[len(string(r)):]
		switch r {
		case '\r':
			p.x = 0
		case '\n':
			p.y++
		case '\b':
			p.x = max(0, p.x-1)
		default:
			if r < ' ' {
				t.Errorf("unknown control %q", r)
			}
			p.put(r)
		}
	}
}

func (p *pane) control(t *testing.T, parameters string, final byte) {
	n, err := strconv.Atoi(parameters)
	if err != nil || n == 0 {
		n = 1
	}
	switch final {
	case 'A':
		p.y = max(0, p.y-n)
	case 'B':
		p.y += n
	case 'C':
		p.x += n
	case 'D':
		p.x = max(0, p.x-n)
	case 'G', '`':
		p.x = n - 1
	case 'X':
		p.erase(p.y, p.x, p.x+n)
	case 'K':
		switch parameters {
		case "", "0":
			p.erase(p.y, p.x, wide)
		case "1":
			p.erase(p.y, 0, p.x+1)
		default:
			p.erase(p.y, 0, wide)
		}
	case 'J':
		if parameters != "" && parameters != "0" {
			t.Errorf("it erases more than what is below: CSI %s J", parameters)
		}
		p.erase(p.y, p.x, wide)
		for y := p.y + 1; y < len(p.lines); y++ {
			p.erase(y, 0, wide)
		}
	case 'b':
		last := p.lines[p.y][p.x-1]
		for range n {
			p.put(last)
		}
	case 'P':
		p.erase(p.y, wide, wide)
		if p.y < len(p.lines) && p.x < len(p.lines[p.y]) {
			p.lines[p.y] = slices.Delete(p.lines[p.y], p.x, min(p.x+n, len(p.lines[p.y])))
		}
	case '@':
		if p.y < len(p.lines) && p.x < len(p.lines[p.y]) {
			p.lines[p.y] = slices.Insert(p.lines[p.y], p.x, slices.Repeat([]rune{' '}, n)...)
		}
	case 'm':
	case 'h', 'l':
		if parameters != "?25" {
			t.Errorf("it changes the terminal's mode: CSI %s %c", parameters, final)
		}
		p.hidden = final == 'l'
	default:
		t.Errorf("unknown escape: CSI %s %c", parameters, final)
	}
}

// text is the lines, without blanks at their ends.
func (p *pane) text() string {
	var all []string
	for _, l := range p.lines {
		all = append(all, strings.TrimRight(string(l), " "))
	}
	return strings.Join(all, "\n")
}

// keyboard matches what a program sends that reads the keyboard, as view has it.
var keyboard = regexp.MustCompile(`\x1b\[(?:[<=>?][0-9;]*[um]|\?[0-9]+\$p)`)

// TestTerminal: a job on a terminal shows a view. Nothing of it is left when the job
// is done, when it is interrupted by a key, and when it fails, and the terminal is
// as it was.
func TestTerminal(t *testing.T) {
	for _, test := range []struct {
		name   string
		keys   string
		remove bool // the cache dir
		last   string
	}{
		{name: "done", last: "exit 0"},
		{name: "interrupted", keys: "\x03", last: "sdrbench: canceled\nexit 1"},
		{name: "failed", remove: true, last: "exit 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.keys == "" {
				testkit.NeedsLong(t, "the generic kernel is slow")
			}
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "cache")
			if err := os.Mkdir(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			command := fmt.Sprintf("stty -g; sdrbench sdr --proof StackedDrg8MiBV1_1 --kernel generic/1 --cache-dir %s --replica-id %064x; echo exit $?; stty -g", dir, 1)
			typed := false
			output := onTerminal(t, command, func(output string) string {
				if typed || !strings.Contains(output, "layer 1/2") {
					return ""
				}
				typed = true
				if test.remove {
					if err := os.RemoveAll(dir); err != nil {
						t.Error(err)
					}
				}
				return test.keys
			})
			if !strings.Contains(output, "labels/s") || !strings.Contains(output, "░") || !strings.Contains(output, "generic/1") {
				t.Errorf("no view in %q", output)
			}
			if found := keyboard.FindString(output); found != "" {
				t.Errorf("the terminal is asked, or its keyboard changed: %q", found)
			}
			if !strings.Contains(output, "\x1b[90m") {
				t.Error("no color")
			}
			var p pane
			p.write(t, output)
			modes, _, _ := strings.Cut(output, "\r\n")
			got, want := p.text(), modes+"\n"
			switch {
			case test.remove:
				// What the system says of it is not ours.
				before, after, _ := strings.Cut(got, "sdrbench: engine: labelling sector in "+dir+": layer 1: ")
				_, after, _ = strings.Cut(after, "\n")
				got = before + after
			case test.keys == "":
				for layer := 1; layer <= 2; layer++ {
					want += fmt.Sprintf("%s/sc-02-data-layer-%d.dat\n", dir, layer)
				}
			}
			want += test.last + "\n" + modes
			if got != want {
				t.Errorf("the terminal shows\n%s\nwant\n%s\nof %q", got, want, output)
			}
			if p.hidden {
				t.Error("the cursor is hidden")
			}
			if left, _ := namesIn(dir); test.last != "exit 0" && len(left) > 0 {
				t.Errorf("left %q", left)
			}
		})
	}
}

// On a terminal that cannot move its cursor there are lines, as in a file.
func TestDumbTerminal(t *testing.T) {
	output := onTerminal(t, fmt.Sprintf("TERM=dumb sdrbench sdr --proof StackedDrg8MiBV1_1 --cache-dir %s --replica-id %064x", t.TempDir(), 1), func(string) string { return "" })
	if strings.Contains(output, "\x1b") {
		t.Errorf("an escape in %q", output)
	}
}
