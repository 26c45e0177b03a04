package topology

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLinksOutOfTheDump: a link that leads out of a dump is an error that names it,
// whichever way it takes; one that stays inside is like any file.
func TestLinksOutOfTheDump(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "online"), []byte("0-1\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	type links map[string]string
	for name, c := range map[string]struct {
		links links
		named string // "": no error
	}{
		"absolute file":              {links{"sys/devices/system/cpu/online": filepath.Join(outside, "online")}, "sys/devices/system/cpu/online"},
		"relative file":              {links{"sys/devices/system/cpu/online": "../../../../../online"}, "sys/devices/system/cpu/online"},
		"far relative":               {links{"sys/devices/system/cpu/online": strings.Repeat("../", 60) + "etc/hostname"}, "sys/devices/system/cpu/online"},
		"whole sys":                  {links{"sys": "/sys"}, "sys"},
		"a directory on the way":     {links{"sys/devices/system": "/sys/devices/system"}, "sys/devices/system"},
		"a node's directory":         {links{"sys/devices/system/node/node0": "/sys/devices/system/node/node0"}, "sys/devices/system/node/node0"},
		"not read":                   {links{"sys/devices/system/cpu/cpu0/crash_notes": "/etc/shadow"}, "sys/devices/system/cpu/cpu0/crash_notes"},
		"at the top, not read":       {links{"etc": "/etc"}, "etc"},
		"cpuinfo":                    {links{"proc/cpuinfo": "/proc/cpuinfo"}, "proc/cpuinfo"},
		"status":                     {links{"proc/self": "/proc/self"}, "proc/self"},
		"cgroup":                     {links{"sys/fs/cgroup/system.slice/sealer.service": "/sys/fs/cgroup"}, "sys/fs/cgroup/system.slice/sealer.service"},
		"huge pages":                 {links{"sys/kernel/mm": "/sys/kernel/mm"}, "sys/kernel/mm"},
		"in two steps":               {links{"sys/devices/system/cpu/online": "list", "sys/devices/system/cpu/list": "../../../../../x"}, "sys/devices/system/cpu/list"},
		"through a deeper directory": {links{"sys/devices/system/cpu/online": "there/../../../../../online", "sys/devices/system/cpu/there": "../node"}, "sys/devices/system/cpu/online"},
		"inside":                     {links{"sys/devices/system/cpu/cpu0/node0": "../../node/node0", "sys/devices/system/node/node0/cpu0": ".", "proc/mounts": "self/mounts"}, ""},
		"inside, used":               {links{"sys/devices/system/cpu/online": "possible"}, ""},
		"dangling":                   {links{"sys/devices/system/cpu/offline": "nowhere"}, ""},
		"in a circle":                {links{"sys/devices/system/cpu/online": "online"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := layOut(t, small())
			for link, target := range c.links {
				link = filepath.Join(root, filepath.FromSlash(link))
				if err := os.RemoveAll(link); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(target, link); err != nil {
					t.Fatal(err)
				}
			}
			m, err := ReadRoot(root)
			if c.named == "" {
				if err != nil {
					t.Fatal(err)
				}
				checkMachine(t, m)
				if m.CPUs().String() != "0-1" {
					t.Errorf("CPUs %s, want 0-1", m.CPUs())
				}
				return
			}
			var link *LinkError
			if !errors.As(err, &link) {
				t.Fatalf("%v, want a *LinkError", err)
			}
			if link.Link != c.named || link.Target != c.links[c.named] || !strings.Contains(err.Error(), root) {
				t.Errorf("%q names %s to %s, want %s", err, link.Link, link.Target, c.named)
			}
			var text bytes.Buffer
			if err := Dump(&text, root); !errors.As(err, &link) || text.Len() > 0 {
				t.Errorf("Dump: %v, and %d bytes", err, text.Len())
			}
		})
	}
}

// running is a dump that says that it is the machine that we run on.
type running struct{ source }

func (running) live() bool { return true }

