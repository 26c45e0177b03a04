package failure

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// A Fault is a panic of a goroutine that somebody waits for, who panics with it in its place: a
// panic that nobody recovers ends the process, and those who could are above who waits.
type Fault struct {
	Value any
	Stack []byte // of the goroutine
}

func (f *Fault) Error() string {
	return fmt.Sprintf("a fault of the program: %v\n%s", f.Value, f.Stack)
}

// Go does f on a goroutine of wg, and tells failed the panic that it ended with.
func Go(wg *sync.WaitGroup, failed func(error), f func()) {
	wg.Go(func() {
		if fault := Caught(f); fault != nil {
			failed(fault)
		}
	})
}

// Caught does f, and returns the panic that it ended with, or nil.
func Caught(f func()) (fault *Fault) {
	defer func() {
		switch value := recover().(type) {
		case nil:
		case *Fault:
			fault = value
		default:
			fault = &Fault{value, debug.Stack()}
		}
	}()
	f()
	return nil
}
