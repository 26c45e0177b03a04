//go:build !linux

package linux

import "time"

// ThreadTime is not known.
func ThreadTime() (time.Duration, bool) { return 0, false }

// NameThread does nothing.
func NameThread(string) (restore func()) { return func() {} }
