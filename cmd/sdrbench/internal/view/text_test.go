package view

import (
	"encoding/json"
	"strconv"
	"testing"
	"unicode"
)

// nasty has what a terminal obeys: escape sequences, one of C1, what turns the direction of
// text, what is no UTF-8.
const nasty = "x\x1b[31m\x1b]0;title\a\x7f\u009b2J\u202e\u2066\r\b\xff"

func TestVisible(t *testing.T) {
	const same = "a path/with spaces, ×, –, ü, 漢 and a line\n\tor two"
	if got := Visible(same); got != same {
		t.Errorf("%q became %q", same, got)
	}
	const want = `x\x1b[31m\x1b]0;title\a\x7f\u009b2J\u202e\u2066\r\b\xff`
	if got := Visible(nasty); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	text, err := json.Marshal(nasty + "\U000e0001")
	if err != nil {
		t.Fatal(err)
	}
	shown := VisibleJSON(string(text))
	var value, again string
	if err := json.Unmarshal([]byte(shown), &again); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &value); err != nil || value != again {
		t.Errorf("%s stands for %q, want %q (%v)", shown, again, value, err)
	}
	wantHarmless(t, "JSON", shown)
}

// wantHarmless checks that a terminal has nothing to obey in a text.
func wantHarmless(t *testing.T, what, text string) {
	t.Helper()
	for i, r := range text {
		if r != '\n' && r != '\t' && !strconv.IsPrint(r) || r == unicode.ReplacementChar {
			t.Errorf("%s: %q at %d in %q", what, r, i, text)
			return
		}
	}
}