// TestBadFiles: what no kernel writes is an error in a dump, with the file and the text.
func TestBadFiles(t *testing.T) {
	for file, bad := range map[string]string{
		cpuDir + "/online":                                                "0-3,7,5-4",
		cpuDir + "/cpu3/topology/core_cpus_list":                          "99999",
		cpuDir + "/cpu3/topology/core_id":                                 "three",
		cpuDir + "/cpu3/topology/physical_package_id":                     "0x1",
		cpuDir + "/cpu3/cache/index3/level":                               "L3",
		cpuDir + "/cpu3/cache/index3/size":                                "lots",
		cpuDir + "/cpu3/cache/index3/shared_cpu_list":                     "0--5",
		nodeDir + "/online":                                               "0,1024",
		nodeDir + "/node0/cpulist":                                        "0-13 ,",
		nodeDir + "/node0/distance":                                       "ten",
		nodeDir + "/node0/meminfo":                                        "Node 0 MemTotal: 99999999999999999 GB",
		nodeDir + "/node0/hugepages/hugepages-2048kB/nr_hugepages":        "-1",
		"sys/fs/cgroup/system.slice/sealer.service/cpuset.cpus.effective": "0-8192",
		"sys/fs/cgroup/system.slice/sealer.service/cpuset.mems.effective": "zero",
	} {
		src := uneven()
		src.addFile(file, bad)
		_, err := read(src, "dump")
		var wrong *ParseError
		if !errors.As(err, &wrong) {
			t.Errorf("%s = %q: %v, want a *ParseError", file, bad, err)
			continue
		}
		if !strings.Contains(err.Error(), file) || !strings.Contains(bad, wrong.Text) {
			t.Errorf("%s = %q: %q names another", file, bad, err)
		}
		// A running kernel means something by it: a reason, and no error.
		m, err := read(running{src}, "/")
		if err != nil || !strings.Contains(strings.Join(m.Degraded(), "\n"), wrong.Reason) {
			t.Errorf("%s = %q on a live machine: %v", file, bad, err)
		}
	}
}

