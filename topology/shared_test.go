package topology

import (
	"archive/tar"
	"compress/bzip2"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/internal/testkit"
)

// sharedDumps are dumps of real machines as hwloc's test suite has them, NAME.tar.bz2,
// and beside each what hwloc reads in it. They are not ours to copy: a directory "shared"
// beside this project, or beside a directory that holds it, has them; SDR_SHARED names
// another. In CI they are there, so that this test cannot be skipped for ever, unless
// SDR_SHARED is none: a CI of somebody who has none of them.
func sharedDumps(t *testing.T) []string {
	at, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dirs := []string{os.Getenv("SDR_SHARED")}
	if dirs[0] == "" {
		for dirs = nil; filepath.Dir(at) != at; at = filepath.Dir(at) {
			dirs = append(dirs, filepath.Join(at, "shared"))
		}
	}
	for _, dir := range dirs {
		if dumps, _ := filepath.Glob(filepath.Join(dir, "topologies", "*.tar.bz2")); len(dumps) > 0 {
			return dumps
		}
	}
	why := fmt.Sprintf("no dumps of machines, *.tar.bz2, in topologies below any of %q: put them into ../shared beside the project, or name their directory's parent in SDR_SHARED", dirs)
	if os.Getenv("CI") == "true" && dirs[0] != "none" {
		t.Fatal(why)
	}
	t.Skip(why)
	return nil
}

// TestAgreesWithHwloc reads the dumps of real machines: NUMA nodes, L3 caches, cores
// and CPUs must be those that hwloc finds.
func TestAgreesWithHwloc(t *testing.T) {
	type node struct {
		ID   NUMANodeID `json:"id"`
		CPUs []CPU      `json:"cpus"`
	}
	type expectation struct {
		Nodes []node  `json:"numa_nodes"`
		L3    [][]CPU `json:"l3_domains"`
		Cores [][]CPU `json:"cores"`
		CPUs  []CPU   `json:"cpus"`
		// What follows is not known of all machines.
		Allowed     []CPU                 `json:"allowed"`
		AllowedMems []NUMANodeID          `json:"allowed_mems"`
		Total       map[NUMANodeID]uint64 `json:"memory_total"`
		Free        map[NUMANodeID]uint64 `json:"memory_free"`
		Kinds       map[string][]CPU      `json:"kinds"`
		Packages    [][]CPU               `json:"packages"`
	}
	for _, dump := range sharedDumps(t) {
		name := strings.TrimSuffix(dump, ".tar.bz2")
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(name + ".expect.json")
			if err != nil {
				t.Fatal(err)
			}
			var want expectation
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(dump); err == nil && info.Size() > 16<<10 && !testkit.Long() {
				t.Skip("a large machine takes a while to unpack: only with SDR_LONG_TESTS=1")
			}
			src, links := unpack(t, dump)
			m := readText(t, src)
			got := expectation{L3: [][]CPU{}, CPUs: m.CPUs().Slice()}
			for _, n := range m.NUMANodes() {
				got.Nodes = append(got.Nodes, node{n.ID, n.CPUs.Slice()})
			}
			for _, c := range m.Complexes() {
				if c.CacheLevel == 3 {
					got.L3 = append(got.L3, c.CPUs.Slice())
				}
			}
			for _, c := range m.Cores() {
				got.Cores = append(got.Cores, c.CPUs)
			}
			if want.Allowed != nil {
				got.Allowed = m.Allowed().Slice()
			}
			if want.AllowedMems != nil {
				got.AllowedMems = m.AllowedMems()
			}
			for _, p := range m.Packages() {
				if want.Packages != nil {
					got.Packages = append(got.Packages, p.CPUs.Slice())
				}
			}
			for i, n := range m.NUMANodes() {
				if i == 0 {
					got.Total, got.Free = map[NUMANodeID]uint64{}, map[NUMANodeID]uint64{}
				}
				got.Total[n.ID], got.Free[n.ID] = n.MemoryTotal, n.MemoryFree
			}
			if want.Total == nil {
				got.Total = nil
			}
			if want.Free == nil {
				got.Free = nil
			}
			if diff := cmp.Diff(want.Kinds, kinds(m)); want.Kinds != nil && diff != "" {
				t.Errorf("kinds (-want +got):\n%s", diff)
			}
			want.Kinds = nil
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-hwloc +topology:\n%s", diff)
			}
			if len(src.files) > 400 && !testkit.Long() {
				return // disks may be slow
			}
			root := layOut(t, src)
			for link, target := range links {
				link = filepath.Join(root, filepath.FromSlash(link))
				// What the source says of where some links lead is laid out as a directory.
				if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o777), os.RemoveAll(link), os.Symlink(target, link)); err != nil {
					t.Fatal(err)
				}
			}
			directory, err := ReadRoot(root)
			if err != nil {
				t.Fatal(err)
			}
			for how, other := range map[string]*Machine{"a directory": directory, "a dump of a directory": dumped(t, root)} {
				if diff := cmp.Diff(pictureOf(m), pictureOf(other)); diff != "" {
					t.Errorf("%s is another machine:\n%s", how, diff)
				}
			}
		})
	}
}

// kinds are the CPUs of performance and efficiency cores, those of low power among them.
func kinds(m *Machine) map[string][]CPU {
	kinds := map[string][]CPU{}
	for _, core := range m.Cores() {
		switch core.Kind {
		case Performance:
			kinds["performance"] = append(kinds["performance"], core.CPUs...)
		case Efficiency, LowPower:
			kinds["efficiency"] = append(kinds["efficiency"], core.CPUs...)
		}
	}
	return kinds
}

// unpack reads an archive of one directory, without what no Machine is read from.
func unpack(t *testing.T, archive string) (src *textSource, links map[string]string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	src, links = newTextSource(), map[string]string{}
	in := tar.NewReader(bzip2.NewReader(f))
	for {
		h, err := in.Next()
		if err == io.EOF {
			for link, target := range links {
				if path.Dir(link) == kmemDir && strings.HasPrefix(path.Base(link), "dax") {
					src.addFile(link+linkSuffix, target+"\n")
					src.addDir(link)
					at := path.Join(kmemDir, target, "target_node")
					src.addFile(link+"/target_node", src.files[at])
				}
			}
			return src, links
		}
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(path.Clean(h.Name), "/")
		if unused.MatchString(name) {
			continue
		}
		switch h.Typeflag {
		case tar.TypeSymlink:
			links[name] = h.Linkname
		case tar.TypeReg:
			text, err := io.ReadAll(in)
			if err != nil {
				t.Fatal(err)
			}
			src.addFile(name, string(text))
		case tar.TypeDir:
			src.addDir(name)
		}
	}
}

var unused = regexp.MustCompile(`^$|^sys/(bus/[^d]|bus/d[^a]|class|firmware)|^sys/devices/virtual|/(cpufreq|cpuidle|power|hotplug|thermal_throttle|acpi_cppc|node\d+/memory\d+)(/|$)`)
