package topology

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/internal/testkit"
)

// A picture is all that a Machine says, for golden files.
type picture struct {
	Model     string
	Features  string
	Packages  []string // id: CPUs
	Nodes     []string
	Complexes []string
	Cores     []string
	CPUs      string
	Allowed   string
	Mems      []NUMANodeID
	Degraded  []string
}

func pictureOf(m *Machine) picture {
	p := picture{Model: m.Model(), Features: strings.Join(m.Features(), " "), CPUs: m.CPUs().String(), Allowed: m.Allowed().String(), Mems: m.AllowedMems(), Degraded: m.Degraded()}
	for _, pkg := range m.Packages() {
		p.Packages = append(p.Packages, fmt.Sprintf("%d: %s", pkg.ID, pkg.CPUs))
	}
	for _, n := range m.NUMANodes() {
		p.Nodes = append(p.Nodes, fmt.Sprintf("%d: CPUs %s, distances %d, %v, bytes %d free %d available %d, pages %d",
			n.ID, n.CPUs, n.Distances, n.MemoryKind, n.MemoryTotal, n.MemoryFree, n.MemoryAvailable, n.HugePages))
	}
	for _, c := range m.Complexes() {
		p.Complexes = append(p.Complexes, fmt.Sprintf("CPUs %s, L%d %d bytes, node #%d, package #%d, cores #%d", c.CPUs, c.CacheLevel, c.CacheSize, c.NUMANode, c.Package, c.Cores))
	}
	for _, c := range m.Cores() {
		p.Cores = append(p.Cores, fmt.Sprintf("%d: complex #%d, node #%d, package #%d, %s", c.CPUs, c.Complex, c.NUMANode, c.Package, c.Kind))
	}
	return p
}

func readText(t *testing.T, src *textSource) *Machine {
	t.Helper()
	m, err := read(src, "dump")
	if err != nil {
		t.Fatal(err)
	}
	checkMachine(t, m)
	return m
}

// checkMachine checks what holds for every machine, however poor.
func checkMachine(t *testing.T, m *Machine) {
	t.Helper()
	nodes, packages, complexes, cores := m.NUMANodes(), m.Packages(), m.Complexes(), m.Cores()
	if len(nodes) == 0 {
		t.Error("no NUMA node")
	}
	var inCores, inComplexes, inPackages []CPU
	for i, core := range cores {
		inCores = append(inCores, core.CPUs...)
		if len(core.CPUs) == 0 || !slices.IsSorted(core.CPUs) || int(core.NUMANode) >= len(nodes) || core.NUMANode < 0 {
			t.Errorf("core #%d: %+v", i, core)
		}
		if !slices.Contains(complexes[core.Complex].Cores, CoreIndex(i)) || !packages[core.Package].CPUs.Contains(core.CPUs[0]) {
			t.Errorf("core #%d is not in its complex or package", i)
		}
		for _, cpu := range core.CPUs {
			if at, ok := m.CoreOf(cpu); !ok || at != CoreIndex(i) {
				t.Errorf("CPU %d is in core #%d, %v, want #%d", cpu, at, ok, i)
			}
			if at, ok := m.NUMAOf(cpu); !ok || at != core.NUMANode {
				t.Errorf("CPU %d is in node #%d, %v, want #%d", cpu, at, ok, core.NUMANode)
			}
		}
	}
	for i, complex := range complexes {
		inComplexes = append(inComplexes, complex.CPUs.Slice()...)
		var cpus []CPU
		for _, core := range complex.Cores {
			cpus = append(cpus, cores[core].CPUs...)
		}
		if !NewCPUSet(cpus...).Equal(complex.CPUs) || len(cpus) != complex.CPUs.Len() || len(cpus) == 0 {
			t.Errorf("complex #%d has CPUs %s, its cores %d", i, complex.CPUs, cpus)
		}
	}
	for _, pkg := range packages {
		inPackages = append(inPackages, pkg.CPUs.Slice()...)
	}
	for name, cpus := range map[string][]CPU{"cores": inCores, "complexes": inComplexes, "packages": inPackages} {
		slices.Sort(cpus)
		if !slices.Equal(cpus, m.CPUs().Slice()) {
			t.Errorf("the %s have CPUs %d, online are %s", name, cpus, m.CPUs())
		}
	}
	for i, node := range nodes {
		if len(node.Distances) != len(nodes) || node.CPUs.Minus(m.CPUs()).Len() > 0 {
			t.Errorf("node #%d: %+v", i, node)
		}
	}
	if m.Allowed().Minus(m.CPUs()).Len() > 0 {
		t.Errorf("allowed are %s, online %s", m.Allowed(), m.CPUs())
	}
	for _, bad := range []CPU{-1, MaxCPUs, 1 << 40} {
		if _, ok := m.CoreOf(bad); ok {
			t.Errorf("a core of CPU %d", bad)
		}
	}
}

