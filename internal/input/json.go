package input

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What is wrong with the JSON of an object as a whole.
var (
	ErrNoObject = errors.New("want an object, {…}")
	ErrEnds     = errors.New("it ends in the middle of an object")
	// ErrBehind comes when all fields were told.
	ErrBehind = errors.New("there is something behind the object")
)

// Object tells each field of the one object that a text is, as it stands there. Package json
// takes a field in another case for ours, and of two of one name the last: here the name is
// exact, and each of two is told. The error is one of the above, or package json's.
func Object(text []byte, field func(name string, value json.RawMessage)) error {
	d := json.NewDecoder(bytes.NewReader(text))
	broken := func(err error) error {
		if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
			return ErrEnds
		}
		return err
	}
	if t, err := d.Token(); err != nil {
		return broken(err)
	} else if t != json.Delim('{') {
		return ErrNoObject
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return broken(err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return broken(err)
		}
		field(t.(string), value) // a key is nothing else
	}
	if _, err := d.Token(); err != nil { // the end of the object
		return broken(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return ErrBehind
	}
	return nil
}

// Text is a string, or a number's digits; ok is false if the value is neither.
func Text(value json.RawMessage) (text string, ok bool, err error) {
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return "", true, err
	}
	switch v := v.(type) {
	case string:
		switch {
		case v == "":
			return "", true, errors.New(`"" is no text`)
		case strings.ContainsRune(v, utf8.RuneError), strings.ContainsRune(v, 0):
			return "", true, fmt.Errorf("%q holds what is no character", v)
		}
		return v, true, nil
	case json.Number:
		return v.String(), true, nil
	}
	return "", false, nil
}

// NumberFrom is a parser of numbers from low to high.
func NumberFrom(low, high int) func(string) (int, error) {
	return func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < low || n > high {
			return 0, fmt.Errorf("%q is not a number from %d to %d", text, low, high)
		}
		return n, nil
	}
}
