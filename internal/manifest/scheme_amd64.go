package manifest

// Scheme is how the hashes of this program's manifests are made: see Tree. Of lanes that are labelled
// in lock-step with AVX-512, SHA-256 of what they make would take a twentieth of the time that labels
// do; BLAKE3 takes a third of that with vectors.
const Scheme = "sha256-of-block-blake3"
