package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/input"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// What a sectors file has at most. A sector has some hundred bytes, and 75 for each piece.
const (
	maxSectorLine  = 1 << 19 // bytes
	maxSectorsFile = 1 << 26 // bytes
)

// A sectorsError says all that is wrong with a sectors file.
type sectorsError struct {
	path     string
	problems []string // each with its line
}

func (e *sectorsError) Error() string {
	return fmt.Sprintf("reading sectors %s: %s", e.path, strings.Join(e.problems, "; "))
}

// A sectorsReader collects what is wrong with a sectors file, by line.
type sectorsReader struct {
	path     string
	problems []sectorProblem
}

type sectorProblem struct {
	line int
	text string
}

func (r *sectorsReader) fail(line int, format string, args ...any) {
	r.problems = append(r.problems, sectorProblem{line, fmt.Sprintf(format, args...)})
}

// failAll takes an error apart.
func (r *sectorsReader) failAll(line int, err error) {
	for _, one := range words.Errors(err) {
		if one == err {
			r.fail(line, "%v", err)
		} else {
			r.failAll(line, one)
		}
	}
}

func (r *sectorsReader) bad(line int) bool {
	return slices.ContainsFunc(r.problems, func(p sectorProblem) bool { return p.line == line })
}

func (r *sectorsReader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	const most = 100 // that people read
	slices.SortStableFunc(r.problems, func(a, b sectorProblem) int { return a.line - b.line })
	e := &sectorsError{path: r.path}
	for _, p := range r.problems[:min(len(r.problems), most)] {
		e.problems = append(e.problems, fmt.Sprintf("line %d: %s", p.line, p.text))
	}
	if more := len(r.problems) - most; more > 0 {
		e.problems = append(e.problems, fmt.Sprintf("and %d more", more))
	}
	return e
}

// A sectorField reads a field of a line; its text is a string, or a number's digits.
type sectorField func(text string) error

// A sectorLine is what fields a line may have.
type sectorLine struct {
	fields map[string]sectorField
	list   string     // the one that has a list of texts
	need   [][]string // exactly one of each
	either [][]string // at most one of each
}

func (l *sectorLine) names() string { return strings.Join(slices.Sorted(maps.Keys(l.fields)), ", ") }

// lines reads the file's lines, - being standard input. Add is called for each, and returns
// where what it says goes.
func (r *sectorsReader) lines(ctx context.Context, a *app, add func() *sectorLine) error {
	in := io.NopCloser(a.in)
	if r.path != "-" {
		f, err := input.OpenUntil(ctx, r.path)
		if err != nil {
			return fmt.Errorf("opening sectors: %w", err)
		}
		in = f
	}
	in = cancelable(ctx, in)
	defer in.Close()
	lines := bufio.NewReaderSize(&io.LimitedReader{R: in, N: maxSectorsFile + 1}, 1<<16)
	total := 0
	for line := 1; ; line++ {
		text, length, err := readLine(lines)
		total += length
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && err != io.EOF:
			return fmt.Errorf("reading sectors %s: %w", r.path, err)
		case err == io.EOF && length == 0:
			if line == 1 {
				r.fail(1, "there is no sector")
			}
			return nil
		case total > maxSectorsFile:
			r.fail(line, "the file has more than %d bytes", maxSectorsFile)
			return nil
		case line > engine.MaxSectors:
			r.fail(line, "more sectors than one job takes, %d", engine.MaxSectors)
			return nil
		}
		to := add()
		switch {
		case length > maxSectorLine:
			r.fail(line, "%d bytes, want at most %d", length, maxSectorLine)
		case !utf8.Valid(text):
			r.fail(line, "it is not UTF-8")
		case len(bytes.TrimSpace(text)) == 0:
			r.fail(line, "it is empty, want a sector")
		default:
			r.object(line, text, to)
		}
	}
}

