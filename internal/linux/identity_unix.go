//go:build unix

package linux

import (
	"os"
	"syscall"
)

// IdentityOf is a file's. False means that the system does not tell.
func IdentityOf(info os.FileInfo) (id Identity, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return id, false
	}
	return Identity{uint64(st.Dev), st.Ino}, true
}
