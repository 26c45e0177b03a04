package processor

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/seal"
)

// A request is a line whose id is known.
type request struct {
	id   uint64
	task []byte // JSON
	err  error  // why it cannot be done
}

// readLine reads a line, as long as it likes, without its newline. The error is that with which the
// line ended instead.
func readLine(in *bufio.Reader) (line []byte, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if need := len(line) + len(part); need > cap(line) {
			// Append would take a long one in many steps.
			line = append(make([]byte, 0, max(need, 2*cap(line))), line...)
		}
		line = append(line, part...)
		if err != bufio.ErrBufferFull {
			return bytes.TrimSuffix(line, []byte("\n")), err
		}
	}
}

// parseRequest takes a request out of a line. Known reports whether its id is: then the rest of what
// is wrong, r.err, has a reply. Of a line that is no JSON, the id is taken from what comes before that
// shows.
func parseRequest(line []byte) (r *request, known bool) {
	r = &request{}
	err := eachField(line, map[string]field{
		"id": func(value []byte) error {
			err := number(&r.id)(value)
			known = err == nil
			return err
		},
		"task": func(value []byte) error { r.task = value; return nil },
	})
	if !json.Valid(line) {
		err = notJSON(json.Unmarshal(line, new(json.RawMessage)))
	}
	if err == nil && !known {
		err = errors.New("id: it is missing")
	}
	if err == nil && r.task == nil {
		err = errors.New("task: it is missing")
	}
	if err != nil {
		r.err = failure.Mark(seal.ErrBadInput, fmt.Errorf("processor: reading the request: %w", err))
	}
	return r, known
}

// maxShown is how much of a wrong value an error has, in bytes.
const maxShown = 80

// shown is the beginning of a wrong value.
func shown(value []byte) string { return clip(string(value[:min(len(value), maxShown+1)]), maxShown) }

// A field is how a value is read, which is valid JSON.
type field func(value []byte) error

// eachField has fields take values of theirs out of an object. The other fields are passed over.
// Names are exact, unlike those of encoding/json's structs.
func eachField(text []byte, fields map[string]field) error {
	seen := map[string]bool{}
	return walk(text, '{', func(name, value []byte) error {
		take := fields[string(name)]
		if take == nil && bytes.IndexByte(name, '\\') >= 0 {
			var plain string
			if json.Unmarshal(slices.Concat([]byte{'"'}, name, []byte{'"'}), &plain) == nil {
				name, take = []byte(plain), fields[plain]
			}
		}
		if take == nil {
			return nil
		}
		key := string(name)
		if seen[key] {
			return fmt.Errorf("%s: it is there twice", key)
		}
		seen[key] = true
		if err := checkText(value); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if err := take(value); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	})
}

// walk goes through the values of an object or a list, as open says, without a copy of any. It is
// for valid JSON; of other text it goes through what comes before the fault, some of it at least.
// Names are as they are written, without quotes.
func walk(text []byte, open byte, each func(name, value []byte) error) error {
	p := walker{text: text}
	if !p.is(open) {
		if open == '{' {
			return fmt.Errorf("%s is no object", shown(text))
		}
		return fmt.Errorf("%s is no list", shown(text))
	}
	if p.is('}') || p.is(']') {
		return nil
	}
	for {
		var name []byte
		if open == '{' {
			name = p.value()
			if len(name) < 2 || name[0] != '"' || !p.is(':') {
				return errNotJSON
			}
			name = name[1 : len(name)-1]
		}
		value := p.value()
		if len(value) == 0 {
			return errNotJSON
		}
		if err := each(name, value); err != nil {
			return err
		}
		if !p.is(',') {
			if p.is('}') || p.is(']') {
				return nil
			}
			return errNotJSON
		}
	}
}

var errNotJSON = errors.New("not JSON")

type walker struct {
	text []byte
	at   int
}

