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
	by    map[Purpose]Usage
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

// take counts n more bytes, or returns a *LimitError.
func (a *Accounting) take(p Purpose, n uint64) error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.Budget > 0 && n > a.Budget-min(a.total.Current, a.Budget) {
		return &LimitError{Limit: LimitBudget, Want: n, Max: a.Budget, Used: a.total.Current}
	}
	if a.by == nil {
		a.by = map[Purpose]Usage{}
	}
	a.total = a.total.plus(n)
	a.by[p] = a.by[p].plus(n)
	return nil
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

func (u Usage) plus(n uint64) Usage {
	u.Current += n
	u.Peak = max(u.Peak, u.Current)
	return u
}
