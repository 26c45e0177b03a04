package overlay_test

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/overlay"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
)

// A host is a copy of the stand-in: a program that seals with a filecoin-ffi of its own.
type host struct {
	dir, ffi, goMod string
	flags           []string // of the build
	out             string
}

func newHost(t *testing.T) *host {
	t.Helper()
	dir := t.TempDir()
	h := &host{dir: filepath.Join(dir, "host"), out: filepath.Join(dir, "out")}
	if err := os.CopyFS(h.dir, os.DirFS("testdata/host")); err != nil {
		t.Fatal(err)
	}
	h.ffi, h.goMod = filepath.Join(h.dir, "extern", "filecoin-ffi"), filepath.Join(h.dir, "go.mod")
	return h
}

func (h *host) options() overlay.Options {
	return overlay.Options{FFI: h.ffi, GoMod: h.goMod, Out: h.out, Module: "../.."}
}

// edit changes a file, in which old stands once.
func edit(t *testing.T, path, old, new string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), old) != 1 {
		t.Fatalf("%s has %q %d times, want it once", path, old, strings.Count(string(text), old))
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o666); err != nil {
		t.Fatal(err)
	}
}

// withoutC takes out of the stand-in what cgo needs.
func (h *host) withoutC(t *testing.T) {
	t.Helper()
	path := filepath.Join(h.ffi, "proofs.go")
	edit(t, path, "//go:build cgo\n\n", "")
	edit(t, path, "// #include <stdlib.h>\nimport \"C\"\n", "")
}

// build makes the host's program with the overlay, offline.
func (h *host) build(t *testing.T, cgo string) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "host")
	cmd := exec.CommandContext(t.Context(), "go", append(append([]string{"build"}, h.flags...), "-buildvcs=false", "-o", program, ".")...)
	cmd.Dir = h.dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOPROXY=off", "GOSUMDB=off", "GOWORK=off", "CGO_ENABLED="+cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// What the program reads and prints: see testdata/host/main.go.
type (
	sector struct {
		Dir                  string
		Proof, Miner, Number uint64
		Ticket               []byte
		ReplicaID            [32]byte
		Staged               string
		Pieces               []piece
	}
	piece struct {
		File string
		Size uint64
	}
	result struct {
		Pieces           []written
		Unsealed, Phase1 string
		Errors           map[string]string
	}
	written struct {
		CID, FileCID       string
		Alignment, Written uint64
	}
)

const miner = 1000