func TestNoDump(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "an empty file",
		"processor: 0\n":                       `line 1: "processor: 0": no dump`,
		dumpHeader + "\nonline = 0\n":          `line 2: "online = 0": a file outside of a section`,
		dumpHeader + "\n\tx\n":                 `line 2: "\tx": a line of no file`,
		dumpHeader + "\n[sys]\n\n\tx\n":        "line 4",
		dumpHeader + "\n[sys\n":                "not the name of a directory",
		dumpHeader + "\n[../etc]\n":            "not the name of a directory",
		dumpHeader + "\n[/etc]\n":              "not the name of a directory",
		dumpHeader + "\n[.]\n":                 "not the name of a directory",
		dumpHeader + "\n[sys]\n.. = 1\n":       "not the name of a file",
		dumpHeader + "\n[sys]\na/b = 1\n":      "not the name of a file",
		dumpHeader + "\n[sys]\nonline\n":       "not a section, a file or a line of one",
		dumpHeader + "\n[sys]\na = 1\na = 2\n": "line 4: \"a = 2\": a second file of that name",
	} {
		file := filepath.Join(t.TempDir(), "machine.txt")
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadDump(file); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: %v, want an error with %q", text, err, want)
		}
	}
	if _, err := ReadDump(t.TempDir()); err == nil {
		t.Error("a directory is a dump file")
	}
	if _, err := ReadDump(os.DevNull); err == nil {
		t.Error("a device is a dump file")
	}
	missing := filepath.Join(t.TempDir(), "missing")
	for name, err := range map[string]error{
		"ReadRoot": second(ReadRoot(missing)), "ReadDump": second(ReadDump(missing)), "Dump": Dump(new(bytes.Buffer), missing),
	} {
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s of nothing: %v", name, err)
		}
	}
	if _, err := ReadRoot(filepath.Join("testdata", "nothing.txt")); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("ReadRoot of a file: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// An empty directory is a machine of which nothing is known.
func TestEmptyDirectory(t *testing.T) {
	m, err := ReadRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	checkMachine(t, m)
	if m.CPUs().Len() != 0 || len(m.Degraded()) == 0 {
		t.Errorf("%+v", pictureOf(m))
	}
}

// What is in the place of a file, but is none or cannot be read, is as good as missing
// and never waited for.
func TestUnreadable(t *testing.T) {
	root := layOut(t, small())
	for _, name := range []string{cpuinfoFile, cpuDir + "/cpu1/topology/core_cpus_list", nodeDir + "/online"} {
		name = filepath.Join(root, filepath.FromSlash(name))
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(name, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	m, err := ReadRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	checkMachine(t, m)
	if text := strings.Join(m.Degraded(), "\n"); !strings.Contains(text, cpuinfoFile+": not a file") || m.Model() != "" {
		t.Errorf("model %q, degraded:\n%s", m.Model(), text)
	}
}

// Lists that contradict each other still put each CPU into one core and one complex.
func TestContradictions(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"siblings one way":       {cpuDir + "/cpu1/topology/core_cpus_list": "0-1"},
		"siblings of siblings":   {cpuDir + "/cpu1/topology/core_cpus_list": "1-2", cpuDir + "/cpu2/topology/core_cpus_list": "2-3", cpuDir + "/cpu1/topology/core_id": "2"},
		"not its own sibling":    {cpuDir + "/cpu4/topology/core_cpus_list": "9"},
		"overlapping L3":         {cpuDir + "/cpu0/cache/index3/shared_cpu_list": "0-9"},
		"an L3 without its CPU":  {cpuDir + "/cpu0/cache/index3/shared_cpu_list": "6-13"},
		"an L3 of assigned CPUs": {cpuDir + "/cpu6/cache/index3/shared_cpu_list": "0-5"},
		"a core over two L3":     {cpuDir + "/cpu5/topology/core_cpus_list": "5-6", cpuDir + "/cpu5/topology/core_id": "8"},
		"two nodes, one CPU":     {nodeDir + "/online": "0-1", nodeDir + "/node1/cpulist": "3-20", nodeDir + "/node1/distance": "10", nodeDir + "/node1/meminfo": ""},
		"a node of other CPUs":   {nodeDir + "/node0/cpulist": "100-200"},
		"two packages, one L3":   {cpuDir + "/cpu3/topology/physical_package_id": "7"},
		"a mask of others":       {statusFile: "Cpus_allowed_list:\t100\nMems_allowed_list:\t9"},
		"other CPUs online":      {cpuDir + "/online": "3,500"},
	} {
		t.Run(name, func(t *testing.T) {
			src := uneven()
			for file, text := range files {
				src.addFile(file, text)
			}
			readText(t, src)
		})
	}
}

// Machines are immutable: what a caller does to a list is his own affair.
func TestImmutable(t *testing.T) {
	m := readText(t, oddNodes())
	before := pictureOf(m)
	m.Features()[0] = "abacus"
	m.Packages()[0].ID = 9
	nodes := m.NUMANodes()
	nodes[0].Distances[0], nodes[0].HugePages[0].Free, nodes[1].ID = 99, 99, 99
	complexes := m.Complexes()
	complexes[0].Cores[0], complexes[1].CacheLevel = 7, 7
	cores := m.Cores()
	cores[0].CPUs[0], cores[1].Complex = 7, 7
	m.AllowedMems()[0] = 9
	m.CPUs().Slice()[0] = 9
	if after := pictureOf(m); len(after.Degraded) != len(before.Degraded) || strings.Join(after.Cores, after.Model) != strings.Join(before.Cores, before.Model) ||
		strings.Join(after.Nodes, after.Features) != strings.Join(before.Nodes, before.Features) || strings.Join(after.Complexes, "") != strings.Join(before.Complexes, "") {
		t.Errorf("%+v, was %+v", after, before)
	}
}