// readLine reads a line without its end, of a long one only the beginning, and says how
// long it is. With io.EOF and a length, the last line has no end.
func readLine(r *bufio.Reader) (text []byte, length int, err error) {
	for {
		part, err := r.ReadSlice('\n')
		length += len(part)
		if len(text) <= maxSectorLine {
			text = append(text, part...)
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if err == io.EOF && length > 0 {
			err = nil
		}
		return bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r")), length, err
	}
}

// object reads a line's object. A field that is unknown, or there twice, is not taken.
func (r *sectorsReader) object(line int, text []byte, to *sectorLine) {
	seen := map[string]bool{}
	err := input.Object(text, func(name string, value json.RawMessage) {
		read := to.fields[name]
		switch {
		case read == nil:
			r.fail(line, "unknown field %q, want some of %s", name, to.names())
			return
		case seen[name]:
			r.fail(line, "%s is there twice", name)
			return
		}
		seen[name] = true
		values := []json.RawMessage{value}
		if name == to.list {
			if json.Unmarshal(value, &values) != nil || values == nil {
				r.fail(line, "%s: want a list, [\"…\"]", name)
				return
			}
		}
		for _, value := range values {
			text, err := sectorText(value)
			if err == nil {
				err = read(text)
			}
			if err != nil {
				r.fail(line, "%s: %v", name, err)
			}
		}
	})
	switch err {
	case nil:
	case input.ErrNoObject:
		r.fail(line, "it is not an object, {\"proof\": …}")
		return
	default:
		r.fail(line, "%v", err)
		if err != input.ErrBehind {
			return
		}
	}
	there := func(names []string) (n int) {
		for _, name := range names {
			if seen[name] {
				n++
			}
		}
		return n
	}
	for _, names := range to.need {
		if there(names) == 0 {
			r.fail(line, "%s is missing", strings.Join(names, " or "))
		}
	}
	for _, names := range append(to.need, to.either...) {
		if there(names) > 1 {
			r.fail(line, "%s: only one of them", strings.Join(names, " and "))
		}
	}
}

// sectorText is a value's text.
func sectorText(value json.RawMessage) (string, error) {
	text, ok, err := input.Text(value)
	if !ok {
		err = errors.New("want a text, or a number")
	}
	return text, err
}

// set is a field that a parser reads.
func set[T any](to *T, parse func(string) (T, error)) sectorField {
	return func(text string) error {
		value, err := parse(text)
		if err == nil {
			*to = value
		}
		return err
	}
}

// noProof is the proof of a line that has none.
const noProof = porep.SealProof(-1)

func asText(text string) (string, error) { return text, nil }

// sameProof makes sure that all lines have one proof.
func (r *sectorsReader) sameProof(proofs []porep.SealProof) {
	first := slices.IndexFunc(proofs, func(p porep.SealProof) bool { return p.Check() == nil })
	for i, p := range proofs {
		if p.Check() == nil && p != proofs[first] {
			r.fail(i+1, "proof: %v, line %d has %v: one job has one", p, first+1, proofs[first])
		}
	}
}

// ofSector finds which line's file a role is.
var ofSector = regexp.MustCompile(`^(.*) of sector (\d+)$`)

// paths compares all files of all lines, and others, of which each is of no line, or, with
// its Role ending in " of sector 3", of line 4.
func (r *sectorsReader) paths(sectors []seal.Sector, others ...seal.File) {
	lineOf := func(f seal.File) (line int, role string) {
		if m := ofSector.FindStringSubmatch(f.Role); m != nil {
			n, _ := strconv.Atoi(m[2])
			return n + 1, m[1]
		}
		if len(sectors) == 1 && !slices.ContainsFunc(others, func(o seal.File) bool { return o == f }) {
			return 1, f.Role
		}
		return 0, f.Role
	}
	for _, err := range words.Errors(seal.CheckPaths(sectors, others...)) {
		same := (*seal.SamePathError)(nil)
		if !errors.As(err, &same) {
			r.fail(len(sectors), "%v", err)
			continue
		}
		a, b := same.A, same.B
		line, role := lineOf(a)
		other, otherRole := lineOf(b)
		if line < other {
			line, role, other, otherRole, a, b = other, otherRole, line, role, b, a
		}
		where := ""
		if other > 0 && other != line {
			where = fmt.Sprintf(" of line %d", other)
		}
		r.fail(max(line, 1), "%s %q and %s %q%s are one file: give each a file of its own", role, a.Path, otherRole, b.Path, where)
	}
}

// sectorsFlag adds --sectors, and makes the flags that a line has instead needless with it.
func sectorsFlag(cmd *cobra.Command, to *string, instead ...string) {
	cmd.Flags().StringVar(to, "sectors", "", "`FILE` with a sector in each line, as JSON, or - for standard input, instead of the flags for one")
	next := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed("sectors") {
			for _, name := range instead {
				flag := cmd.Flags().Lookup(name)
				if flag.Changed {
					return fmt.Errorf("--%s is a field of each line with --sectors", name)
				}
				flag.Annotations = nil // that it is required
			}
		}
		return next(cmd, args)
	}
}

// A lineWriter prints a line for each sector as it ends; where both are on a terminal, when
// the view is no longer drawn.
type lineWriter struct {
	a      *app
	failed int
	kept   []string
	lost   error // of the first line that could not be printed
}

// write prints a sector's result, or its error, or both where the result could not be written.
func (w *lineWriter) write(index int, name string, result []byte, err error) {
	line := fmt.Sprintf(`{"index":%d`, index)
	if err != nil {
		w.failed++
		text, _ := json.Marshal(err.Error()) // a string: it cannot fail
		line += `,"error":` + view.VisibleJSON(string(text)) + fmt.Sprintf(`,"kind":%q`, seal.KindOf(err))
	}
	if result != nil {
		line += fmt.Sprintf(`,%q:%s`, name, result)
	}
	line += "}\n"
	if out, ok := w.a.out.(*os.File); ok && !w.a.settings.plainTerminal && view.Terminal(w.a.err) != nil && term.IsTerminal(int(out.Fd())) {
		w.kept = append(w.kept, line)
		return
	}
	w.print(line)
}

func (w *lineWriter) print(line string) {
	if err := w.a.print("%s", line); err != nil {
		w.lost = errors.Join(w.lost, err)
		fmt.Fprint(w.a.err, line)
	}
}

// err is what the command ends with.
func (w *lineWriter) err(ctx context.Context, sectors int, err error) error {
	for _, line := range w.kept {
		w.print(line)
	}
	if w.failed > 0 && ctx.Err() == nil { // each has been told
		err = fmt.Errorf("%d of %s failed", w.failed, words.Count(sectors, "sector"))
	}
	if w.lost != nil {
		err = errors.Join(err, fmt.Errorf("%w; the result is on standard error instead", words.Errors(w.lost)[0]))
	}
	return err
}

// sectorsFile is what seal.CheckPaths is to know of the file itself.
func (a *app) sectorsFile(path string) seal.File {
	return a.inputFile(path, "--sectors", "--sectors on standard input")
}
