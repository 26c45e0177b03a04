package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// What the reference implementation, filecoin-proofs-api 19.1.0, makes of the
// sector that bench seals. Testdata/digests.sh made it and can make it again:
// it writes the piece with a program of its own, and runs the reference's
// AddPiece and phase 1 on it. None of these values comes from this project.
//
//go:embed known_digests.json
var knownJSON []byte

// A knownResult is a sector's comm_d and its files' SHA-256, in hex.
type knownResult struct {
	CommD string            `json:"comm_d"`
	Files map[string]string `json:"files"`
}

// known returns what is known of a proof's sector; ok is false where nothing is.
func known(p porep.SealProof) (k knownResult, ok bool, err error) {
	var all map[string]knownResult
	if err := json.Unmarshal(knownJSON, &all); err != nil {
		return k, false, fmt.Errorf("reading the known digests: %w", err)
	}
	k, ok = all[p.String()]
	return k, ok, nil
}

// A wrongFile is a file, or comm_d, that is not as the reference's.
type wrongFile struct {
	name, got, want string
}

func wrongNames(wrong []wrongFile) string {
	names := make([]string, len(wrong))
	for i, w := range wrong {
		names[i] = w.name
	}
	return strings.Join(names, ", ")
}

// A wrongResultError says that this machine seals wrong.
type wrongResultError struct {
	proof porep.SealProof
	wrong []wrongFile
}

func (e *wrongResultError) Error() string {
	texts := make([]string, len(e.wrong))
	for i, w := range e.wrong {
		texts[i] = fmt.Sprintf("%s is %s, want %s", w.name, w.got, w.want)
	}
	return fmt.Sprintf("bench: %v: not as the reference's: %s", e.proof, strings.Join(texts, "; "))
}

// Labels of a layer that are recomputed, and how much is digested at most.
const (
	checkedLabels  = 256
	digestedAtMost = 64 << 30
)

// checkSamples recomputes a sample of every layer of every sector, and digests all
// of the layers, if that takes no longer than making them.
func (a *app) checkSamples(ctx context.Context, r *benchReport, sectors []engine.Sector) error {
	layersMade := r.Config.Layers
	for i, s := range sectors {
		for layer := 1; layer <= layersMade; layer++ {
			if err := engine.VerifySample(r.proof, s, layer, checkedLabels, uint64(i)); err != nil {
				return fmt.Errorf("checking the result: %w", err)
			}
		}
	}
	right := true
	r.Correct = &right
	if uint64(r.proof.SectorSize())*uint64(len(sectors)*layersMade) > digestedAtMost {
		return nil
	}
	all := sha256.New()
	for _, s := range sectors {
		digest, err := a.digest(ctx, layers.Path(s.CacheDir, layersMade))
		if err != nil {
			return fmt.Errorf("checking the result: %w", err)
		}
		fmt.Fprintln(all, digest)
	}
	r.Digest = fmt.Sprintf("%x", all.Sum(nil))
	return nil
}

// check digests the sector's files, all at once, and compares them.
func (a *app) check(ctx context.Context, r *benchReport, s seal.Sector) error {
	paths, err := filepath.Glob(filepath.Join(s.CacheDir, "sc-02-*")) // the manifest is no file of the reference's
	if err != nil {
		return err
	}
	paths = append(paths, s.Sealed)
	digests := make([]string, len(paths))
	errs := make([]error, len(paths))
	var wg sync.WaitGroup
	for i, path := range paths {
		wg.Go(func() { digests[i], errs[i] = a.digest(ctx, path) })
	}
	wg.Wait()
	r.Digests = make(map[string]string)
	for i, path := range paths {
		if errs[i] != nil {
			return fmt.Errorf("checking the result: %w", errs[i])
		}
		r.Digests[filepath.Base(path)] = digests[i]
	}
	r.Digest = r.Digests[filepath.Base(layers.Path(s.CacheDir, r.proof.Layers()))]
	k, ok, err := known(r.proof)
	if ok {
		r.wrong = k.compare(r.CommD, r.Digests)
		correct := len(r.wrong) == 0
		r.Correct = &correct
	}
	return err
}

// compare lists what differs, missing and superfluous files included.
func (k knownResult) compare(commD string, digests map[string]string) (wrong []wrongFile) {
	if commD != k.CommD {
		wrong = append(wrong, wrongFile{"comm_d", commD, k.CommD})
	}
	names := make(map[string]bool)
	for name := range k.Files {
		names[name] = true
	}
	for name := range digests {
		names[name] = true
	}
	for name := range names {
		if got, want := digests[name], k.Files[name]; got != want {
			wrong = append(wrong, wrongFile{name, orNone(got), orNone(want)})
		}
	}
	sort.Slice(wrong, func(i, j int) bool { return wrong[i].name < wrong[j].name })
	return wrong
}

func orNone(digest string) string {
	if digest == "" {
		return "missing"
	}
	return "SHA-256 " + digest
}

func (a *app) digest(ctx context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.CopyBuffer(hash, &counter{ctx: ctx, r: f}, make([]byte, 1<<20)); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", hash.Sum(nil)), nil
}