// sectorOf has the host do a golden sector.
func sectorOf(t *testing.T, g *golden.Sector, dir string) sector {
	t.Helper()
	p, err := porep.ParseSealProof(g.RegisteredProof)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	s := sector{Dir: dir, Proof: uint64(p), Miner: miner, Number: g.SectorID, Ticket: unhex(t, g.Ticket), ReplicaID: [32]byte(unhex(t, g.ReplicaID))}
	if len(g.Pieces) == 0 {
		s.Staged = seal.DevZero
	}
	for i, gp := range g.Pieces {
		path := filepath.Join(dir, fmt.Sprint("piece", i))
		f, err := os.Create(path)
		if err == nil {
			_, err = io.Copy(f, golden.Stream(gp.Stream, gp.UnpaddedSize))
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		s.Pieces = append(s.Pieces, piece{path, gp.UnpaddedSize})
	}
	return s
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pieceCID is a CID of version 1, codec 0xf101, multihash 0x1012 of 32 bytes, in base 32.
func pieceCID(t *testing.T, commitment string) string {
	t.Helper()
	bytes := append([]byte{1, 0x81, 0xe2, 0x03, 0x92, 0x20, 32}, unhex(t, commitment)...)
	return "b" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(bytes))
}

// run has the program do sectors, and reads what it says of each.
func run(t *testing.T, program string, sectors []sector, env ...string) (results []result, notes string) {
	t.Helper()
	in, err := json.Marshal(sectors)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	var out, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &stderr
	cmd.Env = append(os.Environ(), "SDR_LOCK_DIR="+filepath.Join(t.TempDir(), "locks"), "SDR_PROFILE=none", "SDR_BATCH_WAIT=100ms")
	cmd.Env = append(cmd.Env, env...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	if err := json.Unmarshal(out.Bytes(), &results); err != nil || len(results) != len(sectors) {
		t.Fatalf("%s: %v, %d results of %d", &out, err, len(results), len(sectors))
	}
	return results, stderr.String()
}

// differences are between what came of a sector and what the reference made of it. The
// reference's prover of most golden sectors is no actor: there, phase 1's layers are what ours
// are for the replica id of this miner.
func differences(t *testing.T, g *golden.Sector, s *sector, r *result) (all []string) {
	t.Helper()
	compare := func(what, got, want string) {
		if got != want {
			all = append(all, fmt.Sprintf("%s: %s is %s, want %s", g.Name, what, got, want))
		}
	}
	for function, err := range r.Errors {
		all = append(all, fmt.Sprintf("%s: %s: %s", g.Name, function, err))
	}
	if len(all) > 0 {
		return all
	}
	for i, gp := range g.Pieces {
		want := written{pieceCID(t, gp.CommP), pieceCID(t, gp.CommP), gp.Written - gp.UnpaddedSize, gp.Written}
		compare(fmt.Sprint("piece ", i), fmt.Sprint(r.Pieces[i]), fmt.Sprint(want))
	}
	compare("comm_d", r.Unsealed, pieceCID(t, g.CommD))
	path := func(name string) string { return filepath.Join(s.Dir, name) }
	compare("phase 1", r.Phase1, strings.ReplaceAll(g.P1Output, "$CACHE", path("cache")))
	if s.Staged == "" {
		compare("staged", testkit.Digest(t, path("staged")), g.StagedSHA256)
	}
	compare("sealed", testkit.Digest(t, path("sealed")), g.SealedSHA256)
	compare("tree-d", testkit.Digest(t, path("cache/sc-02-data-tree-d.dat")), g.TreeDSHA256)
	proof, ticket, commD := porep.SealProof(s.Proof), porep.Ticket(s.Ticket), porep.Commitment(unhex(t, g.CommD))
	id := porep.NewReplicaID(proof, porep.ProverIDOf(miner), s.Number, ticket, commD)
	ours := id.String() != g.ReplicaID
	if ours {
		if err := os.Mkdir(path("ours"), 0o777); err != nil {
			t.Fatal(err)
		}
		if _, err := seal.GenerateSDR(context.Background(), proof, path("ours"), id, seal.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	for i, layer := range g.Layers {
		name := fmt.Sprintf("sc-02-data-layer-%d.dat", i+1)
		compare("sdr/"+name, testkit.Digest(t, path("sdr/"+name)), layer.SHA256)
		want := layer.SHA256
		if ours {
			want = testkit.Digest(t, path("ours/"+name))
		}
		compare("cache/"+name, testkit.Digest(t, path("cache/"+name)), want)
	}
	return all
}

// Golden sectors go through the six functions of a host that is built with the overlay, with
// and without cgo, and come out as the reference made them. Its filecoin-ffi is as it was
// with SDR_FFI=off, and nothing of the host's has changed.
func TestHost(t *testing.T) {
	for _, cgo := range []string{"0", "1"} {
		t.Run("CGO_ENABLED="+cgo, func(t *testing.T) {
			testkit.NeedsLong(t, "it builds programs")
			if cgo == "1" {
				if _, err := exec.LookPath("gcc"); err != nil && os.Getenv("CI") != "true" {
					t.Skipf("it needs a C compiler: %v", err)
				}
			}
			h := newHost(t)
			if cgo == "0" {
				h.withoutC(t)
			}
			before := digests(t, h.dir)
			flags, err := overlay.Write(h.options())
			if err != nil {
				t.Fatal(err)
			}
			h.flags = flags
			program := h.build(t, cgo)
			if after := digests(t, h.dir); after != before {
				t.Errorf("the host was\n%s\nand is\n%s", before, after)
			}

			var all []golden.Sector
			var sectors []sector
			dir := t.TempDir()
			for _, g := range append(golden.Sectors(), golden.ZeroSectors()...) {
				if g.SectorSize == 2<<10 || testkit.Long() && g.SectorSize == 8<<20 {
					all = append(all, g)
					sectors = append(sectors, sectorOf(t, &g, filepath.Join(dir, g.Name)))
				}
			}
			results, notes := run(t, program, sectors)
			for i := range all {
				for _, d := range differences(t, &all[i], &sectors[i], &results[i]) {
					t.Error(d)
				}
			}
			for _, want := range []string{"sdr: phase 1 and SDR are made here", fmt.Sprintf("sdr: SDR in %s: done in ", filepath.Join(sectors[0].Dir, "sdr"))} {
				if !strings.Contains(notes, want) {
					t.Errorf("notes are %q, want %q in them", notes, want)
				}
			}

			g := pick(t, all, "visible-2KiB-1.1-4")
			s := sectorOf(t, g, t.TempDir())
			results, _ = run(t, program, []sector{s}, "SDR_FFI=off", "SDR_BATCH=none of its business")
			for _, function := range functions {
				if got, want := results[0].Errors[function], fmt.Sprintf("filcrypto %s: %s", cgo, function); got != want {
					t.Errorf("%s with SDR_FFI=off: %q, want the host's own: %q", function, got, want)
				}
			}
			s = sectorOf(t, g, t.TempDir())
			results, _ = run(t, program, []sector{s}, "SDR_FFI=of")
			for _, function := range functions {
				if got := results[0].Errors[function]; !strings.Contains(got, `SDR_FFI="of"`) {
					t.Errorf("%s with SDR_FFI=of: %q, want what is wrong", function, got)
				}
			}

			if cgo == "1" {
				return // one kind of build shows the rest
			}
			// A wrong overlay does not pass for a right one.
			edit(t, filepath.Join(h.out, "sdr_overlay.go"), "uint64(sectorNum)", "uint64(sectorNum)+1")
			program = h.build(t, cgo)
			for _, name := range []string{"visible-2KiB-1.1-4", "zero-2KiB-1.1"} {
				g := pick(t, all, name)
				s := sectorOf(t, g, t.TempDir())
				results, _ := run(t, program, []sector{s})
				if d := differences(t, g, &s, &results[0]); len(d) == 0 {
					t.Errorf("%s with the next sector's number: no difference", name)
				}
			}
		})
	}
}

var functions = []string{"SealPreCommitPhase1", "GenerateSDR", "WriteWithAlignment", "WriteWithoutAlignment", "GeneratePieceCIDFromFile", "GenerateUnsealedCID"}

func pick(t *testing.T, all []golden.Sector, name string) *golden.Sector {
	t.Helper()
	for i := range all {
		if all[i].Name == name {
			return &all[i]
		}
	}
	t.Fatalf("no golden sector %s", name)
	return nil
}
