package sealer

import (
	"runtime"
	"sync"
)

// Procs is GOMAXPROCS while calls are at work: there is one for the process, so this is
// one, too.
var procs struct {
	mu      sync.Mutex
	hashers int // of all calls at work
	before  int // GOMAXPROCS before the first of them
	set     int // what it was set to
}

// raiseProcs makes room for so many hashers, which never leave their threads, until
// lower is called.
func raiseProcs(hashers int) (lower func()) {
	changeProcs(hashers)
	return sync.OnceFunc(func() { changeProcs(-hashers) })
}

func changeProcs(by int) {
	p := &procs
	p.mu.Lock()
	defer p.mu.Unlock()
	is := runtime.GOMAXPROCS(0)
	if p.hashers == 0 {
		p.before, p.set = is, is
	}
	p.hashers += by
	if is != p.set {
		return // somebody else decides
	}
	if p.set = max(p.before, runtime.NumCPU()+p.hashers); p.hashers == 0 {
		p.set = p.before
	}
	if p.set != is {
		runtime.GOMAXPROCS(p.set)
	}
}
