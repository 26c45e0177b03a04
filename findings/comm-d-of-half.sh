#!/usr/bin/env bash
# Which sector the reference, filecoin-proofs-api 19.1.0, works out a comm_d for if
# the pieces do not fill it.
#
# Seen: pieces that cover more than half of a sector are completed with zeros, up to
# the sector. Pieces that cover half of it or less are completed only up to the next
# power of two: compute_comm_d gives the comm_d of a smaller sector, without an error,
# and phase 1 fails on the same staged file that it made: its comm_d, from the data, is
# the whole sector's. With the missing pieces of zeros named, both agree.
#
# Output on 2026-11-30, 2 KiB sectors, Linux x86-64, cargo 1.95:
#   5/8 of the sector: comm_d is the whole sector's, phase 1 succeeds
#   1/2 of the sector: comm_d is that of 1024 bytes, phase 1: pieces and comm_d do not match
#   1/8 of the sector: comm_d is that of 256 bytes, phase 1: pieces and comm_d do not match
#
#   findings/comm-d-of-half.sh
#
# Needs cargo and the network; takes some minutes, nearly all of it to build.
# CARGO_TARGET_DIR names a directory that keeps what was built for the next time.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/src"

cat >"$tmp/Cargo.toml" <<'TOML'
[package]
name = "comm-d-of-half"
version = "0.0.0"
edition = "2021"

[dependencies]
filecoin-proofs-api = { version = "=19.1.0", default-features = false }
filecoin-proofs = { version = "=19.1.0", default-features = false }
storage-proofs-porep = { version = "=19.1.0", default-features = false }
storage-proofs-core = { version = "=19.1.0", default-features = false }
TOML

cat >"$tmp/src/main.rs" <<'RUST'
use filecoin_proofs::pieces::zero_padding;
use filecoin_proofs_api::{seal, Commitment, PieceInfo, RegisteredSealProof, SectorId, UnpaddedBytesAmount};
use std::{fs, fs::File, io::Cursor, path::Path};

const PROOF: RegisteredSealProof = RegisteredSealProof::StackedDrg2KiBV1_1;
const SECTOR: u64 = 2048;

fn unpadded(bytes: u64) -> UnpaddedBytesAmount {
    UnpaddedBytesAmount(bytes / 128 * 127)
}

/// The comm_d of a tree of so many bytes, whose first part the pieces are: pieces of zeros fill the rest.
fn filled(pieces: &[PieceInfo], mut covered: u64, bytes: u64) -> Commitment {
    let mut all = pieces.to_vec();
    while covered < bytes {
        let size = 1 << covered.trailing_zeros(); // what comes next where pieces are aligned to their size
        all.push(zero_padding(unpadded(size)).unwrap());
        covered += size;
    }
    seal::compute_comm_d(PROOF, &all).unwrap()
}

/// Adds pieces of these padded sizes, and says what becomes of them.
fn case(root: &Path, sizes: &[u64]) -> String {
    fs::create_dir_all(root.join("cache")).unwrap();
    let staged = root.join("staged");
    let mut file = File::create(&staged).unwrap();
    let (mut pieces, mut before): (Vec<PieceInfo>, Vec<UnpaddedBytesAmount>) = (vec![], vec![]);
    for &size in sizes {
        let n = unpadded(size);
        let (piece, _) = seal::add_piece(PROOF, Cursor::new(vec![b'a'; n.0 as usize]), &mut file, n, &before).unwrap();
        pieces.push(piece);
        before.push(n);
    }
    let covered: u64 = sizes.iter().sum();
    let comm_d = seal::compute_comm_d(PROOF, &pieces).unwrap();
    let of = if comm_d == filled(&pieces, covered, SECTOR) {
        "the whole sector's".to_string()
    } else {
        let smaller = covered.next_power_of_two();
        assert_eq!(comm_d, filled(&pieces, covered, smaller), "changed: comm_d is of neither");
        format!("that of {smaller} bytes")
    };
    let sealed = root.join("sealed");
    File::create(&sealed).unwrap();
    let phase1 = match seal::seal_pre_commit_phase1(
        PROOF, root.join("cache"), &staged, &sealed, [0; 32], SectorId::from(1), [1; 32], &pieces,
    ) {
        Ok(_) => "phase 1 succeeds".to_string(),
        Err(e) => format!("phase 1: {}", e.root_cause()),
    };
    format!("comm_d is {of}, {phase1}")
}

fn main() {
    let root = std::path::PathBuf::from(std::env::args().nth(1).unwrap());
    const FAILS: &str = "phase 1: pieces and comm_d do not match";
    for (part, sizes, want) in [
        ("5/8", &[1024, 256][..], "comm_d is the whole sector's, phase 1 succeeds".to_string()),
        ("1/2", &[1024][..], format!("comm_d is that of 1024 bytes, {FAILS}")),
        ("1/8", &[128, 128][..], format!("comm_d is that of 256 bytes, {FAILS}")),
    ] {
        let found = case(&root.join(part.replace('/', "of")), sizes);
        println!("{part} of the sector: {found}");
        assert_eq!(found, want, "changed");
    }
}
RUST

mkdir "$tmp/sectors" "$tmp/parents"
cargo build --release --quiet --manifest-path "$tmp/Cargo.toml" --target-dir "${CARGO_TARGET_DIR:-$tmp/target}"
FIL_PROOFS_PARENT_CACHE=$tmp/parents "${CARGO_TARGET_DIR:-$tmp/target}/release/comm-d-of-half" "$tmp/sectors"
