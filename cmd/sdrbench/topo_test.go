package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sdr-engine/sdr/topology"
)

func readTestMachine(t *testing.T, name string) *topology.Machine {
	t.Helper()
	m, err := topology.ReadDump(filepath.Join("..", "..", "topology", "testdata", name+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The JSON's keys are a contract, and no list is null.
func TestTopoJSON(t *testing.T) {
	for _, name := range []string{"epyc-2s-24ccx-smt", "odd-nodes", "nothing", "hybrid-low-power", "accelerated"} {
		m := readTestMachine(t, name)
		text, err := json.Marshal(newTopoJSON(m))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "null") {
			t.Errorf("%s: a list is null: %s", name, text)
		}
		var got map[string]any
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"model": m.Model(), "numa_nodes": []any{}, "core_complexes": []any{}, "cores": []any{}, "cpus": list(m.CPUs().Slice()), "allowed": list(m.Allowed().Slice()), "degraded": list(m.Degraded())}
		want["allowed_mems"], want["packages"], want["other_complexes"], want["kinds"], want["low_power"] = nodeNumbers(m.AllowedMems()), []any{}, []any{}, map[string]any{}, []any{}
		if name == "hybrid-low-power" { // 0 to 3 are siblings on two cores, 6 and 7 have no part in the L3
			want["kinds"] = map[string]any{"performance": list([]topology.CPU{0, 1, 2, 3}), "efficiency": list([]topology.CPU{4, 5, 6, 7})}
			want["low_power"] = list([]topology.CPU{6, 7})
		}
		for _, p := range m.Packages() {
			want["packages"] = append(want["packages"].([]any), map[string]any{"id": float64(p.ID), "cpus": list(p.CPUs.Slice())})
		}
		nodes := m.NUMANodes()
		for _, n := range nodes {
			pools := []any{}
			for _, p := range n.HugePages {
				pools = append(pools, map[string]any{"size": float64(p.Size), "total": float64(p.Total), "free": float64(p.Free)})
			}
			want["numa_nodes"] = append(want["numa_nodes"].([]any), map[string]any{"id": float64(n.ID), "cpus": list(n.CPUs.Slice()), "distances": list(n.Distances),
				"memory_kind": n.MemoryKind.String(), "memory_total": float64(n.MemoryTotal), "memory_free": float64(n.MemoryFree), "hugepages": pools})
		}
		for _, c := range m.Complexes() {
			key := "core_complexes"
			if c.CacheLevel != 3 && m.Complexes()[0].CacheLevel == 3 {
				key = "other_complexes"
			}
			want[key] = append(want[key].([]any), map[string]any{"cpus": list(c.CPUs.Slice()), "numa_node": float64(nodes[c.NUMANode].ID),
				"cache_level": float64(c.CacheLevel), "cache_size": float64(c.CacheSize)})
		}
		for _, c := range m.Cores() {
			want["cores"] = append(want["cores"].([]any), list(c.CPUs))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestTopoDir shows the disk of a directory, which is empty as before.
func TestTopoDir(t *testing.T) {
	dir := t.TempDir()
	var got topoJSON
	if err := json.Unmarshal([]byte(mustRun(t, nil, "topo", "--dir", dir, "--json")), &got); err != nil {
		t.Fatal(err)
	}
	want, err := topology.ReadDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got.Dir == nil || got.Dir.Path != dir || got.Dir.FileSystem != want.FileSystem || got.Dir.DirectOffset != want.DirectOffset || got.Dir.FreeSpace == 0 {
		t.Errorf("%+v, want %+v", got.Dir, want)
	}
	if text := mustRun(t, nil, "topo", "--dir", dir); !strings.Contains(text, want.FileSystem) || !strings.Contains(text, dir) {
		t.Errorf("topo says\n%s\nwant %+v", text, want)
	}
	dump := filepath.Join("..", "..", "topology", "testdata", "hybrid.txt")
	for _, c := range []struct {
		exit int
		args []string
	}{{1, []string{"--dir", filepath.Join(dir, "missing")}}, {2, []string{"--dir", dir, "--root", dump}}, {2, []string{"--dir", dir, "--dump", "-"}}} {
		if run := sdrbench(t, nil, append([]string{"topo"}, c.args...)...); run.exit != c.exit {
			t.Errorf("%q: exit code %d: %s; want %d", c.args, run.exit, run.stderr, c.exit)
		}
	}
}

func nodeNumbers(ids []topology.NUMANodeID) []any {
	numbers := []int{}
	for _, id := range ids {
		numbers = append(numbers, int(id))
	}
	return list(numbers)
}

// list is a list as JSON has it.
func list[T any](values []T) []any {
	out := []any{}
	for _, v := range values {
		switch v := any(v).(type) {
		case topology.CPU:
			out = append(out, float64(v))
		case int:
			out = append(out, float64(v))
		default:
			out = append(out, fmt.Sprint(v))
		}
	}
	return out
}
