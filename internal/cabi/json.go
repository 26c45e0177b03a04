package cabi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxRequest is the most bytes that a request may have. A sector has some hundred, and 75 for
// each piece.
const MaxRequest = 1 << 24

// A RequestError says all that is wrong with a request, each problem with the field's name.
type RequestError struct{ Problems []string }

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

// object reads an object. Package json takes a field in another case for ours, and of two of
// one name the last: here neither is taken.
func (r *reader) object(at string, text []byte, fields map[string]field, need ...string) {
	d := json.NewDecoder(bytes.NewReader(text))
	broken := func(err error) {
		if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("it ends in the middle of an object")
		}
		r.at(at, "%v", err)
	}
	if t, err := d.Token(); err != nil {
		broken(err)
		return
	} else if t != json.Delim('{') {
		r.at(at, "want an object, {…}")
		return
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			broken(err)
			return
		}
		name := t.(string) // a key is nothing else
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			broken(err)
			return
		}
		switch read := fields[name]; {
		case read == nil:
			r.at(at, "unknown field %q, want some of %s", name, strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
		case seen[name]:
			r.at(in(at, name), "it is there twice")
		default:
			seen[name] = true
			read(r, in(at, name), raw)
		}
	}
	if _, err := d.Token(); err != nil { // the end of the object
		broken(err)
		return
	}
	if _, err := d.Token(); err != io.EOF {
		r.at(at, "there is something behind the object")
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
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return "", err
	}
	switch v := value.(type) {
	case string:
		switch {
		case v == "":
			return "", errors.New(`"" is no text`)
		case strings.ContainsRune(v, utf8.RuneError), strings.ContainsRune(v, 0):
			return "", fmt.Errorf("%q holds what is no character", v)
		}
		return v, nil
	case json.Number:
		return v.String(), nil
	}
	return "", errors.New("want a string, or a number")
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

// numberFrom is a parser of numbers from low to high.
func numberFrom(low, high int) func(string) (int, error) {
	return func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < low || n > high {
			return 0, fmt.Errorf("%q is not a number from %d to %d", text, low, high)
		}
		return n, nil
	}
}

const maxWait = 1000 * time.Hour

// parseWait reads a time that something waits, 5s or 2m.
func parseWait(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > maxWait {
		return 0, fmt.Errorf("%q is not a time above zero, up to %.0fh, like 5s or 2m", text, maxWait.Hours())
	}
	return d, nil
}
