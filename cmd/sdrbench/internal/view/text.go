package view

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Whatever comes from outside (paths, a dump's text, a lock's record, the environment)
// may hold bytes that a terminal obeys. So nothing reaches one but through Visible or
// VisibleJSON: standard error by a TextWriter, which the command puts in front of it, standard
// output by its own printing. Exempt are the live view, whose parts are
// made visible one by one, as topo's with its colors, and what another program is to read byte
// by byte, the phase 1 JSON.

// Visible writes what is no character to look at as Go does, \x1b: controls, what turns
// the direction of text, bytes that are no UTF-8. Newlines and tabs stay.
func Visible(text string) string {
	return escaped(text, func(b *strings.Builder, r rune, bytes string) {
		if r == utf8.RuneError {
			fmt.Fprintf(b, `\x%02x`, bytes[0])
			return
		}
		quoted := strconv.QuoteRune(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	})
}

// VisibleJSON is Visible for encoding/json's text, which has no other controls than
// those from U+007F on. It stands for the same value afterwards.
func VisibleJSON(text string) string {
	return escaped(text, func(b *strings.Builder, r rune, _ string) {
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(b, `\u%04x`, unit)
		}
	})
}

// escaped has escape write what a terminal might obey: a rune and its bytes.
func escaped(text string, escape func(b *strings.Builder, r rune, bytes string)) string {
	var b strings.Builder
	for i, size := 0, 0; i < len(text); i += size {
		var r rune
		r, size = utf8.DecodeRuneInString(text[i:])
		bytes := text[i : i+size]
		if bad := r == utf8.RuneError && size == 1; bad || r != '\n' && r != '\t' && !strconv.IsPrint(r) {
			escape(&b, r, bytes)
		} else {
			b.WriteString(bytes)
		}
	}
	return b.String()
}

// A TextWriter makes visible what is written, a whole text at a time.
type TextWriter struct{ To io.Writer }

func (w TextWriter) Write(b []byte) (int, error) {
	if _, err := io.WriteString(w.To, Visible(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}
