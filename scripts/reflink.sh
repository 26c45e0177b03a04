#!/usr/bin/env bash
# Runs the tests that place files on a file system that can share blocks: an XFS
# image, mounted for the time being. Needs root, and mkfs.xfs (Debian's package
# xfsprogs).
set -euo pipefail
cd "$(dirname "$0")/.."

dir=$(mktemp -d)
cleanup() {
	if mountpoint -q "$dir/mnt"; then umount "$dir/mnt"; fi
	rm -rf "$dir"
}
trap cleanup EXIT
truncate -s 512M "$dir/image"
mkfs.xfs -q -m reflink=1 "$dir/image"
mkdir "$dir/mnt"
mount -o loop "$dir/image" "$dir/mnt"
SDR_REFLINK_DIR=$dir/mnt TMPDIR=$dir/mnt go test -count=1 ./internal/linux ./seal
