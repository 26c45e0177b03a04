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
cases=$(grep -c '"name"' "$work/pc1-8m.json")
for ((i = 1, tries = 1; i <= rounds; tries++)); do
	# Anywhere in a sector, from before its tree-d to its last layer.
	delay=$(printf '0.%03d' $((50 + RANDOM % 400)))
	fail() {
		echo "damocles: round $i, killed after $delay s: $1" >&2
		grep '"ok":false' "$work/round.log" | cut -c1-1000 >&2
		tail -n 5 "$work/round.err" >&2
		exit 1
	}
	timeout 300 "$parent" --timeout 200 --kill-after "$delay" --cases "$work/pc1-8m.json" -- "$child" >"$work/round.log" 2>"$work/round.err" || true
	# The parent minds if the kill came before its requests, or after a reply; that is only no round.
	! grep '"ok":false' "$work/round.log" | grep -v '"round":"killed"' >/dev/null || fail 'not as it should be'
	(($(grep '"round":"run"' "$work/round.log" | grep -c '"ok":true') == cases)) || fail 'not all sectors were sealed'
	left=$(find "$work" -name '.*.tmp*' -o -name '.*.new')
	[[ -z $left ]] || fail "left: $left"
	((tries < 3 * rounds)) || fail 'too few of the kills came at work'
	if grep '"round":"killed"' "$work/round.log" | grep 'child process exited' >/dev/null; then
		i=$((i + 1))
	fi
done
echo "$rounds rounds of kill -9 at work: golden files, nothing left over"
