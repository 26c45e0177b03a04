package main

import (
	"cmp"
	"strings"

	"github.com/sdr-engine/sdr/parentcache"
	"github.com/sdr-engine/sdr/reserve"
)

// Settings are what the environment says. It is read here and nowhere else.
type settings struct {
	parentCacheDir string // FIL_PROOFS_PARENT_CACHE, as the reference has it
	lockDir        string // SDR_LOCK_DIR, where jobs hold cores
	kernel         string // SDR_KERNEL, a label kernel's name
	profile        string // SDR_PROFILE, the file that tune wrote, or none
	// What the reference calls multicore SDR: our producers. Not checked yet.
	producers, stride, lookahead string // FIL_PROOFS_MULTICORE_SDR_PRODUCERS, _PRODUCER_STRIDE, _LOOKAHEAD
	maximizeCaching              bool   // FIL_PROOFS_MAXIMIZE_CACHING: the parent cache in memory

	plainTerminal bool // a terminal that cannot move its cursor
	noColor       bool // see no-color.org
}

func readSettings(getenv func(string) string) settings {
	return settings{
		parentCacheDir:  cmp.Or(getenv("FIL_PROOFS_PARENT_CACHE"), parentcache.DefaultDir),
		lockDir:         cmp.Or(getenv("SDR_LOCK_DIR"), reserve.DefaultDir),
		kernel:          getenv("SDR_KERNEL"),
		profile:         getenv("SDR_PROFILE"),
		producers:       getenv("FIL_PROOFS_MULTICORE_SDR_PRODUCERS"),
		stride:          getenv("FIL_PROOFS_MULTICORE_SDR_PRODUCER_STRIDE"),
		lookahead:       getenv("FIL_PROOFS_MULTICORE_SDR_LOOKAHEAD"),
		maximizeCaching: isTrue(getenv("FIL_PROOFS_MAXIMIZE_CACHING")),
		plainTerminal:   getenv("TERM") == "dumb",
		noColor:         getenv("NO_COLOR") != "",
	}
}

// isTrue reads a boolean as the reference does; what is neither is false there too.
func isTrue(text string) bool {
	switch strings.ToLower(text) {
	case "1", "true", "on", "yes":
		return true
	}
	return false
}
