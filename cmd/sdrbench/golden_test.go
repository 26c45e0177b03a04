package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/internal/golden"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

// Every golden sector comes out of the command line as it did of the reference.
func TestGoldenSectors(t *testing.T) {
	for _, s := range append(golden.Sectors(), golden.ZeroSectors()...) {
		t.Run(s.Name, func(t *testing.T) {
			if !testkit.Long() && s.SectorSize > 2<<10 && s.Name != "visible-8MiB-1.1-13" {
				t.Skip("a large sector, of which one stands for all: set SDR_LONG_TESTS=1")
			}
			t.Parallel()
			testGoldenSector(t, s)
		})
	}
}

// layOut makes a sector's staged and the other paths of pc1, and the flags that name them.
func layOut(t *testing.T, s golden.Sector) (cacheDir, staged, sealed string, sector []string) {
	t.Helper()
	dir := t.TempDir()
	cacheDir, staged, sealed = filepath.Join(dir, "cache"), filepath.Join(dir, "staged"), filepath.Join(dir, "sealed")
	if err := os.Mkdir(cacheDir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(sealed, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	sector = []string{"--proof", s.RegisteredProof, "--cache-dir", cacheDir, "--sealed", sealed,
		"--prover-id", s.ProverID, "--sector", fmt.Sprint(s.SectorID), "--ticket", s.Ticket}

	var existing []string
	for i, p := range s.Pieces {
		args := []string{"addpiece", "--proof", s.RegisteredProof, "--staged", staged, "--existing", strings.Join(existing, ","),
			"--piece-size", fmt.Sprint(p.UnpaddedSize), "--json"}
		var stdin io.Reader
		if i%2 == 0 {
			path := filepath.Join(dir, "piece")
			writeStream(t, path, p.Stream, p.UnpaddedSize)
			args = append(args, "--piece", path)
		} else {
			args = append(args, "--piece", "-")
			stdin = golden.Stream(p.Stream, p.UnpaddedSize)
		}
		var got struct {
			CommP   string `json:"comm_p"`
			Size    uint64 `json:"unpadded_size"`
			Written uint64 `json:"written"`
		}
		if err := json.Unmarshal([]byte(mustRun(t, stdin, args...)), &got); err != nil {
			t.Fatal(err)
		}
		if got.CommP != p.CommP || got.Size != p.UnpaddedSize || got.Written != p.Written {
			t.Errorf("addpiece of piece %d: %+v, want %+v", i, got, p)
		}
		existing = append(existing, fmt.Sprint(p.UnpaddedSize))
		sector = append(sector, "--piece", fmt.Sprintf("%s:%d", p.CommP, p.UnpaddedSize))
	}
	if len(s.Pieces) == 0 {
		staged = "/dev/zero"
	} else {
		if info, err := os.Stat(staged); err != nil || info.Size() != s.StagedLen {
			t.Errorf("staged: %v, %v, want %d bytes", info, err, s.StagedLen)
		}
		wantDigest(t, staged, s.StagedSHA256)
	}
	return cacheDir, staged, sealed, append(sector, "--staged", staged)
}

func testGoldenSector(t *testing.T, s golden.Sector) {
	cacheDir, _, sealed, sector := layOut(t, s)

	// Timing the kernels takes longer than a small sector: a part of those does it.
	var quick []string
	if s.SectorSize == 2<<10 {
		quick = []string{"--kernel", "generic/1"}
	}
	pc1 := append([]string{"pc1", "--policy", "none"}, sector...)
	if !testkit.Long() && s.SectorID%4 != 0 {
		pc1 = append(pc1, quick...)
	}
	if got, want := mustRun(t, nil, pc1...), strings.ReplaceAll(s.P1Output, "$CACHE", cacheDir)+"\n"; got != want {
		t.Errorf("pc1 printed\n%s\nwant\n%s", got, want)
	}
	wantDigest(t, sealed, s.SealedSHA256)
	wantDigest(t, filepath.Join(cacheDir, "sc-02-data-tree-d.dat"), s.TreeDSHA256)
	wantLayers(t, cacheDir, s, "sc-02-data-tree-d.dat", manifest.Name)

	if s.SectorSize > 8<<20 || s.SectorSize > 2<<10 && !testkit.Long() {
		return // the layers would be those of pc1
	}
	sdrDir := t.TempDir()
	sdr := append([]string{"sdr", "--policy", "none"}, quick...)
	mustRun(t, nil, append(sdr, "--proof", s.RegisteredProof, "--cache-dir", sdrDir, "--replica-id", s.ReplicaID)...)
	wantLayers(t, sdrDir, s, manifest.Name)
}

// wantLayers checks that a cache dir holds s's layers, these other files, and
// nothing else.
func wantLayers(t *testing.T, dir string, s golden.Sector, others ...string) {
	t.Helper()
	for i, layer := range s.Layers {
		name := fmt.Sprintf("sc-02-data-layer-%d.dat", i+1)
		wantDigest(t, filepath.Join(dir, name), layer.SHA256)
		others = append(others, name)
	}
	slices.Sort(others)
	got, err := namesIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(others, got); diff != "" {
		t.Errorf("files in the cache dir (-want +got):\n%s", diff)
	}
}

func wantDigest(t *testing.T, path, want string) {
	t.Helper()
	if got := testkit.Digest(t, path); got != want {
		t.Errorf("%s has SHA-256 %s, want %s", filepath.Base(path), got, want)
	}
}

func writeStream(t *testing.T, path, name string, size uint64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, golden.Stream(name, size)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestGoldenCommPs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "piece")
	for i, c := range golden.CommPs() {
		var stdin io.Reader
		args := []string{"commp", "--json"}
		if i%2 == 0 {
			writeStream(t, path, c.Stream, c.UnpaddedSize)
			args = append(args, "--piece", path)
		} else {
			stdin = golden.Stream(c.Stream, c.UnpaddedSize)
			args = append(args, "--piece", "-", "--piece-size", fmt.Sprint(c.UnpaddedSize))
		}
		var got struct {
			CommP  string `json:"comm_p"`
			Size   uint64 `json:"unpadded_size"`
			Padded uint64 `json:"padded_size"`
		}
		if err := json.Unmarshal([]byte(mustRun(t, stdin, args...)), &got); err != nil {
			t.Fatal(err)
		}
		if got.CommP != c.CommP || got.Size != c.UnpaddedSize || got.Padded != c.UnpaddedSize/127*128 {
			t.Errorf("commp of %s: %+v, want %+v", c.Stream, got, c)
		}
	}
}

// Piece CIDs, against those that another implementation publishes: its payloads as they are,
// and FRC-0069's. Each goes through the command line, in this process.
func TestPieceCIDs(t *testing.T) {
	type vector struct {
		payload []byte
		size    uint64 // the piece's, unpadded
		v1, v2  string // may be empty
	}
	var vectors []vector
	for name, fill := range map[string]byte{"0xCC.txt": 0xcc, "zero.txt": 0} {
		for line := range strings.Lines(golden.HashHash(name)) {
			var payload, padded uint64
			var v1 string
			if _, err := fmt.Sscanf(strings.ReplaceAll(line, ",", " "), "%d %d %s", &payload, &padded, &v1); err != nil {
				t.Fatalf("%s: %q is not a vector: %v", name, line, err)
			}
			vectors = append(vectors, vector{bytes.Repeat([]byte{fill}, int(payload)), padded / 128 * 127, v1, ""})
		}
	}
	if len(vectors) != 36 {
		t.Fatalf("%d vectors, want 36", len(vectors))
	}
	for _, c := range golden.PieceCIDs() {
		size := uint64(127) << (c.Height - 2)
		payload := make([]byte, min(c.Size, 1<<20)) // of the large one, the rest is padding, too
		if strings.Contains(c.Payload, "127 of 1") || strings.Contains(c.Payload, "0, 1, 2 and 3") {
			for i := range payload[:508] {
				payload[i] = byte(i / 127)
			}
		}
		vectors = append(vectors, vector{payload, size, c.V1, c.V2})
	}
	for _, v := range vectors {
		args := []string{"commp", "--json", "--piece", "-", "--pad"}
		if porep.UnpaddedSize(len(v.payload)).NextPieceSize() != porep.UnpaddedSize(v.size) {
			args = append(args[:4], "--pad-to", fmt.Sprint(v.size))
		}
		var stdout, stderr bytes.Buffer
		a := &app{in: bytes.NewReader(v.payload), out: &stdout, err: &stderr}
		if exit := a.run(t.Context(), args); exit != exitDone {
			t.Errorf("%d bytes: exit code %d: %s", len(v.payload), exit, &stderr)
			continue
		}
		var got struct {
			V1     string `json:"piece_cid"`
			V2     string `json:"piece_cid_v2"`
			Size   uint64 `json:"unpadded_size"`
			Padded uint64 `json:"padded_size"`
		}
		if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if v.v1 != "" && got.V1 != v.v1 || v.v2 != "" && got.V2 != v.v2 || got.Size != v.size || got.Padded != v.size/127*128 {
			t.Errorf("%d bytes in %d: %+v, want %s, %s", len(v.payload), v.size, got, v.v1, v.v2)
		}
	}
}

func TestGoldenGraphs(t *testing.T) {
	type row struct {
		Node    uint64   `json:"node"`
		Parents []uint32 `json:"parents"`
	}
	graphs := golden.Graphs()
	if got, want := len(graphs), len(porep.SealProofs()); got != want {
		t.Fatalf("%d golden graphs for %d seal proofs", got, want)
	}
	for i, g := range graphs {
		t.Run(g.RegisteredProof, func(t *testing.T) {
			t.Parallel()
			asText, asJSON := testkit.Long() || i%2 == 0, testkit.Long() || i%2 == 1
			args := []string{"parents", "show", "--proof", g.RegisteredProof}
			var want []row
			var text strings.Builder
			for node, parents := range g.Parents {
				n, err := strconv.ParseUint(node, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				args = append(args, node)
				want = append(want, row{n, parents})
				fmt.Fprintf(&text, "%s [", node)
				for i, p := range parents {
					if i > 0 {
						text.WriteString(", ")
					}
					fmt.Fprint(&text, p)
				}
				text.WriteString("]\n")
			}
			if asText {
				if diff := cmp.Diff(text.String(), mustRun(t, nil, args...)); diff != "" {
					t.Errorf("text (-want +got):\n%s", diff)
				}
			}
			if !asJSON {
				return
			}
			var got []row
			if err := json.Unmarshal([]byte(mustRun(t, nil, append(args, "--json")...)), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("JSON (-want +got):\n%s", diff)
			}
		})
	}
}
