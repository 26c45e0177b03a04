#!/usr/bin/env bash
# Does `addpiece` pack pieces as the reference implementation does? Random pieces, of
# payloads that --pad fills, until a sector of 8 MiB is full or enough of them are in it; then
# --fill. The reference adds the same pieces, zero pieces included. Compared are every
# comm_p, what each wrote, the staged files, and comm_d.
#
#   scripts/packings.sh [COUNT]     so many packings (60)
#
#   ORACLE=FILE   a built oracle; without it the oracle is built from
#                 ../shared/oracle in a temporary directory (needs cargo, minutes)
#   SHARED=DIR    instead of ../shared
#   SEED=N        another choice of pieces
#
# Optional: the test suite is complete without it.
set -euo pipefail
cd "$(dirname "$0")/.."

shared=${SHARED:-../shared}
count=${1:-60}
RANDOM=${SEED:-1}

fail() {
	echo "packings: $*" >&2
	exit 1
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

if [ -z "${ORACLE:-}" ]; then
	[ -r "$shared/oracle/Cargo.toml" ] || fail "$shared/oracle is not there: set SHARED to the directory that holds oracle/, or ORACLE"
	command -v cargo >/dev/null || fail 'cargo is not there: install it, or set ORACLE to a built oracle'
	cp -R "$shared/oracle" "$tmp/oracle"
	chmod -R u+w "$tmp/oracle"
	echo 'building the oracle; ORACLE=FILE spares this the next time'
	cargo build --release --quiet --manifest-path "$tmp/oracle/Cargo.toml" --target-dir "$tmp/target"
	ORACLE=$tmp/target/release/oracle
fi
[ -x "$ORACLE" ] || fail "ORACLE=$ORACLE is not an executable file"
ORACLE=$(realpath "$ORACLE")

CGO_ENABLED=0 go build -buildvcs=false -o "$tmp/sdrbench" ./cmd/sdrbench
cd "$tmp"
head -c 16777216 /dev/urandom >random

proof=StackedDrg8MiBV1_1
sector=8388608

# value NAME: a field of the JSON in $json.
value() { sed "s/.*\"$1\":\"\\{0,1\\}\\([^,\"}]*\\).*/\\1/" <<<"$json"; }

pieces=0 zeros=0
for ((round = 1; round <= count; round++)); do
	rm -f ours ours.pieces theirs
	: >theirs
	existing= list= end=0
	for ((n = RANDOM % 8; n >= 0; n--)); do
		size=$((127 << RANDOM % 15))
		start=$(((end + size / 127 * 128 - 1) / (size / 127 * 128) * (size / 127 * 128)))
		((start + size / 127 * 128 <= sector)) || break
		payload=$((size == 127 ? 1 + RANDOM % 127 : size / 2 + 1 + (RANDOM * 32768 + RANDOM) % (size / 2)))
		tail -c +$((1 + RANDOM * 100)) random | head -c "$payload" >payload || [ $? = 141 ] # a pipe that nobody reads on
		{ cat payload && head -c $((size - payload)) /dev/zero; } >piece
		json=$(./sdrbench addpiece --proof $proof --piece payload --pad --staged ours --record --json)
		want=$("$ORACLE" addpiece 8MiB/1.1 piece theirs "$size" ${existing:+"$existing"} 2>/dev/null)
		got="$(value comm_p):$(value unpadded_size) written=$(value written)"
		[ "$got" = "$want" ] || fail "packing $round, payload of $payload bytes behind $existing: $got, the reference has $want"
		[ "$(value offset)" = "$start" ] || fail "packing $round: offset $(value offset), want $start"
		existing+=${existing:+,}$size list+=${list:+,}${want%% *}
		end=$((start + size / 127 * 128)) pieces=$((pieces + 1))
	done
	while read -r _ _ commitment _ at; do
		size=${commitment#*:}
		head -c "$size" /dev/zero >piece
		want=$("$ORACLE" addpiece 8MiB/1.1 piece theirs "$size" ${existing:+"$existing"} 2>/dev/null)
		[ "$commitment written=$size" = "$want" ] || fail "packing $round, zero piece at $at behind $existing: $commitment, the reference has $want"
		existing+=${existing:+,}$size list+=${list:+,}$commitment zeros=$((zeros + 1))
	done < <(./sdrbench addpiece --proof $proof --fill --staged ours --record)
	cmp ours theirs || fail "packing $round, $existing: the staged files differ"
	[ "$(stat -c %s ours)" = $sector ] || fail "packing $round, $existing: staged has $(stat -c %s ours) bytes"
	got=$(./sdrbench comm-d --proof $proof --pieces ours.pieces | sed -n 's/^comm_d *//p')
	want=$("$ORACLE" commd 8MiB/1.1 "$list" 2>/dev/null)
	[ "$got" = "$want" ] || fail "packing $round, $list: comm_d $got, the reference has $want"
done
echo "packings: $count equal the reference's: $pieces pieces, $zeros zero pieces"
