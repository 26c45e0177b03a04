#!/usr/bin/env bash
# A C program that loads an idle Go library loses SIGCHLD.
#
# A host that waits for its children by signalfd, sigwait or sigtimedwait blocks SIGCHLD first,
# in all threads: new threads take over their maker's mask. Go's threads do not keep to it:
# the runtime unblocks SIGCHLD in each of them, has a handler for it, and throws the signal
# away where the Go code has asked for none. The kernel gives a signal to any thread that
# does not block it, so the host never hears of a child again.
# The library does nothing here but to double a number. No call is to be had that keeps Go
# from it; a host must wait for its children in another way (pidfd, or a thread in waitpid).
#
# Output on 2026-11-30, Go 1.26.8, gcc 12.2, Linux 6.18, x86-64:
#   without the library: 100 children ended, sigtimedwait told of 100
#   with the library: 100 children ended, sigtimedwait told of 0
#
#   findings/go-library-takes-sigchld.sh
#
# Needs Go and gcc. Takes half a minute.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"

cat >go.mod <<'GO'
module example.org/double

go 1.26
GO
cat >double.go <<'GO'
package main

import "C"

//export Double
func Double(n C.int) C.int { return 2 * n }

func main() {}
GO
cat >host.c <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	sigset_t children;
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_BLOCK, &children, NULL);
	if (argc > 1) {
		void *library = dlopen(argv[1], RTLD_NOW);
		int (*twice)(int) = library ? (int (*)(int))dlsym(library, "Double") : NULL;
		if (!twice || twice(21) != 42) {
			fprintf(stderr, "%s\n", dlerror());
			return 2;
		}
	}
	int told = 0;
	for (int i = 0; i < 100; i++) {
		pid_t child = fork();
		if (child == 0)
			_exit(0);
		struct timespec patience = {.tv_nsec = 200 * 1000 * 1000};
		int got;
		do
			got = sigtimedwait(&children, NULL, &patience);
		while (got < 0 && errno == EINTR);
		told += got == SIGCHLD;
		waitpid(child, NULL, 0);
	}
	printf("100 children ended, sigtimedwait told of %d\n", told);
	return 0;
}
C
CGO_ENABLED=1 go build -buildmode=c-shared -o double.so .
gcc -O2 -o host host.c -ldl
without=$(./host)
with=$(./host ./double.so)
echo "without the library: $without"
echo "with the library: $with"
[[ $without == *' told of 100' && $with == *' told of 0' ]] || { echo 'changed: see above'; exit 1; }
