package words

import (
	"errors"
	"slices"
	"testing"
)

func TestCount(t *testing.T) {
	for n, want := range []string{"0 cores", "1 core", "2 cores"} {
		if got := Count(n, "core"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestErrors(t *testing.T) {
	a, b := errors.New("a"), errors.New("b")
	for _, tt := range []struct {
		err  error
		want []error
	}{{nil, nil}, {a, []error{a}}, {errors.Join(a, b), []error{a, b}}} {
		if got := Errors(tt.err); !slices.Equal(got, tt.want) {
			t.Errorf("%v, want %v", got, tt.want)
		}
	}
}
