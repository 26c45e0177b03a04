//go:build amd64 || arm64

package disassembly

import (
	"bytes"
	"debug/elf"
	"debug/gosym"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Check holds the instructions of each assembly function of the package under test, as
// they are in the test's binary, against the features that stand above it: no more and
// no less. One that other assembly calls may need less than it says, as it says what its
// callers need. Check runs in the package's directory, and skips where there is no objdump
// for this architecture. It returns the functions, and what stands above each.
func Check(t *testing.T, importPath string) map[string][]string {
	t.Helper()
	d := newDisassembler(t, importPath)
	functions := requirements(t)
	code := map[string][]instruction{}
	called := map[string]bool{}
	for name := range functions {
		all, callees := d.reachable(t, name)
		code[name] = all
		for _, callee := range callees {
			called[callee] = true
		}
	}
	for name, listed := range functions {
		t.Run(name, func(t *testing.T) {
			needed := map[string]string{} // feature: the first instruction that needs it
			for _, in := range code[name] {
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
				if needed[f] == "" && !called[name] {
					t.Errorf("no instruction needs %s, which stands above %s", f, name)
				}
			}
		})
	}
	return functions
}

// requirements are the features that stand above each function that the package's other
// files can see.
func requirements(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("*_" + runtime.GOARCH + ".s")
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`^TEXT ·(\w+)\(SB\)`)
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
			if strings.HasPrefix(line, "TEXT ") {
				listed = nil
			}
		}
	}
	return functions
}

// A disassembler knows where this binary's functions are.
type disassembler struct {
	importPath string // of the package under test
	objdump    string
	code       []byte // the text section
	start      uint64 // its address
	table      *gosym.Table
}

func newDisassembler(t *testing.T, importPath string) *disassembler {
	t.Helper()
	d := &disassembler{importPath: importPath}
	for _, tool := range []string{"objdump", gnuName + "-linux-gnu-objdump"} {
		if known, err := exec.Command(tool, "-i").Output(); err == nil && bytes.Contains(known, []byte(elfFormat+"\n")) { // #nosec G204 -- a tool that its own tests name
			d.objdump = tool
			break
		}
	}
	if d.objdump == "" {
		t.Skipf("no objdump for %s here (Debian's packages binutils and binutils-aarch64-linux-gnu)", runtime.GOARCH)
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	section := func(name string) ([]byte, uint64) {
		s := f.Section(name)
		if s == nil {
			t.Fatalf("%s has no section %s", binary, name)
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
// that it calls or jumps to, whose names are returned, too.
func (d *disassembler) reachable(t *testing.T, name string) (all []instruction, callees []string) {
	t.Helper()
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
				callees = append(callees, strings.TrimPrefix(callee.Name, d.importPath+"."))
			}
		}
	}
	return all, callees
}

// function finds a function in assembly, not the wrapper that Go's functions call.
func (d *disassembler) function(t *testing.T, name string) *gosym.Func {
	t.Helper()
	for i := range d.table.Funcs {
		if f := &d.table.Funcs[i]; f.Name == d.importPath+"."+name && d.isAssembly(f) {
			return f
		}
	}
	t.Fatalf("this binary has no assembly function %s", name)
	return nil
}

// isAssembly reports whether f is from a file of this directory, or one that it includes.
// Names would not do: those of functions that no other file sees lack the package.
func (d *disassembler) isAssembly(f *gosym.Func) bool {
	file, _, _ := d.table.PCToLine(f.Entry)
	directory, name := filepath.Split(filepath.ToSlash(file))
	_, err := os.Stat(name)
	stem := strings.TrimSuffix(strings.TrimSuffix(name, ".s"), ".h")
	return stem != name && strings.HasSuffix(stem, "_"+runtime.GOARCH) && strings.HasSuffix(directory, "/"+path.Base(d.importPath)+"/") && err == nil
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
	out, err := exec.Command(d.objdump, args...).Output() // #nosec G204 -- a tool that its own tests name
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
