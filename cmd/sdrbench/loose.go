package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// A looseWriter writes in its own time: a log that nobody reads, or whose reader is gone, holds
// up nothing. What there is no room for is lost, and counted.
type looseWriter struct {
	texts chan []byte
	flush chan chan struct{}
	lost  atomic.Int64
}

func newLooseWriter(to io.Writer) *looseWriter {
	w := &looseWriter{texts: make(chan []byte, 1<<10), flush: make(chan chan struct{})}
	write := func(text []byte) {
		if n := w.lost.Swap(0); n > 0 {
			fmt.Fprintf(to, "sdrbench: %d notes were lost here, since nobody read them\n", n)
		}
		_, _ = to.Write(text) // where it fails nobody wants to know
	}
	go func() { // for as long as the process: notes may always come
		for {
			select {
			case text := <-w.texts:
				write(text)
			case done := <-w.flush:
				for len(w.texts) > 0 {
					write(<-w.texts)
				}
				close(done)
			}
		}
	}()
	return w
}

func (w *looseWriter) Write(b []byte) (int, error) {
	select {
	case w.texts <- append([]byte(nil), b...):
	default:
		w.lost.Add(1)
	}
	return len(b), nil
}

// drain waits until what was written is out, but not for ever.
func (w *looseWriter) drain() {
	late := time.After(time.Second)
	done := make(chan struct{})
	select {
	case w.flush <- done:
	case <-late:
		return
	}
	select {
	case <-done:
	case <-late:
	}
}
