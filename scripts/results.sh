#!/usr/bin/env bash
# Measures this machine, and adds the lines to a file of bench/results, which begins with
# what the machine is: `make results` calls it.
#
#   scripts/results.sh PROGRAM FILE ROUNDS
#
# In each round each command runs once, in a process of its own, for some 20 s. To measure in
# several quiet hours, call it again with the same FILE. Above each round stands when it
# was, and the load average before it: on a machine that is to itself it is near 0. Needs 20 GiB
# of memory and 3 GiB in $TMPDIR.
set -euo pipefail

fail() {
	echo "results: $*" >&2
	exit 1
}
(($# == 3)) || fail 'usage: scripts/results.sh PROGRAM FILE ROUNDS'
program=$1 file=$2 rounds=$3
[[ $rounds =~ ^[1-9][0-9]*$ ]] || fail "ROUNDS: $rounds: want a number from 1 on"

bench='bench --gobench --profile none'
commands=(
	"$bench --window 8s"
	"$bench --window 8s --memory-mode one-layer"
	"$bench --sectors 2 --window 8s"
	"$bench --sectors 4 --window 8s"
	"$bench --sectors 16 --window 12s"
)
version=$("$program" --version)
if [ -e "$file" ]; then
	grep -qxF "# $version" "$file" || fail "$file is of another build than $version: name another file"
else
	cpu() { sed -n "s/^$1[[:space:]]*: //p" /proc/cpuinfo | head -n 1; }
	{
		echo "# $version"
		echo "# $(cpu 'model name'), family $(cpu 'cpu family'), model $(cpu model); $(nproc) CPUs; $(awk '/^MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo) GiB; Linux $(uname -r)"
		echo '# Each line is a process of its own, one command after the other:'
		printf '#   sdrbench %s\n' "${commands[@]}"
	} >"$file"
fi
for ((round = 1; round <= rounds; round++)); do
	lines="# $(date -u '+%F %R') UTC, load average $(cut -d ' ' -f 1 /proc/loadavg)"$'\n'
	for command in "${commands[@]}"; do
		# shellcheck disable=SC2086 # several words
		lines+=$("$program" $command | grep ^Benchmark)$'\n'
	done
	printf %s "$lines" >>"$file" # whole rounds only
	echo "results: $file: round $round of $rounds"
done
