#!/usr/bin/env bash
# damocles' side of an external processor, on the crate that damocles-worker uses, and ours on the
# other: all that CHECK tries, then ROUNDS times kill -9 of the child at work, which the crate starts
# again. Needs cargo and python3.
#
#   CHECK=../shared/hosts/damocles-parent/check.sh ROUNDS=100 scripts/damocles.sh SDRBENCH
set -euo pipefail
child=$(realpath "$1")
check=${CHECK:-$(dirname "$0")/../../shared/hosts/damocles-parent/check.sh}
rounds=${ROUNDS:-100}
[[ -x $check ]] || {
	echo "damocles: $check is not there: set CHECK to the check.sh of damocles-parent" >&2
	exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export WORK=$work SDR_LOCK_DIR=$work/locks RUST_LOG=off RUST_BACKTRACE=0 SDR_PROFILE=none
"$check" "$child"

parent=${PARENT:-${CARGO_TARGET_DIR:-$HOME/.cache/damocles-parent}/debug/damocles-parent}
for ((i = 1; i <= rounds; i++)); do
	# Anywhere in a sector, from before its tree-d to its last layer.
	delay=$(printf '0.%03d' $((5 + RANDOM % 200)))
	if ! timeout 300 "$parent" --timeout 200 --kill-after "$delay" --cases "$work/pc1-8m.json" -- "$child" >"$work/round.log" 2>"$work/round.err"; then
		echo "damocles: round $i, killed after $delay s:" >&2
		grep '"ok":false' "$work/round.log" | cut -c1-1000 >&2
		tail -n 5 "$work/round.err" >&2
		exit 1
	fi
	left=$(find "$work" -name '.*.tmp*' -o -name '.*.new' -o -name 'turn*')
	[[ -z $left ]] || {
		echo "damocles: round $i, killed after $delay s, left: $left" >&2
		exit 1
	}
done
echo "$rounds rounds of kill -9 at work: golden files, nothing left over"
