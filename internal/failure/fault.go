package failure

import (
	"fmt"
	"runtime/debug"
)

// A Fault is a panic of a goroutine that somebody waits for, who panics with it in its place: a
// panic that nobody recovers ends the process, and those who could are above who waits.
type Fault struct {
	Value any
	Stack []byte // of the goroutine
}

func (f *Fault) Error() string { return fmt.Sprintf("%v\n%s", f.Value, f.Stack) }

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
