package overlay_test

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/internal/overlay"
)

// digests is all that a directory holds, a line for each file.
func digests(t *testing.T, dir string) string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		lines = append(lines, fmt.Sprintf("%s %v %x", path, info.Mode(), sha256.Sum256(text)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What is wrong with a host is an error that says what there is and what should be, and then
// nothing is written, and nothing of the host's touched.
func TestBadInput(t *testing.T) {
	const signature = "func GenerateSDR(proofType abi.RegisteredSealProof, cacheDirPath string, replicaId [32]byte) (err error)"
	var (
		dirError      = new(*overlay.DirError)
		functionError = new(*overlay.FunctionError)
		nameError     = new(*overlay.NameError)
		goModError    = new(*overlay.GoModError)
	)
	for _, test := range []struct {
		name string
		bad  func(t *testing.T, h *host, o *overlay.Options)
		as   any
		want []string
	}{
		{"another module", func(t *testing.T, h *host, o *overlay.Options) {
			o.FFI = filepath.Join(h.dir, "extern", "go-fil-commcid")
		}, dirError, []string{"go-fil-commcid", `is of module "github.com/filecoin-project/go-fil-commcid", want "github.com/filecoin-project/filecoin-ffi"`}},
		{"no directory", func(t *testing.T, h *host, o *overlay.Options) {
			o.FFI = filepath.Join(h.dir, "none")
		}, dirError, []string{"none", "no such file"}},
		{"a file", func(t *testing.T, h *host, o *overlay.Options) {
			o.FFI = h.goMod
		}, dirError, []string{"not a directory"}},
		{"no proofs.go", func(t *testing.T, h *host, o *overlay.Options) {
			if err := os.Remove(filepath.Join(h.ffi, "proofs.go")); err != nil {
				t.Fatal(err)
			}
		}, dirError, []string{"proofs.go", "no such file"}},
		{"another package", func(t *testing.T, h *host, o *overlay.Options) {
			edit(t, filepath.Join(h.ffi, "proofs.go"), "\npackage ffi\n", "\npackage ffi2\n")
		}, dirError, []string{"package ffi2, want ffi"}},
		{"no Go", func(t *testing.T, h *host, o *overlay.Options) {
			write(t, filepath.Join(h.ffi, "proofs.go"), "package ffi\nfunc {")
		}, nil, []string{"proofs.go:2:"}},
		{"no Go in another file", func(t *testing.T, h *host, o *overlay.Options) {
			write(t, filepath.Join(h.ffi, "types.go"), "package ffi\nfunc {")
		}, nil, []string{"types.go:2:"}},
		{"a function missing", func(t *testing.T, h *host, o *overlay.Options) {
			edit(t, filepath.Join(h.ffi, "proofs.go"), "func GenerateSDR(", "func (s sdr) GenerateSDR(")
		}, functionError, []string{"GenerateSDR: it has no such function, want " + signature}},
		{"a function doubled", func(t *testing.T, h *host, o *overlay.Options) {
			path := filepath.Join(h.ffi, "proofs.go")
			write(t, path, read(t, path)+"\nfunc GenerateSDR() {}\n")
		}, functionError, []string{"GenerateSDR: it has 2 of them, at lines ", signature}},
		{"another type", func(t *testing.T, h *host, o *overlay.Options) {
			edit(t, filepath.Join(h.ffi, "proofs.go"), "replicaId [32]byte", "replicaId [ 32 ]uint8")
		}, functionError, []string{"cacheDirPath string, replicaId [32]uint8) (err error), want " + signature}},
		{"paths the other way round", func(t *testing.T, h *host, o *overlay.Options) {
			edit(t, filepath.Join(h.ffi, "proofs.go"), "	stagedSectorPath string,\n	sealedSectorPath string,\n", "	sealedSectorPath, stagedSectorPath string,\n")
		}, functionError, []string{"sealedSectorPath string, stagedSectorPath string, ", "want func SealPreCommitPhase1(", "stagedSectorPath string, sealedSectorPath string, "}},
		{"two wrong", func(t *testing.T, h *host, o *overlay.Options) {
			edit(t, filepath.Join(h.ffi, "proofs.go"), "func GenerateSDR(", "func GenerateSDR2(")
			edit(t, filepath.Join(h.ffi, "proofs.go"), "func WriteWithAlignment(", "func WriteWithAlignment2(")
		}, functionError, []string{"GenerateSDR: it has no", "WriteWithAlignment: it has no"}},
		{"a name taken", func(t *testing.T, h *host, o *overlay.Options) {
			write(t, filepath.Join(h.ffi, "types.go"), "package ffi\n\nvar filcryptoGenerateSDR, sdrPieces int\n")
		}, nameError, []string{"filcryptoGenerateSDR is declared already, at ", "types.go:3:5", "sdrPieces is declared already"}},
		{"an import's name taken", func(t *testing.T, h *host, o *overlay.Options) {
			write(t, filepath.Join(h.ffi, "types.go"), "package ffi\n\ntype sdrffi int\n")
		}, nameError, []string{"sdrffi is declared already, at ", "types.go:3:6"}},
		{"the file is there", func(t *testing.T, h *host, o *overlay.Options) {
			write(t, filepath.Join(h.ffi, "sdr_overlay.go"), "package ffi\n")
		}, nameError, []string{"sdr_overlay.go is declared already, at ", h0}},
		{"no go.mod", func(t *testing.T, h *host, o *overlay.Options) {
			o.GoMod = filepath.Join(h.dir, "none.mod")
		}, goModError, []string{"none.mod: no such file"}},
		{"a go.mod that is none", func(t *testing.T, h *host, o *overlay.Options) {
			write(t, h.goMod, "module example.com/host\n\nrequire (\n")
		}, goModError, []string{"go.mod:"}},
		{"an empty go.mod", func(t *testing.T, h *host, o *overlay.Options) {
			write(t, h.goMod, "")
		}, goModError, []string{"no module line"}},
		{"filecoin-ffi of the module cache", func(t *testing.T, h *host, o *overlay.Options) {
			edit(t, h.goMod, "	github.com/filecoin-project/filecoin-ffi => ./extern/filecoin-ffi\n", "")
		}, goModError, []string{"takes github.com/filecoin-project/filecoin-ffi from the module cache, want it from ", h0}},
		{"another version of filecoin-ffi", func(t *testing.T, h *host, o *overlay.Options) {
			edit(t, h.goMod, "filecoin-ffi => ./extern/filecoin-ffi", "filecoin-ffi v1.0.0 => ./extern/filecoin-ffi")
		}, goModError, []string{"from the module cache, want it from ", h0}},
		{"one directory for a version, one for all", func(t *testing.T, h *host, o *overlay.Options) {
			edit(t, h.goMod, "filecoin-ffi => ./extern/filecoin-ffi", "filecoin-ffi v1.36.1 => ./extern\n	github.com/filecoin-project/filecoin-ffi => ./extern/filecoin-ffi")
		}, goModError, []string{"/extern, not of ", "/extern/filecoin-ffi"}},
		{"another filecoin-ffi", func(t *testing.T, h *host, o *overlay.Options) {
			edit(t, h.goMod, "filecoin-ffi => ./extern/filecoin-ffi", "filecoin-ffi => ./extern")
		}, goModError, []string{"/extern, not of ", "/extern/filecoin-ffi"}},
		{"a module that is not ours", func(t *testing.T, h *host, o *overlay.Options) {
			o.Module = h.dir
		}, dirError, []string{`is of module "example.com/host", want "github.com/sdr-engine/sdr"`}},
		{"no version", func(t *testing.T, h *host, o *overlay.Options) {
			o.Module, o.Version = "", "latest"
		}, nil, []string{`"latest" is no version`}},
		{"directory and version", func(t *testing.T, h *host, o *overlay.Options) {
			o.Version = "v1.2.3"
		}, nil, []string{"want one of them"}},
		{"inside the host", func(t *testing.T, h *host, o *overlay.Options) {
			o.Out = filepath.Join(h.dir, "build", "overlay")
		}, dirError, []string{"build/overlay is inside the host's tree ", h0}},
		{"the host itself", func(t *testing.T, h *host, o *overlay.Options) {
			o.Out = h.dir
		}, dirError, []string{"is inside the host's tree"}},
		{"inside filecoin-ffi elsewhere", func(t *testing.T, h *host, o *overlay.Options) {
			elsewhere := filepath.Join(t.TempDir(), "ffi")
			if err := errors.Join(os.Rename(h.ffi, elsewhere), os.Symlink(elsewhere, h.ffi)); err != nil {
				t.Fatal(err)
			}
			o.Out = filepath.Join(elsewhere, "out")
		}, dirError, []string{"ffi/out is inside the host's tree "}},
		{"inside by a link", func(t *testing.T, h *host, o *overlay.Options) {
			link := filepath.Join(t.TempDir(), "link")
			if err := os.Symlink(filepath.Join(h.dir, "extern"), link); err != nil {
				t.Fatal(err)
			}
			o.Out = filepath.Join(link, "new", "out")
		}, dirError, []string{"link/new/out is inside the host's tree"}},
		{"host by a link", func(t *testing.T, h *host, o *overlay.Options) {
			link := filepath.Join(t.TempDir(), "go.mod")
			if err := os.Symlink(h.goMod, link); err != nil {
				t.Fatal(err)
			}
			o.GoMod, o.Out = link, filepath.Join(h.dir, "out")
		}, dirError, []string{"is inside the host's tree"}},
		{"out of nowhere", func(t *testing.T, h *host, o *overlay.Options) {
			o.Out = filepath.Join(t.TempDir(), "link")
			if err := os.Symlink("nowhere", o.Out); err != nil {
				t.Fatal(err)
			}
		}, dirError, []string{"leads nowhere"}},
		{"out with other files", func(t *testing.T, h *host, o *overlay.Options) {
			o.Out = t.TempDir()
			write(t, filepath.Join(o.Out, "overlay.json"), "{}")
			write(t, filepath.Join(o.Out, "thesis.tex"), "")
		}, dirError, []string{"holds thesis.tex, which is not from here"}},
		{"out is another module", func(t *testing.T, h *host, o *overlay.Options) {
			o.Out = t.TempDir()
			write(t, filepath.Join(o.Out, "go.mod"), "module theirs\n")
		}, dirError, []string{"holds go.mod, but no sdr_overlay.go"}},
		{"out is another's overlay", func(t *testing.T, h *host, o *overlay.Options) {
			o.Out = t.TempDir()
			write(t, filepath.Join(o.Out, "go.mod"), "module theirs\n")
			write(t, filepath.Join(o.Out, "overlay.json"), "{}")
		}, dirError, []string{"holds go.mod, but no sdr_overlay.go"}},
		{"out is a file", func(t *testing.T, h *host, o *overlay.Options) {
			o.Out = filepath.Join(t.TempDir(), "file")
			write(t, o.Out, "")
		}, dirError, []string{"not a directory"}},
		{"out in no directory", func(t *testing.T, h *host, o *overlay.Options) {
			o.Out = filepath.Join(t.TempDir(), "none", "out")
		}, nil, []string{"writing the output", "no such file"}},
		{"out that cannot be made", func(t *testing.T, h *host, o *overlay.Options) {
			o.Out = "/proc/self/out"
		}, nil, []string{"writing the output"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			o := h.options()
			test.bad(t, h, &o)
			before, outBefore := digests(t, h.dir), all(o.Out)
			_, err := overlay.Write(o)
			if err == nil {
				t.Fatal("no error")
			}
			if test.as != nil && !errors.As(err, reflect.New(reflect.TypeOf(test.as).Elem()).Interface()) {
				t.Errorf("%T: %v, want a %T", err, err, test.as)
			}
			for _, want := range test.want {
				if want == h0 {
					want = h.dir
				}
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %q in it", err, want)
				}
			}
			if after := digests(t, h.dir); after != before {
				t.Errorf("the host was\n%s\nand is\n%s", before, after)
			}
			if outAfter := all(o.Out); !slices.Equal(outBefore, outAfter) {
				t.Errorf("beside the output there was %q, and is %q", outBefore, outAfter)
			}
		})
	}
}

// h0 stands for the host's directory, which is another one in each test.
const h0 = "$HOST"

// all is what there is in a directory, and beside it.
func all(dir string) (names []string) {
	for _, dir := range []string{dir, filepath.Dir(dir)} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	if strings.HasPrefix(dir, "/proc") {
		return nil
	}
	return names
}

// The output is replaced as a whole by the next run, also when the go command has written to
// its go.mod; filecoin-ffi is in it by each path that leads there.
func TestAgain(t *testing.T) {
	h := newHost(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(h.dir, link); err != nil {
		t.Fatal(err)
	}
	o := h.options()
	o.GoMod = filepath.Join(link, "go.mod")
	flags, err := overlay.Write(o)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"-mod=mod", "-modfile=" + filepath.Join(h.out, "go.mod"), "-overlay=" + filepath.Join(h.out, "overlay.json")}; !slices.Equal(flags, want) {
		t.Errorf("flags %q, want %q", flags, want)
	}
	var written struct{ Replace map[string]string }
	if err := json.Unmarshal([]byte(read(t, filepath.Join(h.out, "overlay.json"))), &written); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{h.dir, link} {
		for _, name := range []string{"proofs.go", "sdr_overlay.go"} {
			if got, want := written.Replace[filepath.Join(dir, "extern", "filecoin-ffi", name)], filepath.Join(h.out, name); got != want {
				t.Errorf("%s in %s is replaced by %q, want %q", name, dir, got, want)
			}
		}
	}
	mod := filepath.Join(h.out, "go.mod")
	first := read(t, mod)
	write(t, mod, first+"\n// the go command's\n")
	write(t, filepath.Join(h.dir, "go.sum"), "example.com/theirs v1.0.0 h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n")
	if _, err := overlay.Write(o); err != nil {
		t.Fatal(err)
	}
	if again := read(t, mod); again != first {
		t.Errorf("go.mod was\n%s\nand is\n%s", first, again)
	}
	sum, own := read(t, filepath.Join(h.out, "go.sum")), read(t, "../../go.sum")
	if !strings.HasPrefix(sum, "example.com/theirs v1.0.0 h1:") || !strings.HasSuffix(sum, own) {
		t.Errorf("go.sum is\n%s\nwant the host's and ours", sum)
	}
	if got := all(h.out); len(got) != 5+2 {
		t.Errorf("there is %q, want five files in the output, and nothing new beside it", got)
	}
}

// The copy of a go.mod keeps what it has, and is one of a module that may require ours.
func TestGoMod(t *testing.T) {
	own := ""
	for line := range strings.Lines(read(t, "../../go.mod")) {
		if v, ok := strings.CutPrefix(line, "go "); ok {
			own = strings.TrimSpace(v)
		}
	}
	for _, test := range []struct{ name, old, new, goLine, toolchain string }{
		{"older", "go 1.24.0\n\ntoolchain go1.24.7\n", "go 1.24.0\n\ntoolchain go1.24.7\n", own, ""},
		{"no go line", "go 1.24.0\n\ntoolchain go1.24.7\n", "", own, ""},
		{"newer", "go 1.24.0\n\ntoolchain go1.24.7\n", "go 1.99\n", "1.99", ""},
		{"newer toolchain", "toolchain go1.24.7", "toolchain go1.99.1", own, "go1.99.1"},
		{"the same", "go 1.24.0\n\ntoolchain go1.24.7\n", "go " + own + "\n\ntoolchain go1.99.1\n", own, "go1.99.1"},
		{"an older version of ours", "	github.com/ipfs/go-cid v0.6.2\n", "	github.com/ipfs/go-cid v0.6.2\n	github.com/sdr-engine/sdr v0.1.0 // indirect\n", own, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHost(t)
			edit(t, h.goMod, test.old, test.new)
			o := h.options()
			o.Module, o.Version = "", "v1.2.3"
			if _, err := overlay.Write(o); err != nil {
				t.Fatal(err)
			}
			text := read(t, filepath.Join(h.out, "go.mod"))
			for _, want := range []string{"\ngo " + test.goLine + "\n", "github.com/sdr-engine/sdr v1.2.3", "filecoin-ffi => ./extern/filecoin-ffi\n"} {
				if !strings.Contains(text, want) {
					t.Errorf("it lacks %q:\n%s", want, text)
				}
			}
			if got := strings.Contains(text, "toolchain "); got != (test.toolchain != "") || !strings.Contains(text, test.toolchain) {
				t.Errorf("its toolchain is not %q:\n%s", test.toolchain, text)
			}
			if strings.Count(text, "sdr-engine") != 1 {
				t.Errorf("ours is there more than once:\n%s", text)
			}
		})
	}
}
