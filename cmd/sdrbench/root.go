package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/sdr-engine/sdr/topology"
)

// checkRoot refuses a directory that holds no machine at all, so that a wrong one is not
// taken for a machine of which nothing is known.
func checkRoot(root string) error {
	info, err := os.Stat(root)
	if err != nil || !info.IsDir() {
		return nil // what reads it says what is wrong
	}
	for _, name := range []string{"sys", "proc"} {
		if info, err := os.Stat(filepath.Join(root, name)); err == nil && info.IsDir() {
			return nil
		}
	}
	return usageError{fmt.Errorf("--root: %q holds neither a sys nor a proc directory, so no machine", root)}
}

// readMachine reads the machine of a directory, "/" for this one, or of a dump file.
func readMachine(root string) (*topology.Machine, error) {
	if info, err := os.Stat(root); err == nil && !info.IsDir() {
		return topology.ReadDump(root)
	}
	return topology.ReadRoot(root)
}
