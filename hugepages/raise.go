package hugepages

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sdr-engine/sdr/internal/linux"
)

// A raise is what the kernel's pool was enlarged by, for one region.
type raise struct {
	system system
	page   uint64
	node   Binding
	before uint64 // pages that the pool was told to keep
	pages  uint64 // pages that it was then told to keep beyond these
}

func (s system) newRaise(page uint64, node Binding) *raise {
	p, _ := s.pool(page, node)
	return &raise{system: s, page: page, node: node, before: p.persistent()}
}

// raiseAttempts is how often the kernel is asked for pages without having any. It
// breaks off early for a signal, and the Go runtime sends those to its threads at any time.
const raiseAttempts = 3

// lockTimeout is how long Free waits for the lock, which nobody has for more than seconds.
const lockTimeout = time.Minute

// raiseStep is how many bytes of huge pages the kernel is asked for at a time.
const raiseStep = 1 << 30

// lockPool waits until nobody else changes a pool of pages of this size, on
// whatever node. The kernel releases the lock when the file is closed or the
// process ends.
func (s system) lockPool(ctx context.Context, page uint64) (*os.File, error) {
	p, _ := s.pool(page, Binding{})
	f, err := os.Open(filepath.Join(s.root, p.directory, "nr_hugepages"))
	if err != nil {
		return nil, err
	}
	for {
		err := linux.TryLock(f)
		if err == nil {
			return f, nil
		}
		if errors.Is(err, linux.ErrLocked) {
			// flock has no waiting that can be given up.
			select {
			case <-time.After(10 * time.Millisecond):
				continue
			case <-ctx.Done():
				err = context.Cause(ctx)
			}
		}
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", f.Name(), err)
	}
}

// setPool tells the kernel how many pages the pool is to keep, which is more or
// less than what it then has: it takes what it can, and never a page in use or reserved.
func (s system) setPool(p poolState, pages uint64) error {
	f, err := os.OpenFile(filepath.Join(s.root, p.directory, "nr_hugepages"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strconv.FormatUint(pages, 10))
	return errors.Join(err, f.Close())
}

// enlarge makes the pool larger until so many bytes are free in it and not
// reserved by anybody. After an error the pool is as it was. The caller has the lock.
func (r *raise) enlarge(ctx context.Context, want uint64) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, r.giveBack())
		}
	}()
	p, ok := r.system.pool(r.page, r.node)
	if !ok {
		return fmt.Errorf("no pool in /%s: %w", p.directory, fs.ErrNotExist)
	}
	// On a node, too, all that is reserved may come from here.
	left := func() uint64 { return (p.free - min(p.free, p.reserved)) * r.page }
	if left() >= want {
		return nil
	}
	if err := r.system.checkRaise(want-left(), r.node); err != nil {
		return err
	}
	for idle := 0; left() < want; {
		before := p.total
		// Surplus pages count first: the kernel makes them permanent before it
		// looks for new ones. They are given back with the rest.
		more := min(want-left(), max(r.page, raiseStep)) / r.page
		if err := r.system.setPool(p, p.total+more); err != nil {
			return err
		}
		p, _ = r.system.pool(r.page, r.node)
		r.pages = p.persistent() - min(p.persistent(), r.before)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if p.total > before {
			idle = 0
		} else if idle++; idle == raiseAttempts {
			if err := fits(LimitHugePages, "/"+p.directory+"/nr_hugepages", want, left(), 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkRaise returns a *LimitError if the machine has no room for a larger pool.
func (s system) checkRaise(want uint64, node Binding) error {
	if n, file, ok := s.available(); ok {
		if err := fits(LimitMemory, file, want, n, 0); err != nil {
			return err
		}
	}
	return s.checkNode(want, node)
}

// crashProof reports whether the pool was empty, so that what it was enlarged by can
// be given back as soon as it is reserved: the kernel then keeps the pages
// until they are unmapped, be it by the end of the process, and no longer. In a
// pool that somebody set up that would be at the expense of those who
// unmap their pages and map them again.
func (r *raise) crashProof() bool { return r != nil && r.before == 0 }

// giveBack makes the pool smaller by as much as it was enlarged. The caller has
// the lock. Pages that others have taken meanwhile stay theirs: the kernel takes
// them when they are free.
func (r *raise) giveBack() error {
	if r == nil || r.pages == 0 {
		return nil
	}
	p, ok := r.system.pool(r.page, r.node)
	if !ok {
		return fmt.Errorf("no pool in /%s: %w", p.directory, fs.ErrNotExist)
	}
	err := r.system.setPool(p, p.persistent()-min(p.persistent(), r.pages))
	if err == nil {
		r.pages = 0
	}
	return err
}

// giveBackLater is giveBack for who has no lock.
func (r *raise) giveBackLater() error {
	if r == nil || r.pages == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lockTimeout)
	defer cancel()
	lock, err := r.system.lockPool(ctx, r.page)
	if err != nil {
		return err
	}
	defer lock.Close()
	return r.giveBack()
}
