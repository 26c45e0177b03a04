//go:build !race

package sha256

func raceReadBytes([]byte) {}

func raceWrites([]byte) {}

func raceReads([]uint32, *Layer, uint64) {}
