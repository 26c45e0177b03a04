#!/usr/bin/env bash
# A read of 200 bytes returns halves of two writes of the same 200 bytes.
#
# POSIX wants reads and writes of a regular file to be atomic towards each other, and one
# would think that a record within one page, written by one pwrite and read by one pread, is
# either the old or the new one. On ext4 and tmpfs it is not: a read copies from the page
# cache without a lock, while the write copies into it. (XFS takes a lock for both.) So a
# record that others read while it is rewritten, in a lock file for example, needs a lock, or
# a checksum and another try.
#
# Output on 2026-11-30, Linux 6.18, x86-64, 2 CPUs, gcc 12.2 (the figures differ each time):
#   ext2/ext3: 5520790 reads, 857 of them torn
#   tmpfs: 11721329 reads, 28 of them torn
#
#   findings/ext4-read-tears.sh
#
# Needs gcc, two CPUs, and /tmp on ext4. Takes 20 seconds.
set -euo pipefail

tmp=$(mktemp -d)
shm=$(mktemp -d -p /dev/shm)
trap 'rm -rf "$tmp" "$shm"' EXIT

cat >"$tmp/tears.c" <<'C'
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RECORD = 200 };

int main(int argc, char **argv)
{
	int fd = open(argv[1], O_CREAT | O_RDWR, 0600);
	char record[RECORD];
	memset(record, 'a', RECORD);
	if (fd < 0 || pwrite(fd, record, RECORD, 0) != RECORD)
		return 2;
	pid_t child = fork();
	if (child == 0) {
		alarm(15); /* should nobody be left to end it */
		for (char c = 'a';; c = c == 'a' ? 'b' : 'a') {
			memset(record, c, RECORD);
			if (pwrite(fd, record, RECORD, 0) != RECORD)
				_exit(2);
		}
	}
	long reads = 0, torn = 0;
	for (time_t end = time(NULL) + 10; time(NULL) < end; reads++) {
		if (pread(fd, record, RECORD, 0) != RECORD)
			return 2;
		torn += memchr(record, record[0] == 'a' ? 'b' : 'a', RECORD) != NULL;
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	printf("%ld reads, %ld of them torn\n", reads, torn);
	return torn == 0;
}
C
gcc -O2 -o "$tmp/tears" "$tmp/tears.c"
for dir in "$tmp" "$shm"; do
	echo -n "$(stat -f -c %T "$dir"): "
	"$tmp/tears" "$dir/record" || { echo 'changed: none was torn'; exit 1; }
done
