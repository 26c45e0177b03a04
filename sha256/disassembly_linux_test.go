//go:build !purego && (amd64 || arm64)

package sha256

import (
	"bytes"
	"debug/elf"
	"debug/gosym"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The instructions of each assembly function, as they are in this binary, need the
// features that stand above it, no more and no less. (TestRequires holds these
// against the kernels' lists.)
func TestInstructionsNeedTheFeatures(t *testing.T) {
	d := newDisassembler(t)
	functions := requirements(t)
	if len(functions) <= len(archKernels()) { // each kernel has one that labels, each set one for pairs
		t.Fatalf("found only %d functions of %d kernels", len(functions), len(archKernels()))
	}
	for name, listed := range functions {
		t.Run(name, func(t *testing.T) {
			needed := map[string]string{} // feature: the first instruction that needs it
			for _, in := range d.reachable(t, name) {
				features, err := in.features()
				if err != nil {
					t.Error(err)
					continue
				}
				for _, f := range features {
					if needed[f] == "" {
						needed[f] = in.text
					}
				}
			}
			for f, text := range needed {
				// Every CPU that the compiler builds for has SSE2.
				if f != "SSE2" && !slices.Contains(listed, f) {
					t.Errorf("%q needs %s, which is not among those above %s: %s", text, f, name, strings.Join(listed, ", "))
				}
			}
			for _, f := range listed {
				if needed[f] == "" {
					t.Errorf("no instruction needs %s, which stands above %s", f, name)
				}
			}
		})
	}
}

// requirements are the features that stand above each kernel's functions.
func requirements(t *testing.T) map[string][]string {
	files, err := filepath.Glob("*_" + runtime.GOARCH + ".s")
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`^TEXT ·((?:label|pairs|unpack)\w+)\(SB\)`)
	functions := map[string][]string{}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var listed []string
		for line := range strings.Lines(string(source)) {
			if list, ok := strings.CutPrefix(line, "// Requires: "); ok {
				listed = strings.Split(strings.TrimSpace(list), ", ")
			}
			if m := text.FindStringSubmatch(line); m != nil {
				functions[m[1]] = listed
			}
		}
	}
	return functions
}

// A disassembler knows where this binary's functions are.
type disassembler struct {
	objdump string
	code    []byte // the text section
	start   uint64 // its address
	table   *gosym.Table
}

func newDisassembler(t *testing.T) *disassembler {
	t.Helper()
	d := &disassembler{}
	for _, tool := range []string{"objdump", gnuName + "-linux-gnu-objdump"} {
		if known, err := exec.Command(tool, "-i").Output(); err == nil && bytes.Contains(known, []byte(elfFormat+"\n")) {
			d.objdump = tool
			break
		}
	}
	if d.objdump == "" {
		t.Skipf("no objdump for %s here (Debian's packages binutils and binutils-aarch64-linux-gnu)", runtime.GOARCH)
	}
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	section := func(name string) ([]byte, uint64) {
		s := f.Section(name)
		if s == nil {
			t.Fatalf("%s has no section %s", path, name)
		}
		data, err := s.Data()
		if err != nil {
			t.Fatal(err)
		}
		return data, s.Addr
	}
	lines, _ := section(".gopclntab")
	d.code, d.start = section(".text")
	if d.table, err = gosym.NewTable(nil, gosym.NewLineTable(lines, d.start)); err != nil {
		t.Fatal(err)
	}
	return d
}

// An instruction of a function.
type instruction struct {
	bytes    []byte
	mnemonic string
	operands string
	text     string
}

