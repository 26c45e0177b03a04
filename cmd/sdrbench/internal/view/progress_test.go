package view

import (
	"strings"
	"testing"
	"time"
)

func TestProgressLines(t *testing.T) {
	l := liner{gauge: &gauge{}}
	var out strings.Builder
	for at := tick; at <= 15*time.Second; at += tick {
		s := Sample{Stage: "tree-d", Done: uint64(at.Seconds() * 1e9), Total: 8e9, Unit: "bytes"}
		if labelling := at - 7*time.Second; labelling >= 0 {
			s = Sample{Stage: "labels", Detail: "layer 1/2", Done: uint64(labelling.Seconds() * 2e6), Total: 32e6, Unit: "labels"}
		}
		out.WriteString(l.tick(at, s))
	}
	want := `tree-d:  62.5 %  1.00 GB/s  eta 3s
labels: layer 1/2   18.8 %  2.00 M labels/s  eta 13s
labels: layer 1/2   50.0 %  2.00 M labels/s  eta 8s
`
	if got := out.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
