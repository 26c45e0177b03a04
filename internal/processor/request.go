package processor

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A request is a line whose id is known.
type request struct {
	id   uint64
	task []byte // JSON
	err  error  // why it cannot be done
}

// A line reads one line, without the newline. It can be as long as it likes: only its id and
// its task are kept.
type line struct {
	in    *bufio.Reader
	blank bool  // nothing but spaces was read
	done  bool  // the line's end was reached
	err   error // in's, with which the line ended
}

func (l *line) Read(b []byte) (n int, _ error) {
	if l.done {
		return 0, io.EOF
	}
	if _, err := l.in.Peek(1); err != nil {
		l.done, l.err = true, err
		return 0, io.EOF
	}
	there, _ := l.in.Peek(min(len(b), l.in.Buffered()))
	if end := bytes.IndexByte(there, '\n'); end >= 0 {
		there, l.done = there[:end], true
	}
	n = copy(b, there)
	_, _ = l.in.Discard(n)
	if l.done {
		_, _ = l.in.Discard(1)
	}
	l.blank = l.blank && len(bytes.TrimSpace(b[:n])) == 0
	return n, nil
}

// skip reads the rest of the line.
func (l *line) skip() { _, _ = io.Copy(io.Discard, l) }

// request takes a request out of the line. Known reports whether its id is: then the rest of what
// is wrong, r.err, has a reply.
func (l *line) request() (r *request, known bool) {
	r = &request{}
	err := eachField(l, map[string]func(json.RawMessage) error{
		"id": func(text json.RawMessage) error {
			err := number(&r.id)(text)
			if known = err == nil; !known {
				return fmt.Errorf("id: %w", err)
			}
			return nil
		},
		"task": func(text json.RawMessage) error { r.task = text; return nil },
	})
	switch {
	case err != nil:
		r.err = fmt.Errorf("processor: reading the request: %w", err)
	case r.task == nil:
		r.err = errors.New("processor: reading the request: task: it is missing")
	}
	if !known && err == nil {
		r.err = errors.New("processor: reading the request: id: it is missing")
	}
	return r, known
}

// maxShown is how much of a wrong value an error has, in bytes.
const maxShown = 80

// eachField reads one JSON object, and nothing else, and has fields take values of theirs. The
// other fields are passed over. A field's own error ends it, and so does a second value. Names are
// exact, unlike those of encoding/json's structs.
func eachField(r io.Reader, fields map[string]func(json.RawMessage) error) error {
	d := json.NewDecoder(r)
	if t, err := d.Token(); err != nil {
		return notJSON(err)
	} else if t != json.Delim('{') {
		return errors.New("it is no JSON object")
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return notJSON(err)
		}
		name, ok := t.(string)
		if !ok {
			return fmt.Errorf("not JSON: %v is no field's name", t)
		}
		take := fields[name]
		if take == nil {
			if err := d.Decode(new(skipped)); err != nil {
				return notJSON(err)
			}
			continue
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return notJSON(err)
		}
		if seen[name] {
			return fmt.Errorf("%s: it is there twice", name)
		}
		seen[name] = true
		if err := checkText(value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := take(value); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return notJSON(err)
	}
	if _, err := d.Token(); err == nil {
		return errors.New("not JSON: something follows the object")
	} else if err != io.EOF {
		return notJSON(err)
	}
	return nil
}

// skipped is a value that nobody wants.
type skipped struct{}

func (*skipped) UnmarshalJSON([]byte) error { return nil }

func notJSON(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("not JSON: it ends too early")
	}
	return fmt.Errorf("not JSON: %w", err)
}

// checkText refuses what encoding/json would replace without a word: bytes that are no
// UTF-8, in a path for example.
func checkText(value []byte) error {
	if utf8.Valid(value) {
		return nil
	}
	for i := 0; i < len(value); {
		r, n := utf8.DecodeRune(value[i:])
		if r == utf8.RuneError && n == 1 {
			return fmt.Errorf("byte %d of it, %#x, is no UTF-8", i, value[i])
		}
		i += n
	}
	return nil
}

