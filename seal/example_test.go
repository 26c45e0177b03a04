package seal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// A sector of the smallest size, from its piece to what phase 2 needs.
func Example() {
	dir, err := os.MkdirTemp("", "sector")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	s := seal.Sector{
		Proof:    porep.StackedDrg2KiBV1_1,
		CacheDir: filepath.Join(dir, "cache"),
		Staged:   filepath.Join(dir, "staged"),
		Sealed:   filepath.Join(dir, "sealed"),
		ProverID: porep.ProverIDOf(1000),
		Number:   9,
		Ticket:   porep.Ticket{1, 2, 3},
	}
	if err := errors.Join(os.Mkdir(s.CacheDir, 0o777), os.WriteFile(s.Sealed, nil, 0o666)); err != nil {
		log.Fatal(err)
	}

	data := bytes.Repeat([]byte("data"), 508) // 2032 bytes fill the sector
	piece, err := seal.AppendPiece(ctx, seal.Append{Proof: s.Proof, Staged: s.Staged}, bytes.NewReader(data), 2032)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("comm_p    ", piece.CommP)

	s.Pieces = []porep.Piece{piece.Piece}
	out, err := seal.PreCommit1(ctx, s, seal.Options{})
	if errors.Is(err, seal.ErrBusy) {
		log.Fatal("another job has this sector; it is not disturbed")
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("comm_d    ", out.CommD)
	fmt.Println("replica id", out.ReplicaID)
	text, err := out.JSON() // for phase 2
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("JSON:", len(text) > 0)
	// Output:
	// comm_p     aca5f4456b6e385a092dd7e5999d8f3a6002950f553c08b1045109797690a924
	// comm_d     aca5f4456b6e385a092dd7e5999d8f3a6002950f553c08b1045109797690a924
	// replica id c0f5588866946d3025ee797075f522590e6aed69c9fd97f194b72621a2c38527
	// JSON: true
}

// Two sectors are labelled together. One that fails leaves the other alone.
func ExamplePreCommit1Together() {
	dir, err := os.MkdirTemp("", "sectors")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	// Without deals the data are zeros, here the same for both. On Linux DevZero would do.
	staged := filepath.Join(dir, "staged")
	if err := os.WriteFile(staged, make([]byte, 2048), 0o666); err != nil {
		log.Fatal(err)
	}
	var sectors []seal.Sector
	for number := range uint64(2) {
		s := seal.Sector{
			Proof:    porep.StackedDrg2KiBV1_1,
			CacheDir: filepath.Join(dir, fmt.Sprint("cache-", number)),
			Staged:   staged,
			Sealed:   filepath.Join(dir, fmt.Sprint("sealed-", number)),
			ProverID: porep.ProverIDOf(1000),
			Number:   number,
			Ticket:   porep.Ticket{1, 2, 3},
		}
		if err := errors.Join(os.Mkdir(s.CacheDir, 0o777), os.WriteFile(s.Sealed, nil, 0o666)); err != nil {
			log.Fatal(err)
		}
		sectors = append(sectors, s)
	}
	outs, err := seal.PreCommit1Together(context.Background(), sectors, seal.Options{})
	if outs == nil { // nothing was begun
		log.Fatal(err)
	}
	for i, out := range outs {
		if out.Err != nil {
			fmt.Println("sector", i, "failed:", out.Err)
			continue
		}
		fmt.Println("sector", i, out.Output.ReplicaID)
	}
	// Output:
	// sector 0 f9da2c09f2e2a02f8ffc96bdf8fcaf0e31d4cc110832031c59b4fa10c06bd93b
	// sector 1 8455077b3bddac1d5046079860da72fd6fdd7b1e1bb6b50d213e49864b053839
}

// A piece's commitment, without a sector.
func ExampleCommP() {
	data := bytes.Repeat([]byte("data"), 508)
	piece, err := seal.CommP(context.Background(), bytes.NewReader(data), 2032)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(piece.CommP)
	// Output:
	// aca5f4456b6e385a092dd7e5999d8f3a6002950f553c08b1045109797690a924
}
