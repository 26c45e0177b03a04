#!/usr/bin/env bash
# Runs the tests of a sector's files on file systems of their own, which are images, mounted for
# the time being: does each yield the reference's files, byte for byte, with its way of holes,
# shared blocks, reserved space and direct writes? Needs root, and mkfs.NAME of each (Debian's
# packages e2fsprogs, xfsprogs, btrfs-progs).
#
#   scripts/filesystems.sh [NAME]...      ext4, xfs, btrfs: these three
set -euo pipefail
cd "$(dirname "$0")/.."

names=("$@")
((${#names[@]})) || names=(ext4 xfs btrfs)

dir=$(mktemp -d)
cleanup() {
	if mountpoint -q "$dir/mnt"; then umount "$dir/mnt"; fi
	rm -rf "$dir"
}
trap cleanup EXIT
mkdir "$dir/mnt"
packages=(./internal/linux ./internal/durable ./seal)
for name in "${names[@]}"; do
	truncate -s 8G "$dir/image" # btrfs runs out of room for metadata in 1 GiB
	share=$dir/mnt
	case $name in
	ext4)
		mkfs.ext4 -q "$dir/image"
		share='' # it cannot share blocks
		;;
	xfs) mkfs.xfs -q -m reflink=1 "$dir/image" ;;
	btrfs) mkfs.btrfs -q "$dir/image" ;;
	*)
		echo "filesystems: $name: want ext4, xfs or btrfs" >&2
		exit 2
		;;
	esac
	mount -o loop "$dir/image" "$dir/mnt"
	echo "filesystems: $name"
	SDR_REFLINK_DIR=$share GOTMPDIR=$dir TMPDIR=$dir/mnt go test -vet=off -count=1 "${packages[@]}"
	umount "$dir/mnt"
	rm "$dir/image"
done
