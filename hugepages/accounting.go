package hugepages

import (
	"sync"
)

// Accounting counts regions by purpose. Its zero value is ready, any number of
// goroutines may use it, and a nil one counts nothing. Set Budget before.
type Accounting struct {
	// Budget is how many bytes all regions may have together. Default: 0, no bound.
	Budget uint64

	mu    sync.Mutex
	total Usage
	tried uint64 // bytes that are kept for regions which Alloc is at work on
	by    map[Purpose]Usage
	// What regions in ordinary memory have not touched yet, as far as is known: the
	// machine still calls it available.
	untouched map[Binding]uint64
}

// A Usage is a number of bytes, whole pages, touched or not.
type Usage struct {
	Current uint64
	Peak    uint64 // the largest that Current ever was
}

// Total is the usage of all purposes together.
func (a *Accounting) Total() Usage {
	if a == nil {
		return Usage{}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.total
}

// try keeps n bytes of the budget, or returns a *LimitError. count or drop follows.
func (a *Accounting) try(n uint64) error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	used := a.total.Current + a.tried
	if a.Budget > 0 && n > a.Budget-min(used, a.Budget) {
		return &LimitError{Limit: LimitBudget, Want: n, Max: a.Budget, Used: used}
	}
	a.tried += n
	return nil
}

func (a *Accounting) drop(n uint64) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tried -= n
}

func (a *Accounting) count(p Purpose, n uint64) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tried -= n
	if a.by == nil {
		a.by = map[Purpose]Usage{}
	}
	a.total = a.total.plus(n)
	a.by[p] = a.by[p].plus(n)
}

func (a *Accounting) giveBack(p Purpose, n uint64) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.total.Current -= n
	u := a.by[p]
	u.Current -= n
	a.by[p] = u
}

// promise checks whether n bytes that will be touched on a NUMA node, with all that has
// been promised and is not touched yet, on all nodes and on this one, pass the check.
func (a *Accounting) promise(node Binding, n uint64, check func(all, here uint64) error) error {
	if a == nil {
		return check(n, n)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	all := n
	for _, m := range a.untouched {
		all += m
	}
	if err := check(all, n+a.untouched[node]); err != nil {
		return err
	}
	if a.untouched == nil {
		a.untouched = map[Binding]uint64{}
	}
	a.untouched[node] += n
	return nil
}

// fulfil says that n bytes have been touched, or will not be.
func (a *Accounting) fulfil(node Binding, n uint64) {
	if a == nil || n == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.untouched[node] -= n
}

func (u Usage) plus(n uint64) Usage {
	u.Current += n
	u.Peak = max(u.Peak, u.Current)
	return u
}
