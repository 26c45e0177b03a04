#include "textflag.h"

// sdr_start is where the program begins when it is linked with -E sdr_start: see the file for
// amd64. SP and R0 must stay.

#define SYS_fcntl 25
#define F_GETFD   1

#define NOTE(fd)                     \
	MOVD $SYS_fcntl, R8              \
	MOVD $fd, R0                     \
	MOVD $F_GETFD, R1                \
	SVC                              \
	MOVW R0, ·startFlags+(4*fd)(SB)

TEXT sdr_start(SB), NOSPLIT|NOFRAME, $0
	MOVD R0, R19
	NOTE(0)
	NOTE(1)
	NOTE(2)
	MOVD $1, R0
	MOVW R0, ·startNoted(SB)
	MOVD R19, R0
	JMP  _rt0_arm64_linux(SB)
