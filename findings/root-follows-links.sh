#!/usr/bin/env bash
# Go's os.Root follows a symbolic link although O_NOFOLLOW is among the flags.
#
# Root.OpenFile takes the flags of open(2), and on Linux O_NOFOLLOW means that opening a
# symbolic link is ELOOP. Root resolves links itself, before it opens anything, and so
# follows one that stays inside the root without a word; os.OpenFile with the same flags
# fails. Who must not follow links inside a directory compares Root.Lstat with the open
# file's Stat.
#
# Output on 2026-11-30, Go 1.26.8, Linux 6.18, x86-64:
#   os.OpenFile: too many levels of symbolic links
#   os.Root.OpenFile: opened, 5 bytes: hello
#
#   findings/root-follows-links.sh
#
# Needs Go.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
mkdir root
printf hello >root/file
ln -s file root/link

cat >main.go <<'GO'
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

func main() {
	const flags = os.O_RDONLY | syscall.O_NOFOLLOW
	_, err := os.OpenFile("root/link", flags, 0)
	fmt.Println("os.OpenFile:", errors.Unwrap(err))
	root, err := os.OpenRoot("root")
	if err != nil {
		panic(err)
	}
	f, err := root.OpenFile("link", flags, 0)
	if err != nil {
		fmt.Println("os.Root.OpenFile:", err)
		os.Exit(1)
	}
	b, err := io.ReadAll(f)
	fmt.Printf("os.Root.OpenFile: opened, %d bytes: %s\n", len(b), b)
}
GO
go version
go run main.go || { echo 'changed: the link is not followed'; exit 1; }
