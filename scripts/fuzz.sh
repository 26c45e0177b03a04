#!/usr/bin/env bash
# Runs each fuzz target for a number of inputs, as many targets at a time as there are
# CPUs, each with one worker: with all workers on one target, most of them wait for its
# inputs so far to be tried again, and for its end.
#
#   scripts/fuzz.sh COUNTx
#
# A package's targets are in one binary, which is built once. What a failing input
# is goes to testdata/fuzz, and what is new to the go command's cache, as with go test.
set -euo pipefail
cd "$(dirname "$0")/.."
export fuzztime=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cache=$(go env GOCACHE)/fuzz

# run DIRECTORY BINARY CACHE TARGET
run() {
	local out status=0
	out=$(cd "$1" && "$2" -test.run='^$' -test.fuzz="^$4\$" -test.fuzztime="$fuzztime" -test.fuzzminimizetime=1000x \
		-test.parallel=1 -test.fuzzcachedir="$3" 2>&1) || status=$?
	printf 'fuzz: %s in %s\n%s\n' "$4" "$1" "$out"
	return "$status"
}
export -f run

grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u >"$tmp/directories"
while read -r dir; do
	binary=$tmp/${dir//\//-}.test
	go test -c -vet=off -fuzz=. -o "$binary" "$dir"
	path=$(go list "$dir")
	(cd "$dir" && "$binary" -test.list='^Fuzz') | while read -r target; do
		printf '%s %s %s %s\n' "$dir" "$binary" "$cache/$path" "$target"
	done
done <"$tmp/directories" >"$tmp/targets"
[ -s "$tmp/targets" ] || {
	echo 'fuzz: found no target' >&2
	exit 1
}
xargs -P "$(nproc)" -L 1 bash -c 'run "$@"' run <"$tmp/targets"
