#include "textflag.h"

// sdr_start is where the program begins when it is linked with -E sdr_start: it notes which of
// the standard streams are closed, before Go's runtime opens /dev/null in their place, and goes on
// where it would have begun. There is no stack of Go's yet, and DX and SP must stay.

#define SYS_fcntl 72
#define F_GETFD   1

// NOTE asks for the flags of a descriptor; an error, less than 0, means that it is closed.
#define NOTE(fd)                     \
	MOVQ $SYS_fcntl, AX              \
	MOVQ $fd, DI                     \
	MOVQ $F_GETFD, SI                \
	SYSCALL                          \
	MOVL AX, ·startFlags+(4*fd)(SB)

TEXT sdr_start(SB), NOSPLIT|NOFRAME, $0
	NOTE(0)
	NOTE(1)
	NOTE(2)
	MOVL $1, ·startNoted(SB)
	JMP  _rt0_amd64_linux(SB)