// reachable are the instructions of the assembly function of that name, and of those
// that it calls or jumps to.
func (d *disassembler) reachable(t *testing.T, name string) (all []instruction) {
	todo := []*gosym.Func{d.function(t, name)}
	for seen := map[string]bool{}; len(todo) > 0; {
		f := todo[0]
		todo = todo[1:]
		if seen[f.Name] {
			continue
		}
		seen[f.Name] = true
		instructions := d.disassemble(t, f)
		all = append(all, instructions...)
		for _, in := range instructions {
			m := branchTarget.FindStringSubmatch(in.mnemonic + " " + in.operands)
			if m == nil {
				continue
			}
			to, err := strconv.ParseUint(m[1], 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			callee := d.table.PCToFunc(to)
			switch {
			case callee == nil:
				t.Errorf("%s: %q leads out of all functions", f.Name, in.text)
			case callee.Name == f.Name, strings.HasPrefix(callee.Name, "runtime.morestack"):
			case !d.isAssembly(callee):
				t.Errorf("%s: %q leads to %s, which is not assembly of this package", f.Name, in.text, callee.Name)
			default:
				todo = append(todo, callee)
			}
		}
	}
	return all
}

const thisPackage = "github.com/sdr-engine/sdr/sha256."

// function finds a function in assembly, not the wrapper that Go's functions call.
func (d *disassembler) function(t *testing.T, name string) *gosym.Func {
	for i := range d.table.Funcs {
		if f := &d.table.Funcs[i]; f.Name == thisPackage+name && d.isAssembly(f) {
			return f
		}
	}
	t.Fatalf("this binary has no assembly function %s", name)
	return nil
}

// isAssembly says whether f is from a file of this folder, or one that it includes.
// Names would not do: those of functions that no other file sees lack the package.
func (d *disassembler) isAssembly(f *gosym.Func) bool {
	file, _, _ := d.table.PCToLine(f.Entry)
	folder, name := filepath.Split(filepath.ToSlash(file))
	_, err := os.Stat(name)
	stem := strings.TrimSuffix(strings.TrimSuffix(name, ".s"), ".h")
	return stem != name && strings.HasSuffix(stem, "_"+runtime.GOARCH) && strings.HasSuffix(folder, "/sha256/") && err == nil
}

var (
	// "  401000:	0f 38 cb ca          	sha256rnds2 xmm1,xmm2,xmm0"
	disassembled = regexp.MustCompile(`^\s*[0-9a-f]+:\t([0-9a-f ]+?)\s*\t(?:(?:cs|ds|data16|rep|repz|bnd) )*(\S+)\s*([^#\n/]*)`)
	branchTarget = regexp.MustCompile(`^(?:call|j[a-z]+|bl?|b\.[a-z]+|cbn?z)\s+(?:[wx]\d+, )?(?:0x)?([0-9a-f]+)\b`)
)

func (d *disassembler) disassemble(t *testing.T, f *gosym.Func) (instructions []instruction) {
	code := d.code[f.Entry-d.start : f.End-d.start]
	for len(code) >= len(filler) && string(code[len(code)-len(filler):]) == filler {
		code = code[:len(code)-len(filler)] // up to the next function
	}
	file := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(file, code, 0o600); err != nil {
		t.Fatal(err)
	}
	args := slices.Concat(objdumpArgs, []string{"-D", "-w", "-z", "-b", "binary", fmt.Sprintf("--adjust-vma=%#x", f.Entry), file})
	out, err := exec.Command(d.objdump, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for line := range strings.Lines(string(out)) {
		m := disassembled.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		raw, err := hex.DecodeString(strings.ReplaceAll(m[1], " ", ""))
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		size += len(raw)
		instructions = append(instructions, instruction{raw, m[2], strings.TrimSpace(m[3]), strings.Join(strings.Fields(m[2]+" "+m[3]), " ")})
	}
	if size != len(code) {
		t.Fatalf("%s: read %d bytes of instructions of %d in\n%s", f.Name, size, len(code), out)
	}
	return instructions
}

// mnemonics makes a table of lists.
func mnemonics(lists map[string]string) map[string]string {
	table := map[string]string{}
	for what, list := range lists {
		for name := range strings.FieldsSeq(list) {
			table[name] = what
		}
	}
	return table
}

// What is in no table is an error, so that whoever uses a new instruction looks up
// what it needs.
func TestUnknownInstructions(t *testing.T) {
	in := instruction{bytes: []byte{0x0f, 0x01, 0xf9, 0x00}, mnemonic: "abacus", operands: "x0", text: "abacus x0"}
	if features, err := in.features(); err == nil {
		t.Errorf("an unknown instruction needs %v", features)
	}
}
