//go:build !linux

package linux

// NameThread does nothing.
func NameThread(string) (restore func()) { return func() {} }