func (p *walker) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// is reports whether a character comes next, and passes it.
func (p *walker) is(c byte) bool {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

// value passes one; it is empty if there is none, or no end of it.
func (p *walker) value() []byte {
	p.space()
	begin, depth := p.at, 0
	for p.at < len(p.text) {
		switch c := p.text[p.at]; c {
		case '"':
			for p.at++; p.at < len(p.text) && p.text[p.at] != '"'; p.at++ {
				if p.text[p.at] == '\\' {
					p.at++
				}
			}
			if p.at >= len(p.text) {
				return nil
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return p.text[begin:p.at]
			}
		case ',', ':', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return p.text[begin:p.at]
			}
		}
		p.at++
		if depth == 0 && strings.IndexByte("\"}]", p.text[p.at-1]) >= 0 {
			return p.text[begin:p.at]
		}
	}
	return nil // a number may have lost its last digits
}

func notJSON(err error) error {
	if err == nil {
		return errNotJSON
	}
	return fmt.Errorf("%w: %w", errNotJSON, err)
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

// decode reads an object that must have all of these fields.
func decode(object []byte, fields map[string]field) error {
	missing := slices.Sorted(maps.Keys(fields))
	takes := map[string]field{}
	for name, take := range fields {
		takes[name] = func(value []byte) error {
			missing = slices.DeleteFunc(missing, func(other string) bool { return other == name })
			return take(value)
		}
	}
	if err := eachField(object, takes); err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s: missing", strings.Join(missing, ", "))
	}
	return nil
}

// text is a string's value.
func text(to *string) field {
	return func(value []byte) error {
		if len(value) == 0 || value[0] != '"' {
			return fmt.Errorf("%s is no string", shown(value))
		}
		if err := json.Unmarshal(value, to); err != nil {
			return err
		}
		// Half of a surrogate pair becomes this character, and another text than was meant.
		if strings.ContainsRune(*to, utf8.RuneError) && !bytes.Contains(value, []byte("\uFFFD")) && !bytes.Contains(bytes.ToLower(value), []byte(`\ufffd`)) {
			return fmt.Errorf("%s has half of a surrogate pair", shown(value))
		}
		return nil
	}
}

// maxPath is how long a path can be on Linux, in bytes.
const maxPath = 4095

// path is a path's value.
func path(to *string) field {
	return func(value []byte) error {
		if err := text(to)(value); err != nil {
			return err
		}
		if *to == "" {
			return errors.New(`"" is no path`)
		}
		if len(*to) > maxPath {
			return fmt.Errorf("%s has %d bytes, and a path at most %d", shown(value), len(*to), maxPath)
		}
		return nil
	}
}

// number is the value of a Rust u64.
func number[T ~uint64](to *T) field {
	return func(value []byte) error {
		n, err := strconv.ParseUint(string(value), 10, 64)
		if err != nil {
			return fmt.Errorf("%s is not a number from 0 to %d", shown(value), uint64(math.MaxUint64))
		}
		*to = T(n)
		return nil
	}
}

// bytes32 is a list of exactly 32 numbers from 0 to 255. Encoding/json takes fewer or more for an
// array without a word.
func bytes32[T ~[32]byte](to *T) field {
	const want = 32
	return func(value []byte) error {
		list, isList := bytes.CutPrefix(value, []byte("["))
		list, closed := bytes.CutSuffix(list, []byte("]"))
		if !isList || !closed {
			return fmt.Errorf("%s is no list of %d numbers", shown(value), want)
		}
		count, out := 0, [32]byte{}
		for list = bytes.TrimSpace(list); len(list) > 0; {
			var item []byte
			item, list, _ = bytes.Cut(list, []byte(","))
			item = bytes.TrimSpace(item)
			if count < want {
				n, err := strconv.ParseUint(string(item), 10, 8)
				if err != nil {
					return fmt.Errorf("number %d of it, %s, is not one from 0 to 255", count, shown(item))
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
	return func(value []byte) error {
		return walk(value, '[', func(_, one []byte) error {
			var v T
			if err := item(&v)(one); err != nil {
				return fmt.Errorf("item %d: %w", len(*to), err)
			}
			*to = append(*to, v)
			return nil
		})
	}
}
