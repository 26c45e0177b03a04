#!/usr/bin/env bash
# What the reference, filecoin-proofs-api 19.1.0, makes of a cache directory in
# which an earlier sector's files are left.
#
# Seen: both phases return without an error.
#  - Phase 1 takes a layer file of the right length for its own: it labels nothing,
#    and the second sector gets the first one's comm_r.
#  - If only the layers are removed in between, phase 2 loads the first sector's
#    sc-02-data-tree-c.dat, but makes tree-r-last anew: the comm_r belongs to neither.
#
# Output on 2026-11-30, 2 KiB sectors, Linux x86-64, cargo 1.95:
#   sector A, clean directory          9a7ef37b63d146ce96a8652c2994348216c5027f3f8bba5f6237550c6b3ef32b
#   sector B, clean directory          4bbfa9c3de414c9d304d8f338995c0854212dd11b633e379bf4acc996b649e51
#   B where A was, all files left      9a7ef37b63d146ce96a8652c2994348216c5027f3f8bba5f6237550c6b3ef32b
#   B where A was, layers removed      b01a844e3a72fec9180a13ad96ee54c7d1f4361c55b411b37e7fc885f9939e0c
#   as before: the mixture has A's tree-c and B's tree-r-last
#
#   findings/stale-cache-dir.sh
#
# Needs cargo and the network; takes some minutes, nearly all of it to build.
# CARGO_TARGET_DIR names a directory that keeps what was built for the next time.
set -euo pipefail

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/src"

cat >"$tmp/Cargo.toml" <<'TOML'
[package]
name = "stale-cache-dir"
version = "0.0.0"
edition = "2021"

[dependencies]
filecoin-proofs-api = { version = "=19.1.0", default-features = false }
filecoin-proofs = { version = "=19.1.0", default-features = false }
storage-proofs-porep = { version = "=19.1.0", default-features = false }
storage-proofs-core = { version = "=19.1.0", default-features = false }
TOML

cat >"$tmp/src/main.rs" <<'RUST'
use filecoin_proofs_api::{seal, PieceInfo, RegisteredSealProof, SectorId, UnpaddedBytesAmount};
use std::{fs, fs::File, io::Cursor, path::Path};

const PROOF: RegisteredSealProof = RegisteredSealProof::StackedDrg2KiBV1_1;
const DATA: u64 = 2032;

/// Runs both phases in a directory, which may have been used before.
fn comm_r(dir: &Path, ticket: u8, piece: &PieceInfo, staged: &Path) -> String {
    let (cache, sealed) = (dir.join("cache"), dir.join("sealed"));
    fs::create_dir_all(&cache).unwrap();
    File::create(&sealed).unwrap();
    let done = seal::seal_pre_commit_phase1(
        PROOF, &cache, staged, &sealed, [0; 32], SectorId::from(1), [ticket; 32], &[piece.clone()],
    )
    .expect("phase 1");
    let out = seal::seal_pre_commit_phase2(done, &cache, &sealed).expect("phase 2");
    out.comm_r.iter().map(|b| format!("{b:02x}")).collect()
}

fn main() {
    let root = std::path::PathBuf::from(std::env::args().nth(1).unwrap());
    let staged = root.join("staged");
    let (piece, _) = seal::add_piece(
        PROOF, Cursor::new(vec![b'a'; DATA as usize]), File::create(&staged).unwrap(), UnpaddedBytesAmount(DATA), &[],
    )
    .unwrap();

    let a = comm_r(&root.join("clean-a"), 1, &piece, &staged);
    let b = comm_r(&root.join("clean-b"), 2, &piece, &staged);

    let kept = root.join("kept");
    comm_r(&kept, 1, &piece, &staged);
    let all_left = comm_r(&kept, 2, &piece, &staged);

    let partly = root.join("partly");
    comm_r(&partly, 1, &piece, &staged);
    for layer in ["sc-02-data-layer-1.dat", "sc-02-data-layer-2.dat"] {
        fs::remove_file(partly.join("cache").join(layer)).unwrap();
    }
    let layers_removed = comm_r(&partly, 2, &piece, &staged);

    println!("sector A, clean directory          {a}");
    println!("sector B, clean directory          {b}");
    println!("B where A was, all files left      {all_left}");
    println!("B where A was, layers removed      {layers_removed}");
    assert_ne!(a, b, "two tickets, one comm_r");
    assert_eq!(all_left, a, "changed: with all files left B no longer gets A's comm_r");
    assert!(layers_removed != a && layers_removed != b, "changed: with the layers removed the comm_r is no longer a mixture");

    let tree_c = |dir: &str| fs::read(root.join(dir).join("cache/sc-02-data-tree-c.dat")).unwrap();
    let tree_r = |dir: &str| fs::read(root.join(dir).join("cache/sc-02-data-tree-r-last.dat")).unwrap();
    assert!(tree_c("partly") == tree_c("clean-a"), "changed: tree-c is not A's");
    assert!(tree_r("partly") == tree_r("clean-b"), "changed: tree-r-last is not B's");
    println!("as before: the mixture has A's tree-c and B's tree-r-last");
}
RUST

mkdir "$tmp/sectors" "$tmp/parents"
cargo build --release --quiet --manifest-path "$tmp/Cargo.toml" --target-dir "${CARGO_TARGET_DIR:-$tmp/target}"
FIL_PROOFS_PARENT_CACHE=$tmp/parents "${CARGO_TARGET_DIR:-$tmp/target}/release/stale-cache-dir" "$tmp/sectors"
