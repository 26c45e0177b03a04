package reserve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sdr-engine/sdr/internal/linux"
)

// A Turn is a number in the queue of those that wait for cores or memory. Each has a
// file in the lock directory, turn-7.lock, whose flock it holds as long as it waits, so that a
// process that ends leaves the queue. Turns are numbered under the guard: who asked first
// for one is first. A turn takes nothing: whose turn it is calls Acquire until that succeeds.
type Turn struct {
	dir    *Dir
	number uint64
	file   *os.File // locked
	holder Holder
	room   int // of its record, in bytes
}

func turnFile(number uint64) string { return fmt.Sprintf("turn-%d.lock", number) }

func parseTurnFile(name string) (number uint64, ok bool) {
	digits := strings.TrimSuffix(strings.TrimPrefix(name, "turn-"), ".lock")
	number, err := strconv.ParseUint(digits, 10, 63)
	return number, err == nil && name == turnFile(number)
}

// Queue takes the next number in the queue for a job, which is named to people. The id, which may
// be any text, is that of the Holder that others see. Queue waits for nobody but for the guard.
// The error is a *DirError or a *GuardError.
func (d *Dir) Queue(ctx context.Context, job, id string) (*Turn, error) {
	f, err := d.Patience.enter(ctx, d.path, true)
	if err != nil {
		return nil, err
	}
	defer f.leave()
	turns, err := f.turns()
	if err != nil {
		return nil, err
	}
	t := &Turn{dir: d, number: 1}
	for _, number := range turns {
		t.number = max(t.number, number+1)
		if _, file, err := f.waiter(number); err == nil && file == nil {
			_ = f.root.Remove(turnFile(number)) // another user's stays, and harms nobody
		} else {
			_ = closeIf(file)
		}
	}
	if t.file, err = f.openLock(turnFile(t.number), true); err != nil {
		return nil, err
	}
	start, _ := startOf("self")
	err = linux.TryLock(t.file)
	if err == nil {
		t.holder = Holder{Program: d.Program, Job: job, PID: os.Getpid(), Start: start, ID: id, Since: time.Now().UTC().Truncate(time.Second)}
		t.room = roomFor(&t.holder)
		err = writeHolder(t.file, &t.holder, t.room, false)
	}
	if err != nil {
		t.Leave()
		return nil, f.failed("taking a turn", err)
	}
	return t, nil
}

// Waiting are all that wait, the first one first. Their Holders have neither cores nor memory.
func (d *Dir) Waiting(ctx context.Context) ([]Holder, error) {
	waiting, last, err := d.waiting(ctx, 1<<63)
	return waiting, errors.Join(err, closeIf(last))
}

// Wait returns when it is the turn's turn, or ctx is done. Tell, if not nil, is called with those
// that are waited for, whenever these are others.
func (t *Turn) Wait(ctx context.Context, tell func(ahead []Holder)) error {
	for told := 0; ; {
		ahead, last, err := t.dir.waiting(ctx, t.number)
		if err != nil || len(ahead) == 0 {
			return err
		}
		if tell != nil && len(ahead) != told {
			tell(ahead)
			told = len(ahead)
		}
		// A call that waits for a lock cannot be called back: it is left to itself.
		left := make(chan struct{})
		go func() {
			if linux.LockShared(last) == nil {
				_ = linux.Unlock(last)
			}
			last.Close()
			close(left)
		}()
		select {
		case <-left:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Leave gives the turn up, or back when its job has what it waited for.
func (t *Turn) Leave() {
	path := filepath.Join(t.dir.path, turnFile(t.number))
	mine, err := t.file.Stat()
	if there, lerr := os.Lstat(path); err == nil && lerr == nil && os.SameFile(mine, there) {
		_ = os.Remove(path)
	}
	_ = linux.Unlock(t.file)
	t.file.Close()
}

// waiting are those that wait before a turn, and the file of the last of them, which the
// caller closes.
func (d *Dir) waiting(ctx context.Context, before uint64) (all []Holder, last *os.File, err error) {
	f, err := d.Patience.enter(ctx, d.path, false)
	if errors.Is(err, errNobody) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer f.leave()
	turns, err := f.turns()
	if err != nil {
		return nil, nil, err
	}
	for _, number := range turns {
		if number >= before {
			break
		}
		h, file, err := f.waiter(number)
		switch {
		case errors.Is(err, fs.ErrNotExist): // it left meanwhile
			continue
		case err != nil:
			return nil, nil, errors.Join(err, closeIf(last))
		case file == nil:
			continue
		}
		_ = closeIf(last)
		all, last = append(all, h), file
	}
	return all, last, nil
}

func closeIf(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

// turns are the numbers of all turns, of those too that nobody has any more.
func (f *directory) turns() (numbers []uint64, err error) {
	entries, err := fs.ReadDir(f.root.FS(), ".")
	if err != nil {
		return nil, f.failed("listing it", err)
	}
	for _, e := range entries {
		if number, ok := parseTurnFile(e.Name()); ok {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// waiter is who has a turn, and its file, which the caller closes; nil if nobody has.
func (f *directory) waiter(number uint64) (h Holder, file *os.File, err error) {
	if file, err = f.openLock(turnFile(number), false); err != nil {
		return h, nil, err
	}
	switch err = linux.TryLockShared(file); {
	case err == nil:
		return h, nil, errors.Join(linux.Unlock(file), file.Close())
	case !errors.Is(err, linux.ErrLocked):
		file.Close()
		return h, nil, f.failed("locking "+turnFile(number), err)
	}
	text, err := io.ReadAll(io.NewSectionReader(file, 0, maxHolder))
	h, ok := parseHolder(text)
	if err != nil || !ok {
		h = Holder{}
	}
	h.Turn = number
	return h, file, nil
}
