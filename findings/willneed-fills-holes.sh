#!/usr/bin/env bash
# Advice to read a file ahead fills the page cache with the zeros of its holes.
#
# posix_fadvise(POSIX_FADV_WILLNEED) is for reading from the disk before data is wanted. Of a
# hole there is nothing to read, and lseek(SEEK_DATA) says so at once. On ext4 the
# advice allocates and clears a page for each page of the hole all the same, and returns when
# that is done: a sparse file without a single block costs its whole length in page cache, and
# seconds of CPU time. A program that reads sparse files ahead, sectors and pieces padded with zeros
# for example, has to ask for the data only.
#
# Output on 2026-12-01, Linux 6.18, x86-64, ext4, Python 3.11:
#   blocks of the file: 0, data from: none
#   bytes in the page cache: before 0, after 1073741824
#
#   findings/willneed-fills-holes.sh
#
# Needs python3, fincore (util-linux), 1 GiB of memory that is free, and /tmp on ext4.
# Takes a few seconds.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

truncate -s 1G "$tmp/sparse"
cached() { fincore --bytes --noheadings --output RES "$tmp/sparse" | tr -d ' '; }
before=$(cached)
python3 - "$tmp/sparse" <<'PY'
import errno, os, sys

fd = os.open(sys.argv[1], os.O_RDONLY)
try:
    data = os.lseek(fd, 0, os.SEEK_DATA)
except OSError as e:
    assert e.errno == errno.ENXIO, e
    data = "none"
print(f"blocks of the file: {os.fstat(fd).st_blocks}, data from: {data}")
# As readers do: a few megabytes at a time.
for at in range(0, 1 << 30, 4 << 20):
    os.posix_fadvise(fd, at, 4 << 20, os.POSIX_FADV_WILLNEED)
PY
after=$(cached)
echo "bytes in the page cache: before $before, after $after"
((before == 0 && after > 1 << 29)) || { echo 'changed: holes are not read ahead'; exit 1; }
