//go:build ignore

// Piece writes the first bytes of the piece that `sdrbench bench` seals to
// standard output: go run piece.go 2032 >piece. It shares no code with sdrbench,
// so that digests.sh judges that too.
package main

import (
	"io"
	"log"
	"math/rand/v2"
	"os"
	"strconv"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: go run piece.go SIZE >FILE")
	}
	size, err := strconv.ParseInt(os.Args[1], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	var seed [32]byte
	copy(seed[:], "sdrbench bench piece v1")
	if _, err := io.CopyN(os.Stdout, rand.NewChaCha8(seed), size); err != nil {
		log.Fatal(err)
	}
}
