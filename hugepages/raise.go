package hugepages

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sdr-engine/sdr/internal/linux"
)

// A raise is what the kernel's pool was enlarged by, for one region.
type raise struct {
	system system
	pool   poolState // as it was before
	pages  uint64    // by how many more the pool was then told to keep
	node   Node
}

// raiseStep is how many bytes of huge pages the kernel is asked for at a time.
const raiseStep = 1 << 30

// lockPool waits until nobody else changes a pool of pages of this size, on
// whatever node. The kernel releases the lock when the file is closed or the
// process ends.
func (s system) lockPool(ctx context.Context, page uint64) (*os.File, error) {
	p, _ := s.pool(page, Node{})
	f, err := os.Open(filepath.Join(s.root, p.folder, "nr_hugepages"))
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
	f, err := os.OpenFile(filepath.Join(s.root, p.folder, "nr_hugepages"), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strconv.FormatUint(pages, 10))
	return errors.Join(err, f.Close())
}

// raise enlarges the pool until so many bytes are free in it and not reserved by
// anybody. With an error the pool is as it was. The caller has the lock.
func (s system) raise(ctx context.Context, want, page uint64, node Node) (*raise, error) {
	p, ok := s.pool(page, node)
	if !ok {
		return nil, fmt.Errorf("no pool in /%s", p.folder)
	}
	missing := func() uint64 { return want/page - min(want/page, p.free-min(p.free, p.reserved)) }
	r := &raise{system: s, pool: p, node: node}
	if missing() == 0 {
		return r, nil
	}
	if err := s.checkRaise(missing()*page, node); err != nil {
		return nil, err
	}
	for missing() > 0 {
		before := p.total
		// Surplus pages count first: the kernel makes them permanent before it
		// looks for new ones. They are given back with the rest.
		err := s.setPool(p, p.total+min(missing(), max(1, raiseStep/page)))
		p, _ = s.pool(page, node)
		r.pages = p.persistent() - min(p.persistent(), r.pool.persistent())
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err == nil && p.total <= before {
			err = fits(LimitHugePages, "/"+p.folder+"/nr_hugepages", want, (p.free-min(p.free, p.reserved))*page, 0)
		}
		if err != nil {
			return nil, errors.Join(err, r.giveBack())
		}
	}
	return r, nil
}

// checkRaise returns a *LimitError if the machine has no room for a larger pool.
func (s system) checkRaise(want uint64, node Node) error {
	if n, file, ok := s.available(); ok {
		if err := fits(LimitMemory, file, want, n, 0); err != nil {
			return err
		}
	}
	return s.checkNode(want, node)
}

// crashProof says whether the pool was empty, so that what it was enlarged by can
// be given back as soon as it is reserved: the kernel then keeps the pages
// until they are unmapped, be it by the end of the process, and no longer. In a
// pool that somebody set up that would be at the expense of those who
// unmap their pages and map them again.
func (r *raise) crashProof() bool { return r != nil && r.pool.persistent() == 0 }

// giveBack makes the pool smaller by as much as it was enlarged. The caller has
// the lock. Pages that others have taken meanwhile stay theirs: the kernel takes
// them when they are free.
func (r *raise) giveBack() error {
	if r == nil || r.pages == 0 {
		return nil
	}
	p, ok := r.system.pool(r.pool.page, r.node)
	if !ok {
		return fmt.Errorf("no pool in /%s", r.pool.folder)
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
	lock, err := r.system.lockPool(context.Background(), r.pool.page)
	if err != nil {
		return err
	}
	defer lock.Close()
	return r.giveBack()
}
