#!/usr/bin/env bash
# What github.com/BurntSushi/toml v1.6.0 makes of a document that has one key
# twice, in different case. For TOML these are two keys, and the document is valid.
#
# Seen: both are decoded into the same field of a struct, in the random order of a
# Go map, so the value differs from one call to the next; a key that matches the
# field exactly does not win. There is no error, and Undecoded lists neither.
#
# Output on 2026-11-30, Go 1.26.8 (the counts differ from run to run):
#   of 1000 calls, 157 gave the exact key's value, 843 the other's; undecoded keys: 0
#
#   findings/toml-keys-in-two-cases.sh
#
# Needs Go 1.21 or later and the network.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"

cat >go.mod <<'MOD'
module example

go 1.21

require github.com/BurntSushi/toml v1.6.0
MOD

cat >main.go <<'GO'
package main

import (
	"fmt"
	"log"

	"github.com/BurntSushi/toml"
)

func main() {
	const calls = 1000
	seen, undecoded := map[int]int{}, 0
	for i := 0; i < calls; i++ {
		var v struct {
			Producers int `toml:"producers"`
		}
		meta, err := toml.Decode("producers = 1\nProducers = 2\n", &v)
		if err != nil {
			log.Fatalf("changed: an error: %v", err)
		}
		seen[v.Producers]++
		undecoded += len(meta.Undecoded())
	}
	fmt.Printf("of %d calls, %d gave the exact key's value, %d the other's; undecoded keys: %d\n", calls, seen[1], seen[2], undecoded)
	if seen[1] == 0 || seen[2] == 0 || undecoded != 0 {
		log.Fatal("changed: one of the two always wins, or a key is reported as not decoded")
	}
}
GO

GOFLAGS=-mod=mod GOWORK=off go run .
