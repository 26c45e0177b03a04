package hugepages

import (
	"maps"
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
	// What regions on ordinary pages have not touched yet, as far as is known: the
	// machine still calls it available.
	untouched map[Node]uint64
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

// ByPurpose is the usage of each purpose that ever had a region.
func (a *Accounting) ByPurpose() map[Purpose]Usage {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.by)
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

// expect says that n bytes on a node will be touched, unexpect that they have been, or
// will not be.
func (a *Accounting) expect(node Node, n uint64) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.untouched == nil {
		a.untouched = map[Node]uint64{}
	}
	a.untouched[node] += n
}

func (a *Accounting) unexpect(node Node, n uint64) {
	if a != nil {
		a.expect(node, -n)
	}
}

// expected is what will be touched, on all nodes and on one.
func (a *Accounting) expected(node Node) (all, here uint64) {
	if a == nil {
		return 0, 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, n := range a.untouched {
		all += n
	}
	return all, a.untouched[node]
}

func (u Usage) plus(n uint64) Usage {
	u.Current += n
	u.Peak = max(u.Peak, u.Current)
	return u
}
