package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
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

// TestTopoPicture draws machines of all shapes. SDR_UPDATE=1 rewrites what is expected.
func TestTopoPicture(t *testing.T) {
	held := func(cpu topology.CPU) (string, bool) {
		if cpu == 3 || cpu == 200 {
			return "process 4242, job s-t01000-7", true
		}
		return "process 1", cpu == 9
	}
	for _, c := range []struct {
		machine string
		held    holder
		columns int
	}{
		{"epyc-2s-24ccx-smt", held, 100},
		{"container-cut-ccx", held, 100},
		{"xeon-2s-snc2", nil, 100},
		{"hybrid", held, 60},
		{"odd-nodes", nil, 100},
		{"arm64-altra", nil, 1},
		{"nothing", held, 100},
		{"vm-no-cache", nil, 100},
	} {
		m := readTestMachine(t, c.machine)
		p := topoPicture{m: m, held: c.held, columns: c.columns}
		got := p.text()
		golden := filepath.Join("testdata", "topo", c.machine+".txt")
		if os.Getenv("SDR_UPDATE") != "" {
			if err := os.WriteFile(golden, []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.machine, diff)
		}
		for line := range strings.Lines(got) {
			if strings.TrimRight(line, " \n") != strings.TrimRight(line, "\n") {
				t.Errorf("%s: a line with blanks at its end: %q", c.machine, line)
			}
		}

		// Colors are added to the same text.
		p = topoPicture{m: m, held: c.held, columns: c.columns, color: true}
		colored := p.text()
		if plain := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(colored, ""); plain != got || colored == got {
			t.Errorf("%s: without its colors it is\n%s\nwant\n%s", c.machine, plain, got)
		}
	}
}

// The JSON's keys are a contract, and no list is null.
func TestTopoJSON(t *testing.T) {
	for _, name := range []string{"epyc-2s-24ccx-smt", "odd-nodes", "nothing"} {
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
		nodes := m.NUMANodes()
		for _, n := range nodes {
			pools := []any{}
			for _, p := range n.HugePages {
				pools = append(pools, map[string]any{"size": float64(p.Size), "total": float64(p.Total), "free": float64(p.Free)})
			}
			want["numa_nodes"] = append(want["numa_nodes"].([]any), map[string]any{"id": float64(n.ID), "cpus": list(n.CPUs.Slice()), "distances": list(n.Distances),
				"memory_total": float64(n.MemoryTotal), "memory_free": float64(n.MemoryFree), "hugepages": pools})
		}
		for _, c := range m.Complexes() {
			want["core_complexes"] = append(want["core_complexes"].([]any), map[string]any{"cpus": list(c.CPUs.Slice()), "numa_node": float64(nodes[c.NUMANode].ID)})
		}
		for _, c := range m.Cores() {
			want["cores"] = append(want["cores"].([]any), list(c.CPUs))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
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
