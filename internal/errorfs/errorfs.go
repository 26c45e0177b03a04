// Package errorfs makes the file operations of a job go wrong, one at a time, for tests of
// what the job makes of it. It is in the style of cockroachdb/pebble's vfs/errorfs.
package errorfs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/sdr-engine/sdr/internal/durable"
)

// A Fault is how an operation goes wrong.
type Fault int

// The faults.
const (
	None   Fault = iota
	Fail         // it is an error, and nothing was done
	Short        // half of the data is written or read, then it is an error
	Lie          // half of the data is written, and it is reported as done; other operations are not done at all
	Change       // a bit of the data is another; a file is replaced before it gets its name, or written to after it has
)

// Faults are all of them, for a loop.
var Faults = []Fault{Fail, Short, Lie, Change}

func (f Fault) String() string { return [...]string{"none", "fail", "short", "lie", "change"}[f] }

// ErrInjected is in every error that comes from here. To a program it is a disk's.
var ErrInjected = fmt.Errorf("injected: %w", syscall.EIO)

// An Injector does something wrong in operation number At of a job, from 0. Without a
// fault it only counts.
type Injector struct {
	At    int
	Fault Fault
	Again bool // each later operation of that kind on that file goes wrong in the same way

	mu     sync.Mutex
	n      int
	struck *durable.Op // the operation, when it was the turn of At
	broken bool        // After has the rest to do
}

// With is a context in which the injector has its say.
func (i *Injector) With(ctx context.Context) context.Context { return durable.WithInjector(ctx, i) }

// Operations is how many there were.
func (i *Injector) Operations() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.n
}

// Struck says which operation went wrong; "" is none.
func (i *Injector) Struck() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.struck == nil {
		return ""
	}
	return fmt.Sprintf("%s %s at %d: %v", i.struck.Kind, filepath.Base(i.struck.Path), i.struck.Off, i.Fault)
}

// Tampered reports whether the fault was to change or leave a file under its final name,
// behind the job's back: then what is there is not the job's doing.
func (i *Injector) Tampered() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.struck == nil {
		return false
	}
	switch i.struck.Kind {
	case durable.OpPublish, durable.OpRemove:
		return i.Fault == Change || i.Fault == Lie
	}
	return false
}

// Before implements durable.Injector.
func (i *Injector) Before(op *durable.Op) error {
	if !i.turn(op) {
		return nil
	}
	switch i.Fault {
	case Fail:
		return ErrInjected
	case Short, Lie:
		switch op.Kind {
		case durable.OpWrite:
			op.Buf = op.Buf[:len(op.Buf)/2]
		case durable.OpRead:
		default:
			if i.Fault == Lie {
				return durable.ErrSkip
			}
			return ErrInjected
		}
	case Change:
		switch op.Kind {
		case durable.OpWrite:
			op.Buf = append([]byte(nil), op.Buf...)
			if len(op.Buf) > 0 {
				op.Buf[len(op.Buf)/3] ^= 4
			}
		case durable.OpPublish:
			return replace(op.Path)
		}
	}
	return nil
}

// turn counts an operation, and reports whether it is to go wrong.
func (i *Injector) turn(op *durable.Op) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.n++
	now := i.n-1 == i.At && i.Fault != None
	if now {
		kept := *op
		i.struck = &kept
	}
	again := i.Again && i.struck != nil && i.struck.Kind == op.Kind && i.struck.Path == op.Path
	i.broken = now || again
	return i.broken
}

// After implements durable.Injector. The operation is the one that Before saw last only if
// operations do not overlap; which of two goes wrong then is not certain, nor needs to be.
func (i *Injector) After(op *durable.Op) error {
	i.mu.Lock()
	broken := i.broken && i.struck != nil && i.struck.Kind == op.Kind && i.struck.Path == op.Path
	i.broken = i.broken && !broken
	i.mu.Unlock()
	if !broken {
		return nil
	}
	switch {
	case i.Fault == Short && (op.Kind == durable.OpWrite || op.Kind == durable.OpRead):
		clear(op.Buf[len(op.Buf)/2:])
		return ErrInjected
	case i.Fault == Change && op.Kind == durable.OpRead && len(op.Buf) > 0:
		op.Buf[len(op.Buf)/3] ^= 4
	case i.Fault == Change && op.Kind == durable.OpCopy:
		return flip(op.Path)
	case i.Fault == Change && op.Kind == durable.OpPublish:
		return flip(op.Path)
	}
	return nil
}

// replace puts another file in the place of the temporary one that is about to get a name.
func replace(path string) error {
	temp := filepath.Join(filepath.Dir(path), durable.TempName(filepath.Base(path)))
	info, err := os.Stat(temp)
	if err != nil {
		return err
	}
	other := temp + ".other"
	if err := os.WriteFile(other, make([]byte, info.Size()), 0o666); err != nil { // #nosec G306 -- a test
		return err
	}
	return os.Rename(other, temp)
}

// flip changes a bit in the middle of a file.
func flip(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	var b [1]byte
	if _, err := f.ReadAt(b[:], info.Size()/2); err != nil {
		return err
	}
	b[0] ^= 8
	_, err = f.WriteAt(b[:], info.Size()/2)
	return err
}
