package cabi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/input"
)

// MaxRequest is the most bytes that a request may have. A sector has some hundred, and 75 for
// each piece.
const MaxRequest = 1 << 24

// A RequestError says all that is wrong with a request, each problem with the field's name.
type RequestError struct{ Problems []string }

// Is reports whether target is the kind ErrBadInput.
func (e *RequestError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *RequestError) Error() string {
	return "sdr: reading the request: " + strings.Join(e.Problems, "; ")
}

// A reader collects what is wrong with a request.
type reader struct{ problems []string }

// at is a field's problem; the request's own is at "".
func (r *reader) at(field, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if field != "" {
		text = field + ": " + text
	}
	r.problems = append(r.problems, text)
}

func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	const most = 100 // that people read
	shown := slices.Clone(r.problems[:min(len(r.problems), most)])
	if more := len(r.problems) - most; more > 0 {
		shown = append(shown, fmt.Sprintf("and %d more", more))
	}
	return &RequestError{shown}
}

// A field reads a value, and says what is wrong with it at its name.
type field func(r *reader, at string, raw json.RawMessage)

// request reads a whole request.
func (r *reader) request(text []byte, fields map[string]field, need ...string) {
	switch {
	case len(text) > MaxRequest:
		r.at("", "%d bytes, want at most %d", len(text), MaxRequest)
	case !utf8.Valid(text):
		r.at("", "it is not UTF-8")
	case len(bytes.TrimSpace(text)) == 0:
		r.at("", "it is empty, want a JSON object")
	default:
		r.object("", text, fields, need...)
	}
}

// object reads an object. A field that is unknown, or there twice, is not taken.
func (r *reader) object(at string, text []byte, fields map[string]field, need ...string) {
	seen := map[string]bool{}
	err := input.Object(text, func(name string, raw json.RawMessage) {
		switch read := fields[name]; {
		case read == nil:
			r.at(at, "unknown field %q, want some of %s", name, strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		case seen[name]:
			r.at(in(at, name), "it is there twice")
		default:
			seen[name] = true
			read(r, in(at, name), raw)
		}
	})
	if err != nil {
		r.at(at, "%v", err)
	}
	if err != nil && err != input.ErrBehind {
		return
	}
	for _, name := range need {
		n := 0
		either := strings.Split(name, "|")
		for _, one := range either {
			if seen[one] {
				n++
			}
		}
		switch one := strings.Join(either, " or "); {
		case n == 0 && !strings.HasSuffix(name, "|"):
			r.at(at, "%s is missing", one)
		case n > 1:
			r.at(at, "%s: only one of them", one)
		}
	}
}

func in(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

// text is a string, or a number's digits, that a parser reads.
func text[T any](to *T, parse func(string) (T, error)) field {
	return func(r *reader, at string, raw json.RawMessage) {
		value, err := textOf(raw)
		if err == nil {
			*to, err = parse(value)
		}
		if err != nil {
			r.at(at, "%v", err)
		}
	}
}

func textOf(raw json.RawMessage) (string, error) {
	text, ok, err := input.Text(raw)
	if !ok {
		err = errors.New("want a string, or a number")
	}
	return text, err
}

// list is a list of values, each of which add makes a field for.
func list(add func() field) field {
	return func(r *reader, at string, raw json.RawMessage) {
		var values []json.RawMessage
		if err := json.Unmarshal(raw, &values); err != nil || values == nil {
			r.at(at, "want a list, […]")
			return
		}
		for i, value := range values {
			add()(r, fmt.Sprintf("%s[%d]", at, i), value)
		}
	}
}

// texts is a list of what a parser reads. An empty list is not nil.
func texts[T any](to *[]T, parse func(string) (T, error)) field {
	return func(r *reader, at string, raw json.RawMessage) {
		*to = []T{}
		list(func() field {
			return func(r *reader, at string, raw json.RawMessage) {
				var one T
				text(&one, parse)(r, at, raw)
				*to = append(*to, one)
			}
		})(r, at, raw)
	}
}

// flag is true or false.
func flag(to *bool) field {
	return func(r *reader, at string, raw json.RawMessage) {
		switch string(raw) {
		case "true":
			*to = true
		case "false":
			*to = false
		default:
			r.at(at, "want true or false")
		}
	}
}

func asText(text string) (string, error) { return text, nil }

const maxWait = 1000 * time.Hour

// parseWait reads a time that something waits, 5s or 2m.
func parseWait(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > maxWait {
		return 0, fmt.Errorf("%q is not a time above zero, up to %.0fh, like 5s or 2m", text, maxWait.Hours())
	}
	return d, nil
}
