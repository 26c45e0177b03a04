package sealer_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/sealer"
)

// Two sectors without deals, labelled together on the machine's cores.
func Example() {
	dir, err := os.MkdirTemp("", "sealer")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	var sectors []seal.Sector
	for number := range uint64(2) {
		sector := filepath.Join(dir, fmt.Sprint(number))
		if err := errors.Join(os.MkdirAll(filepath.Join(sector, "cache"), 0o777), os.WriteFile(filepath.Join(sector, "sealed"), nil, 0o666)); err != nil {
			fmt.Println(err)
			return
		}
		sectors = append(sectors, seal.Sector{
			Proof: porep.StackedDrg2KiBV1_1, CacheDir: filepath.Join(sector, "cache"), Staged: seal.DevZero, Sealed: filepath.Join(sector, "sealed"),
			ProverID: porep.ProverIDOf(1000), Number: number, Ticket: porep.Ticket{7},
		})
	}

	ctx := context.Background()
	m, err := sealer.Open(ctx, sealer.Options{LockDir: filepath.Join(dir, "locks")}) // the default is the whole machine's
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	outs, err := m.PreCommit1(ctx, sectors, sealer.Job{Name: "two sectors", Wait: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, out := range outs {
		fmt.Println("sector", i, "has comm_d", out.Output.CommD)
	}
	// Output:
	// sector 0 has comm_d fc7e928296e516faade986b28f92d44a4f24b935485223376a799027bc18f833
	// sector 1 has comm_d fc7e928296e516faade986b28f92d44a4f24b935485223376a799027bc18f833
}
