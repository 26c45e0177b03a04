//go:build ignore

// Throughput draws throughput.svg from the first table of benchmarks.md that begins with
// "| sectors |". Run it as go run docs/throughput.go.
package main

import (
	"fmt"
	"log"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// A point is the labels of some sectors together, in millions a second.
type point struct{ sectors, rate, least, most float64 }

// A machine is a column of the table. Its first point is the reference's.
type machine struct {
	name   string
	points []point
}

func main() {
	text, err := os.ReadFile("docs/benchmarks.md")
	if err != nil {
		log.Fatal(err)
	}
	machines, err := readTable(string(text))
	if err != nil {
		log.Fatal("docs/benchmarks.md: ", err)
	}
	if err := os.WriteFile("docs/throughput.svg", []byte(draw(machines)), 0o666); err != nil {
		log.Fatal(err)
	}
}

var cell = regexp.MustCompile(`^([0-9.]+) \(([0-9.]+)–([0-9.]+)\)$`)

func readTable(text string) (machines []machine, err error) {
	_, table, found := strings.Cut(text, "\n| sectors |")
	if !found {
		return nil, fmt.Errorf("no table begins with | sectors |")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	for i, line := range strings.Split(table, "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		switch i {
		case 0:
			for _, name := range cells {
				machines = append(machines, machine{name: name})
			}
			continue
		case 1: // the rule
			continue
		}
		if len(cells) != 1+len(machines) {
			return nil, fmt.Errorf("%q: %d cells, want %d", line, len(cells), 1+len(machines))
		}
		sectors, err := strconv.ParseFloat(strings.TrimPrefix(cells[0], "the reference, "), 64)
		if err != nil {
			return nil, err
		}
		for j, text := range cells[1:] {
			m := cell.FindStringSubmatch(text)
			if m == nil {
				return nil, fmt.Errorf("%q is not like 1.44 (1.42–1.46)", text)
			}
			p := point{sectors: sectors}
			for k, to := range []*float64{&p.rate, &p.least, &p.most} {
				if *to, err = strconv.ParseFloat(m[k+1], 64); err != nil {
					return nil, err
				}
			}
			machines[j].points = append(machines[j].points, p)
		}
	}
	return machines, nil
}

const (
	width, height            = 760, 430
	left, right, top, bottom = 60, 590, 58, 372
	most                     = 6.5 // M labels a second
)

func x(sectors float64) float64 { return left + 45 + math.Log2(sectors)*(right-left-60)/5 }
func y(rate float64) float64    { return bottom - rate/most*(bottom-top) }

// draw is an image with a background of its own, which goes with the reader's colours.
func draw(machines []machine) string {
	var b strings.Builder
	put := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	put(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img" font-family="system-ui, 'DejaVu Sans', sans-serif" font-size="13">`, width, height)
	put(`<title>Labels a second against sectors in lock-step, on three machines</title>`)
	put(`<style>
.paper { fill: #ffffff } .text { fill: #1f2328; color: #1f2328 } .grid { stroke: #d1d9e0 }
.m0 { color: #b35900 } .m1 { color: #0757b8 } .m2 { color: #1a7f37 }
@media (prefers-color-scheme: dark) {
.paper { fill: #0d1117 } .text { fill: #e6edf3; color: #e6edf3 } .grid { stroke: #30363d }
.m0 { color: #f0a050 } .m1 { color: #6cb0ff } .m2 { color: #56d364 }
}
</style>`)
	put(`<rect class="paper" width="%d" height="%d"/>`, width, height)
	put(`<text class="text" x="%d" y="26" font-size="16" font-weight="600">Labels a second, all sectors together, on 2 cores</text>`, left)
	put(`<text class="text" x="%d" y="44">millions; 512 MiB sectors, layer 2; median, least and most</text>`, left)
	for rate := 0.0; rate < most; rate++ {
		put(`<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, left, right, y(rate), y(rate))
		put(`<text class="text" x="%d" y="%.1f" text-anchor="end">%.0f</text>`, left-8, y(rate)+4, rate)
	}
	for _, n := range []float64{1, 2, 4, 8, 16, 32} {
		put(`<text class="text" x="%.1f" y="%d" text-anchor="middle">%.0f</text>`, x(n), bottom+20, n)
	}
	put(`<text class="text" x="%d" y="%d" text-anchor="middle">sectors in lock-step; 1 on one core, 32 with one layer each in memory</text>`, (left+right)/2, bottom+44)
	for i, m := range machines {
		shift := 5 * float64(i-1) // so that ranges do not lie on each other
		put(`<g class="m%d" stroke="currentColor" fill="none">`, i)
		var line []string
		for j, p := range m.points {
			at := x(p.sectors) + shift
			if j == 0 { // the reference
				at -= 25
				put(`<circle cx="%.1f" cy="%.1f" r="4" stroke-width="2"/>`, at, y(p.rate))
				continue
			}
			put(`<path d="M%.1f %.1fV%.1f" stroke-width="3" opacity="0.35"/>`, at, y(p.least), y(p.most))
			put(`<circle cx="%.1f" cy="%.1f" r="4.5" fill="currentColor"/>`, at, y(p.rate))
			line = append(line, fmt.Sprintf("%.1f %.1f", at, y(p.rate)))
		}
		put(`<path d="M%s" stroke-width="2"/>`, strings.Join(line, "L"))
		last := m.points[len(m.points)-1]
		put(`<text x="%.1f" y="%.1f" fill="currentColor" stroke="none" font-weight="600">%s</text>`, x(last.sectors)+18, y(last.rate)+4, m.name)
		put(`</g>`)
	}
	put(`<g class="text"><circle cx="%d" cy="%.1f" r="4" fill="none" stroke="currentColor" stroke-width="2"/><text x="%d" y="%.1f">the reference, one sector</text></g>`, left+20, y(5.5), left+32, y(5.5)+4)
	put(`</svg>`)
	return b.String()
}
