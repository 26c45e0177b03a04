//go:build !amd64

package manifest

// Scheme is how the hashes of this program's manifests are made: see Tree. There is no BLAKE3 with
// vectors here.
const Scheme = "sha256-of-block-sha256"
