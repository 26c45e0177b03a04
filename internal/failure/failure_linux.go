package failure

import "syscall"

// kindHere is kindOf of what no other system says.
var kindHere = map[syscall.Errno]error{
	syscall.Errno(0x85): ErrHardwareSuspect, // EHWPOISON: the kernel has found memory broken
	syscall.EUCLEAN:     ErrHardwareSuspect, // a file system has found itself damaged
	syscall.EREMOTEIO:   ErrHardwareSuspect,
}
