#!/usr/bin/env bash
# Does the reference implementation's phase 2 accept what our AddPiece and
# PreCommit 1 leave behind, and find the golden comm_r, also where another sector
# was sealed in the same directories before?
#
#   scripts/oracle-p2.sh [CASE]...      cases of golden/sectors.json by name
#
#   ORACLE=FILE   a built oracle; without it the oracle is built from
#                 ../shared/oracle in a temporary directory (needs cargo, minutes)
#   SHARED=DIR    instead of ../shared
#
# Optional: the test suite is complete without it.
set -euo pipefail
cd "$(dirname "$0")/.."

shared=${SHARED:-../shared}
cases=("$@")
((${#cases[@]})) || cases=(visible-2KiB-1.1-4 visible-8MiB-1.1-13)

fail() {
	echo "oracle-p2: $*" >&2
	exit 1
}
[ -r "$shared/golden/sectors.json" ] || fail "$shared/golden/sectors.json is not there: set SHARED to the directory that holds golden/ and oracle/"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

if [ -z "${ORACLE:-}" ]; then
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

# Golden cases as lines for the loop below, and the pieces' bytes as files: a
# piece is its stream, SHA-256(name ‖ u64le(0)) ‖ SHA-256(name ‖ u64le(1)) ‖ …
cat >"$tmp/golden.go" <<'GO'
package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
)

func main() {
	log.SetFlags(0)
	file, dir, names := os.Args[1], os.Args[2], os.Args[3:]
	text, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	var sectors []struct {
		Name     string
		Proof    string `json:"registered_proof"`
		ProverID string `json:"prover_id"`
		SectorID uint64 `json:"sector_id"`
		Ticket   string
		Pieces   []struct {
			Stream string
			Size   int    `json:"unpadded_size"`
			CommP  string `json:"comm_p"`
		}
		CommD string `json:"comm_d"`
		CommR string `json:"comm_r"`
	}
	if err := json.Unmarshal(text, &sectors); err != nil {
		log.Fatalf("%s: %v", file, err)
	}
	found := 0
	for _, s := range sectors {
		if !slices.Contains(names, s.Name) {
			continue
		}
		found++
		fmt.Println("sector", s.Name, s.Proof, s.ProverID, s.SectorID, s.Ticket)
		for i, p := range s.Pieces {
			var stream []byte
			for n := uint64(0); len(stream) < p.Size; n++ {
				block := sha256.Sum256(binary.LittleEndian.AppendUint64([]byte(p.Stream), n))
				stream = append(stream, block[:]...)
			}
			path := filepath.Join(dir, fmt.Sprintf("%s-piece%d", s.Name, i))
			if err := os.WriteFile(path, stream[:p.Size], 0o600); err != nil {
				log.Fatal(err)
			}
			fmt.Println("piece", path, p.Size, p.CommP)
		}
		fmt.Println("want", s.CommD, s.CommR)
	}
	if found != len(names) {
		log.Fatalf("%s has %d of the cases %q", file, found, names)
	}
}
GO
go run "$tmp/golden.go" "$shared/golden/sectors.json" "$tmp" "${cases[@]}" >"$tmp/plan"

while read -r -u 3 kind a b c d e; do
	case $kind in
	sector)
		name=$a proof=$b prover=$c sector=$d ticket=$e
		existing='' pieces=()
		dir=$tmp/$name
		mkdir -p "$dir/cache"
		: >"$dir/staged"
		: >"$dir/sealed"
		;;
	piece)
		add=(--proof "$proof" --piece "$a" --piece-size "$b" --staged "$dir/staged" --json)
		[ -z "$existing" ] || add+=(--existing "$existing")
		comm_p=$("$tmp/sdrbench" addpiece "${add[@]}" | sed -n 's/.*"comm_p": *"\([0-9a-f]*\)".*/\1/p')
		[ "$comm_p" = "$c" ] || fail "$name: addpiece gave comm_p $comm_p, want $c"
		existing+=${existing:+,}$b
		pieces+=(--piece "$comm_p:$b")
		;;
	want)
		# Another sector first, with its phase 2, in the same directories: nothing of it
		# may be taken over. Its ticket is the golden one backwards.
		for t in "$(rev <<<"$ticket")" "$ticket"; do
			"$tmp/sdrbench" pc1 --proof "$proof" --cache-dir "$dir/cache" --staged "$dir/staged" --sealed "$dir/sealed" --overwrite --restart \
				--prover-id "$prover" --sector "$sector" --ticket "$t" "${pieces[@]}" --output "$dir/p1.json"
			got=$("$ORACLE" p2 "$dir/p1.json" "$dir/cache" "$dir/sealed") || fail "$name: the reference's phase 2 refuses our phase 1"
		done
		[ "$got" = "comm_d=$a comm_r=$b" ] || fail "$name: the reference's phase 2 gave $got, want comm_d=$a comm_r=$b"
		echo "ok $name: $got"
		rm -rf "$dir"
		;;
	esac
done 3<"$tmp/plan"
