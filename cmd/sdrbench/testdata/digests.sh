#!/usr/bin/env bash
# Prints known_digests.json: what the reference implementation makes of the sector
# that `sdrbench bench` seals, for each proof. Our own code has no part in it.
#
#   ORACLE=FILE digests.sh [PROOF]... >known_digests.json      needs go, jq, minutes
#
# ORACLE is the oracle program, built with filecoin-proofs-api 19.1.0; it names
# proofs SIZE/VERSION. It keeps its parent caches in FIL_PROOFS_PARENT_CACHE.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
: "${ORACLE:?set it to a built oracle}"
export FIL_PROOFS_USE_MULTICORE_SDR=1 FIL_PROOFS_MULTICORE_SDR_PRODUCERS=1 FIL_PROOFS_MAXIMIZE_CACHING=1

proofs=("$@")
((${#proofs[@]})) || proofs=({2KiB,8MiB,512MiB}/{1,1.1,synth,ni})

prover=e807000000000000000000000000000000000000000000000000000000000000 # actor 1000
ticket=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
go build -o "$tmp/piece" "$here/piece.go"

digest() { sha256sum "$1" | cut -d ' ' -f 1; }

{
	for proof in "${proofs[@]}"; do
		case $proof in
		2KiB/*) size=2032 ;;
		8MiB/*) size=8323072 ;;
		512MiB/*) size=532676608 ;;
		*) echo "digests.sh: unknown proof $proof" >&2 && exit 2 ;;
		esac
		dir=$tmp/sector
		mkdir -p "$dir/cache"
		"$tmp/piece" $size >"$dir/piece"
		: >"$dir/sealed"
		added=$("$ORACLE" addpiece "$proof" "$dir/piece" "$dir/staged" $size)
		"$ORACLE" p1 "$proof" "$dir/cache" "$dir/staged" "$dir/sealed" $prover 1 $ticket "${added%% *}" "$dir/p1.json"
		jq --arg sealed "$(digest "$dir/sealed")" \
			--arg tree "$(digest "$dir/cache/sc-02-data-tree-d.dat")" \
			--arg layer1 "$(digest "$dir/cache/sc-02-data-layer-1.dat")" \
			--arg layer2 "$(digest "$dir/cache/sc-02-data-layer-2.dat")" \
			'{(.registered_proof): {
				comm_d: (.comm_d | map([. / 16, . % 16] | map(floor | "0123456789abcdef"[.:. + 1]) | add) | add),
				files: {
					sealed: $sealed,
					"sc-02-data-tree-d.dat": $tree,
					"sc-02-data-layer-1.dat": $layer1,
					"sc-02-data-layer-2.dat": $layer2
				}
			}}' "$dir/p1.json"
		rm -rf "$dir"
	done
} | jq -s add
