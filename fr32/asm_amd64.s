//go:build !purego

#include "textflag.h"

// func fence()
//
// Waits until stores past the cache can be seen by all.
TEXT ·fence(SB), NOSPLIT, $0-0
	SFENCE
	RET
