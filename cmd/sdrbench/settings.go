package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sdr-engine/sdr/internal/input"
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
	producers, stride, lookahead string  // FIL_PROOFS_MULTICORE_SDR_PRODUCERS, _PRODUCER_STRIDE, _LOOKAHEAD
	maximizeCaching              bool    // FIL_PROOFS_MAXIMIZE_CACHING: the parent cache in memory
	wrong                        []error // of the reference's settings, each with its variable; see checkReference

	worker workerSettings // what damocles-worker tells its external processors

	plainTerminal bool // a terminal that cannot move its cursor
	noColor       bool // see no-color.org
	core          bool // GOTRACEBACK asks for a core file
}

// workerSettings are what damocles-worker tells an external processor. Not checked yet; "" is
// nothing.
type workerSettings struct {
	cpus           string // VC_CG_CPUSET
	group          string // VC_CG_NAME
	numaNode       string // VENUS_WORKER_NUMA_PREFERRED
	hugeFiles      string // HUGEPAGE_FILES_PATH
	hugeFilesNamed string // HUGEPAGE_FILES_PATH_PATTERN
}

// readSettings reads "NAME=text" variables. The reference, by the crate config, takes its
// own in any case, an empty one for one that is set, and fails for what it cannot read.
func readSettings(environ []string) (s settings) {
	exact := map[string]string{}
	type variable struct{ name, text string }
	reference := map[string]variable{} // by lower-case names
	wrong := func(format string, args ...any) { s.wrong = append(s.wrong, usageError{fmt.Errorf(format, args...)}) }
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		if _, again := exact[name]; again {
			continue // as getenv, the first
		}
		exact[name] = text
		lower := strings.ToLower(name)
		if !strings.HasPrefix(lower, "fil_proofs_") {
			continue
		}
		if other, ok := reference[lower]; ok && other.text != text && slices.Contains(referenceSettings, strings.TrimPrefix(lower, "fil_proofs_")) {
			wrong("%s is %q, and %s is %q: unset one of them", other.name, other.text, name, text)
		}
		reference[lower] = variable{name, text}
	}
	get := func(name string) string {
		v, ok := reference[strings.ToLower(name)]
		switch {
		case ok && v.text == "":
			wrong("%s: it is set and empty, which is no value: unset it", v.name)
		case !utf8.ValidString(v.text):
			wrong("%s: %q is no UTF-8", v.name, v.text)
		}
		return v.text
	}

	// The reference reads this one by itself, in capitals, and puts no slash in between.
	parentCacheDir := parentcache.DefaultDir
	if prefix, ok := exact["FIL_PROOFS_CACHE_DIR"]; ok {
		parentCacheDir = prefix + "filecoin-parents"
	}
	s.parentCacheDir = cmp.Or(get("FIL_PROOFS_PARENT_CACHE"), parentCacheDir)
	s.lockDir = cmp.Or(exact["SDR_LOCK_DIR"], reserve.DefaultDir)
	s.kernel = exact["SDR_KERNEL"]
	s.profile = exact["SDR_PROFILE"]
	s.producers = get("FIL_PROOFS_MULTICORE_SDR_PRODUCERS")
	s.stride = get("FIL_PROOFS_MULTICORE_SDR_PRODUCER_STRIDE")
	s.lookahead = get("FIL_PROOFS_MULTICORE_SDR_LOOKAHEAD")
	switch text := get("FIL_PROOFS_MAXIMIZE_CACHING"); strings.ToLower(text) {
	case "1", "true", "on", "yes":
		s.maximizeCaching = true
	case "0", "false", "off", "no", "": // get has said what is wrong with an empty one
	default:
		wrong("%s: %q is no boolean, want 1, true, on, yes or 0, false, off, no", reference["fil_proofs_maximize_caching"].name, text)
	}
	s.worker = workerSettings{
		cpus: exact["VC_CG_CPUSET"], group: exact["VC_CG_NAME"], numaNode: exact["VENUS_WORKER_NUMA_PREFERRED"],
		hugeFiles: exact["HUGEPAGE_FILES_PATH"], hugeFilesNamed: exact["HUGEPAGE_FILES_PATH_PATTERN"],
	}
	s.plainTerminal = exact["TERM"] == "dumb"
	s.noColor = exact["NO_COLOR"] != ""
	s.core = exact["GOTRACEBACK"] == "crash"
	return s
}

// referenceSettings are those of the reference that readSettings asks for.
var referenceSettings = []string{"parent_cache", "multicore_sdr_producers", "multicore_sdr_producer_stride", "multicore_sdr_lookahead", "maximize_caching"}

// referenceFile is where the reference reads settings that the environment does not have.
const referenceFile = "rust-fil-proofs.config.toml"

// inReferenceFile finds those settings there.
var inReferenceFile = regexp.MustCompile(`(?mi)^[ \t]*["']?(` + strings.Join(referenceSettings, "|") + `)["']?[ \t]*=`)

// checkReference is for commands that the reference's settings are for. It says what is wrong
// with them, and notes that those of the file are not used: what happens to be in a working
// directory does not decide here.
func (a *app) checkReference(ctx context.Context) error {
	if info, err := os.Stat(referenceFile); err == nil && info.Mode().IsRegular() {
		if f, err := input.OpenUntil(ctx, referenceFile); err == nil {
			defer f.Close()
			const most = 1 << 16 // the reference's sample has 2 KiB
			text, _ := io.ReadAll(io.LimitReader(f, most))
			var names []string
			for _, m := range inReferenceFile.FindAllSubmatch(text, -1) {
				names = append(names, "FIL_PROOFS_"+string(bytes.ToUpper(m[1])))
			}
			if len(names) > 0 {
				a.note("%s in the working directory is not read: set %s in the environment, if that is wanted", referenceFile, strings.Join(names, ", "))
			}
		}
	}
	return errors.Join(a.settings.wrong...)
}
