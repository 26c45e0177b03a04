package main

import (
	"cmp"

	"github.com/sdr-engine/sdr/parentcache"
	"github.com/sdr-engine/sdr/reserve"
)

// Settings are what the environment says. It is read here and nowhere else.
type settings struct {
	parentCacheDir string // FIL_PROOFS_PARENT_CACHE, as the reference has it
	lockDir        string // SDR_LOCK_DIR, where jobs hold cores
	plainTerminal  bool   // a terminal that cannot move its cursor
	noColor        bool   // see no-color.org
}

func readSettings(getenv func(string) string) settings {
	return settings{
		parentCacheDir: cmp.Or(getenv("FIL_PROOFS_PARENT_CACHE"), parentcache.DefaultDir),
		lockDir:        cmp.Or(getenv("SDR_LOCK_DIR"), reserve.DefaultDir),
		plainTerminal:  getenv("TERM") == "dumb",
		noColor:        getenv("NO_COLOR") != "",
	}
}
