package sealer

import (
	"runtime"
	"sync"
)

// Procs is GOMAXPROCS while calls are at work: there is one for the process, so this is
// one, too.
var procs struct {
	mu      sync.Mutex
	threads int // that all calls at work want beside CPUs
	before  int // GOMAXPROCS before the first of them
	set     int // what it was set to
}

// raiseProcs makes room for so many threads beside CPUs, engine.Config.Threads, until
// lower is called.
func raiseProcs(threads int) (lower func()) {
	changeProcs(threads)
	return sync.OnceFunc(func() { changeProcs(-threads) })
}

func changeProcs(by int) {
	p := &procs
	p.mu.Lock()
	defer p.mu.Unlock()
	is := runtime.GOMAXPROCS(0)
	if p.threads == 0 {
		p.before, p.set = is, is
	}
	p.threads += by
	if is != p.set {
		return // somebody else decides
	}
	if p.set = max(p.before, runtime.NumCPU()+p.threads); p.threads == 0 {
		p.set = p.before
	}
	if p.set != is {
		runtime.GOMAXPROCS(p.set)
	}
}
