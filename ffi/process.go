package ffi

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/lockstep"
	"github.com/sdr-engine/sdr/sealer"
)

// process is the one value that all calls of a host share, since a host hands none from one
// call to the next.
var process opener

// An opener opens a host's machine when it is first needed, and again if that failed.
type opener struct {
	mu    sync.Mutex
	host  *host
	notes func(string) // to standard error, once there are some
}

// A host is an open machine, and what it says to people.
type host struct {
	joiner *lockstep.Joiner
	note   func(string)
	keep   engine.Keep // of GenerateSDR
}

func (o *opener) open() (*host, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.host != nil {
		return o.host, nil
	}
	s, err := readSettings()
	if err != nil {
		return nil, err
	}
	h := &host{note: func(string) {}, keep: s.keep}
	if s.notes {
		if o.notes == nil {
			o.notes = notesTo(linux.Duplicate(os.Stderr))
		}
		h.note = o.notes
	}
	if s.machine.Profile, err = s.readProfile(h.note); err != nil {
		return nil, err
	}
	s.machine.Notes = func(n sealer.Note) { h.note(strings.TrimPrefix(fmt.Sprintf("%s: %v", n.Job, n), ": ")) }
	m, err := sealer.Open(context.Background(), s.machine)
	if err != nil {
		return nil, openError(err)
	}
	if h.joiner, err = lockstep.New(m, s.join); err != nil {
		return nil, err
	}
	h.note("phase 1 and SDR are made here, not by filcrypto, unless SDR_FFI=off")
	o.host = h
	return h, nil
}

// timed tells, when it is done, how long something took.
func (h *host) timed(name string) (done func()) {
	start := time.Now()
	return func() { h.note(fmt.Sprintf("%s: done in %v", name, time.Since(start).Round(time.Millisecond))) }
}

// notesTo writes notes to a file, a line each. Who does not read them holds nobody up: what
// finds no room is dropped, and so is an error.
func notesTo(f *os.File) (note func(string)) {
	const waiting = 64
	lines := make(chan string, waiting)
	go func() {
		for line := range lines {
			_, _ = f.WriteString(line)
		}
	}()
	return func(text string) {
		visible := strings.Map(func(r rune) rune {
			if unicode.IsPrint(r) {
				return r
			}
			return unicode.ReplacementChar
		}, text)
		select {
		case lines <- "sdr: " + visible + "\n":
		default:
		}
	}
}
