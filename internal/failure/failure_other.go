//go:build !linux

package failure

import "syscall"

var kindHere map[syscall.Errno]error