// testFile compares a file in testdata, or rewrites it.
func testFile(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if testkit.Update() {
		if err := os.WriteFile(name, got, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestDumpsAreGenerated(t *testing.T) {
	for name, build := range machines {
		var text bytes.Buffer
		build().write(&text)
		testFile(t, name+".txt", text.Bytes())
	}
	for _, pattern := range []string{"*.txt", "*.json"} {
		files, err := filepath.Glob(filepath.Join("testdata", pattern))
		if err != nil || len(files) != len(machines) {
			t.Errorf("%d files testdata/%s for %d machines (%v)", len(files), pattern, len(machines), err)
		}
	}
}

// TestGolden reads every dump and compares all that the Machine says.
func TestGolden(t *testing.T) {
	for name := range machines {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", name+".txt")
			m, err := ReadDump(file)
			if err != nil {
				t.Fatal(err)
			}
			checkMachine(t, m)
			if m.Live() || m.Root() != file {
				t.Errorf("live %v, root %q", m.Live(), m.Root())
			}
			golden, err := json.MarshalIndent(pictureOf(m), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			testFile(t, name+".json", append(golden, '\n'))
		})
	}
}

// TestDirectory lays dumps out as directories: the same machines.
func TestDirectory(t *testing.T) {
	for name, build := range machines {
		src := build()
		if len(src.files) > 150 { // disks may be slow
			continue
		}
		m, err := ReadRoot(layOut(t, src))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(pictureOf(readText(t, src)), pictureOf(m)); diff != "" {
			t.Errorf("%s (-file +directory):\n%s", name, diff)
		}
	}
}

func layOut(t *testing.T, src *textSource) string {
	t.Helper()
	root := t.TempDir()
	for file, target := range src.files {
		if link, ok := strings.CutSuffix(file, linkSuffix); ok {
			link, target = filepath.Join(root, filepath.FromSlash(link)), strings.TrimSpace(target)
			for _, err := range []error{os.MkdirAll(filepath.Dir(link), 0o777), os.MkdirAll(filepath.Join(filepath.Dir(link), target), 0o777), os.Symlink(target, link)} {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for dir := range src.dirs {
		if err := os.MkdirAll(filepath.Join(root, filepath.FromSlash(dir)), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range src.files {
		if strings.HasSuffix(name, linkSuffix) {
			continue
		}
		if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(name)), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestDumpOfDump: a dump of a dump is the same machine, and of this machine, too.
func TestDumpOfDump(t *testing.T) {
	for name := range machines {
		file := filepath.Join("testdata", name+".txt")
		want, err := ReadDump(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(pictureOf(want), pictureOf(dumped(t, file))); diff != "" {
			t.Errorf("%s (-once +twice):\n%s", name, diff)
		}
	}
}

func dumped(t *testing.T, root string) *Machine {
	t.Helper()
	var text bytes.Buffer
	if err := Dump(&text, root); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "dump")
	if err := os.WriteFile(file, text.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	m, err := ReadDump(file)
	if err != nil {
		t.Fatal(err)
	}
	checkMachine(t, m)
	return m
}

// volatile leaves out what a running machine changes all the time.
func volatile(p picture) picture {
	p.Nodes = slices.Clone(p.Nodes)
	for i := range p.Nodes {
		p.Nodes[i] = regexp.MustCompile(`free.*`).ReplaceAllString(p.Nodes[i], "")
	}
	return p
}

func TestLive(t *testing.T) {
	m, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	checkMachine(t, m)
	if !m.Live() || m.Root() != "/" {
		t.Errorf("live %v, root %q", m.Live(), m.Root())
	}
	if diff := cmp.Diff(volatile(pictureOf(m)), volatile(pictureOf(dumped(t, "/")))); diff != "" {
		t.Errorf("-live +dump:\n%s", diff)
	}
}

// Without any one file, or all files of one kind, or any one directory or kind of directory, a
// machine is read all the same. If it is another machine then, it says why.
func TestMissingFiles(t *testing.T) {
	each := 8
	switch {
	case testkit.Long():
		each = 1
	case testing.Short():
		each = 16
	}
	numbers := regexp.MustCompile(`\d+`)
	for name, build := range machines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := build()
			whole := pictureOf(readText(t, src))
			kinds := map[string]string{} // of each file and directory
			for _, name := range slices.Concat(slices.Collect(maps.Keys(src.files)), slices.Collect(maps.Keys(src.dirs))) {
				kinds[name] = numbers.ReplaceAllString(name, "#")
			}
			victims := map[string]bool{} // exact names, and kinds of names
			for name, kind := range kinds {
				victims[kind] = true
				// On a larger machine, one CPU stands for all.
				if len(kinds) < 300 || !strings.HasPrefix(name, cpuDir+"/cpu") || strings.HasPrefix(name, cpuDir+"/cpu17/") {
					victims[name] = true
				}
			}
			for i, victim := range slices.Sorted(maps.Keys(victims)) {
				if i%each != 0 && !strings.Contains(victim, "#") {
					continue // a part of the single files and directories, but all kinds
				}
				// That a machine without NUMA has pages of another size, nothing else tells.
				if src.dirs[nodeDir] == nil && strings.HasPrefix(victim, hugeDir+"/hugepages-") && !strings.Contains(victim, "#") {
					continue
				}
				poor := newTextSource()
				for name, kind := range kinds {
					if within(name, victim) || within(kind, victim) {
						continue
					}
					if text, ok := src.files[name]; ok {
						poor.addFile(name, text)
					} else {
						poor.addDir(name)
					}
				}
				got := pictureOf(readText(t, poor))
				reasons := slices.DeleteFunc(slices.Clone(got.Degraded), func(r string) bool { return slices.Contains(whole.Degraded, r) })
				got.Degraded = whole.Degraded
				if len(reasons) == 0 {
					if diff := cmp.Diff(whole, got); diff != "" {
						t.Errorf("without %s (-whole +poor), and no reason:\n%s", victim, diff)
					}
				}
			}
		})
	}
}