// A field is how a value of a task is read.
type field func(value json.RawMessage) error

// decode reads an object that must have all of these fields.
func decode(object []byte, fields map[string]field) error {
	missing := slices.Sorted(maps.Keys(fields))
	takes := map[string]func(json.RawMessage) error{}
	for name, f := range fields {
		takes[name] = func(value json.RawMessage) error {
			missing = slices.DeleteFunc(missing, func(other string) bool { return other == name })
			if err := f(value); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		}
	}
	if err := eachField(bytes.NewReader(object), takes); err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s: missing", strings.Join(missing, ", "))
	}
	return nil
}

// text is a string's value.
func text(to *string) field {
	return func(value json.RawMessage) error {
		if len(value) == 0 || value[0] != '"' {
			return fmt.Errorf("%s is no string", clip(string(value), maxShown))
		}
		if err := json.Unmarshal(value, to); err != nil {
			return err
		}
		// Half of a surrogate pair becomes this character, and another text than was meant.
		lower := bytes.ToLower(value)
		if strings.ContainsRune(*to, utf8.RuneError) && !bytes.Contains(value, []byte("\uFFFD")) && !bytes.Contains(lower, []byte(`\ufffd`)) {
			return fmt.Errorf("%s has half of a surrogate pair", clip(string(value), maxShown))
		}
		return nil
	}
}

// path is a path's value.
func path(to *string) field {
	return func(value json.RawMessage) error {
		if err := text(to)(value); err != nil {
			return err
		}
		if *to == "" {
			return errors.New(`"" is no path`)
		}
		return nil
	}
}

// number is the value of a Rust u64.
func number[T ~uint64](to *T) field {
	return func(value json.RawMessage) error {
		n, err := strconv.ParseUint(string(value), 10, 64)
		if err != nil {
			return fmt.Errorf("%s is not a number from 0 to %d", clip(string(value), maxShown), uint64(math.MaxUint64))
		}
		*to = T(n)
		return nil
	}
}

// bytes32 is a list of exactly 32 numbers from 0 to 255. Encoding/json takes fewer or more for an
// array without a word.
func bytes32[T ~[32]byte](to *T) field {
	const want = 32
	return func(value json.RawMessage) error {
		list, isList := bytes.CutPrefix(value, []byte("["))
		list, closed := bytes.CutSuffix(list, []byte("]"))
		if !isList || !closed {
			return fmt.Errorf("%s is no list of %d numbers", clip(string(value), maxShown), want)
		}
		count, out := 0, [32]byte{}
		for len(bytes.TrimSpace(list)) > 0 {
			var item []byte
			item, list, _ = bytes.Cut(list, []byte(","))
			item = bytes.TrimSpace(item)
			if count < want {
				n, err := strconv.ParseUint(string(item), 10, 8)
				if err != nil {
					return fmt.Errorf("number %d of it, %s, is not one from 0 to 255", count, clip(string(item), maxShown))
				}
				out[count] = byte(n)
			}
			count++
		}
		if count != want {
			return fmt.Errorf("it has %d numbers, want %d", count, want)
		}
		*to = out
		return nil
	}
}

// list reads values one by one, and ends with the first that is wrong.
func list[T any](to *[]T, item func(*T) field) field {
	return func(value json.RawMessage) error {
		if len(value) == 0 || value[0] != '[' {
			return fmt.Errorf("%s is no list", clip(string(value), maxShown))
		}
		d := json.NewDecoder(bytes.NewReader(value))
		if _, err := d.Token(); err != nil {
			return notJSON(err)
		}
		for i := 0; d.More(); i++ {
			var one json.RawMessage
			if err := d.Decode(&one); err != nil {
				return notJSON(err)
			}
			var v T
			if err := item(&v)(one); err != nil {
				return fmt.Errorf("item %d: %w", i, err)
			}
			*to = append(*to, v)
		}
		return nil
	}
}
