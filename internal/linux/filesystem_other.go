//go:build !linux

package linux

// RemoteFileSystem is not known.
func RemoteFileSystem(string) string { return "" }
