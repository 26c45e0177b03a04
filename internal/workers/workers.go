// Package workers says how many goroutines share work that keeps cores busy.
package workers

import "runtime"

// Most is one for each CPU that this process may use. GOMAXPROCS alone does not tell: it is higher while
// hashers, which never leave their threads, are at work.
func Most() int { return min(runtime.GOMAXPROCS(0), runtime.NumCPU()) }
