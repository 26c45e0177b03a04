package main

import (
	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/reserve"
	"github.com/sdr-engine/sdr/topology"
)

// planJSON is a contract with scripts. Lists are never null; nodes are named by the
// kernel's numbers, core complexes by their positions in what topo prints.
type planJSON struct {
	Model        string           `json:"model"`
	Proof        string           `json:"proof"`
	Asked        *int             `json:"asked"` // null for as many as fit
	Sectors      int              `json:"sectors"`
	Max          int              `json:"max"`
	Fits         bool             `json:"fits"`
	Policy       string           `json:"policy"`
	CPUs         []topology.CPU   `json:"policy_cpus"` // of the policy "list"
	Lanes        int              `json:"lanes"`
	Producers    int              `json:"producers"`
	Sharing      int              `json:"hashers_per_producer"`
	MemoryMode   string           `json:"memory_mode"`
	Budget       *uint64          `json:"memory_budget"` // bytes, null for none
	SectorMemory uint64           `json:"sector_memory"` // bytes
	JobOverhead  uint64           `json:"job_overhead"`  // bytes
	Memory       uint64           `json:"memory"`        // bytes
	MemoryNodes  string           `json:"memory_nodes"`  // dram, all, or a list
	LeftOut      []planLeftOut    `json:"memory_left_out"`
	Jobs         []planJob        `json:"jobs"`
	Limits       []planLimit      `json:"limits"`
	Helps        []planHelp       `json:"helps"`
	Choices      []planChoice     `json:"choices"`    // the best first, and the second best; none if nothing was to be chosen
	Why          []planWhy        `json:"why"`        // of each memory mode that was considered, its best
	DiskGives    *planRates       `json:"disk_gives"` // null where nobody says
	For          string           `json:"for"`
	Cycles       string           `json:"cycles"` // whose they are: typical, facts of a CPU and where those are, or measured and where that is
	Hz           float64          `json:"hz"`     // of the cores that times are for
	Others       []planOther      `json:"other_layouts"`
	Held         []reserve.Holder `json:"held"`
	Degraded     []string         `json:"degraded"`
}

type planJob struct {
	Sectors   int                 `json:"sectors"`
	Hasher    topology.CPU        `json:"hasher"`
	Kind      string              `json:"core_kind"`
	Producers []topology.CPU      `json:"producers"`
	Cores     []topology.CPU      `json:"cores"` // each by its lowest CPU
	Complex   int                 `json:"core_complex"`
	NUMANode  topology.NUMANodeID `json:"numa_node"`
	Memory    []planShare         `json:"memory"`
}

type planShare struct {
	NUMANode topology.NUMANodeID `json:"numa_node"`
	PageSize uint64              `json:"page_size"` // 0 for ordinary memory
	Bytes    uint64              `json:"bytes"`
	Distance int                 `json:"distance"`
}

type planLimit struct {
	Kind     placement.LimitKind  `json:"kind"`
	NUMANode *topology.NUMANodeID `json:"numa_node"` // null unless memory of one node is meant
	PageSize uint64               `json:"page_size"`
	Text     string               `json:"text"`
	Sectors  int                  `json:"sectors_without"`         // that would fit without it
	PerDay   *float64             `json:"sectors_per_day_without"` // null where nothing was chosen, or nothing else limits
}

type planChoice struct {
	Lanes     int     `json:"lanes"`
	Kernel    string  `json:"kernel"`
	Mode      string  `json:"memory_mode"`
	Producers int     `json:"producers"`
	Sharing   int     `json:"hashers_per_producer"`
	Sectors   int     `json:"sectors"`
	Hours     float64 `json:"hours"` // at that clock, as per day
	PerDay    float64 `json:"sectors_per_day"`
	Bound     string  `json:"limited_by"`

	Disk         planRates `json:"disk"`                  // that it asks for, of all sectors
	Full         planRates `json:"disk_at_full_speed"`    // that it would ask for if the disk gave it
	Label        planRates `json:"disk_bytes_of_label"`   // of each sector
	FullSpeed    *int      `json:"sectors_at_full_speed"` // that the disk can feed; null where nobody says what it gives
	Written      uint64    `json:"bytes_written_of_sector"`
	HelperCycles float64   `json:"helper_cycles_of_label"` // besides parents; 0 but in budget mode
	HelperCores  float64   `json:"helper_cores"`
	Budget       *planFeed `json:"budget"` // null but in budget mode
}

// A planFeed is what budget mode does.
type planFeed struct {
	SectorMemory uint64  `json:"sector_memory"`       // bytes
	JobMemory    uint64  `json:"job_memory_required"` // bytes, of one hasher with all lanes
	Way          string  `json:"way"`
	Segments     int     `json:"segments"`
	SegmentNodes uint64  `json:"segment_nodes"`
	Read         float64 `json:"read_of_label"` // bytes
	Written      float64 `json:"written_of_label"`
	Scratch      uint64  `json:"scratch_of_sector"` // bytes
}

type planRates struct {
	Read    float64 `json:"read"`
	Written float64 `json:"written"`
}

type planWhy struct {
	Mode    string  `json:"memory_mode"`
	Sectors int     `json:"sectors"`
	PerDay  float64 `json:"sectors_per_day"`
	Bound   string  `json:"limited_by"`
}

type planOther struct {
	Name    string  `json:"name"`
	Sectors int     `json:"sectors"`
	Cores   int     `json:"cores"`
	Memory  uint64  `json:"memory"` // bytes
	PerDay  float64 `json:"sectors_per_day"`
}

// A planLeftOut is a NUMA node whose memory this process could use, and the plan does not.
type planLeftOut struct {
	NUMANode topology.NUMANodeID `json:"numa_node"`
	Kind     string              `json:"memory_kind"`
	Total    uint64              `json:"memory_total"` // bytes
	Free     uint64              `json:"memory_free"`
}

type planHelp struct {
	Sectors int    `json:"sectors"`
	Text    string `json:"text"`
}

func newPlanJSON(m *topology.Machine, proof porep.SealProof, p *placement.Plan, held []reserve.Holder, best view.Best) *planJSON {
	q := p.Request
	out := &planJSON{
		Model: m.Model(), Proof: proof.String(),
		Sectors: p.Sectors, Max: p.Max, Fits: p.Fits(),
		Policy: q.Policy.String(), CPUs: q.Only.Slice(), Lanes: q.Lanes, Producers: q.Producers, Sharing: q.HashersPerProducer, MemoryMode: q.Mode.String(),
		SectorMemory: p.SectorMemory, JobOverhead: q.JobOverhead(), Memory: p.Memory,
		MemoryNodes: q.MemoryNodes.String(), LeftOut: []planLeftOut{},
		Jobs: []planJob{}, Limits: []planLimit{}, Helps: []planHelp{}, Choices: []planChoice{}, Why: []planWhy{}, Others: []planOther{}, For: best.Purpose, Cycles: best.Cycles, Hz: best.Hz,
		Held: append([]reserve.Holder{}, held...), Degraded: append([]string{}, m.Degraded()...),
	}
	if q.Sectors != placement.Max {
		out.Asked = &q.Sectors
	}
	if q.Budget > 0 {
		out.Budget = &q.Budget
	}
	for _, j := range p.Jobs {
		job := planJob{j.Sectors, j.Hasher, j.Kind.String(), append([]topology.CPU{}, j.Producers...), j.Cores, int(j.Complex), j.NUMANode, nil}
		for _, s := range j.Memory {
			job.Memory = append(job.Memory, planShare{s.Pool.NUMANode, s.Pool.PageSize, s.Bytes, s.Distance})
		}
		out.Jobs = append(out.Jobs, job)
	}
	for _, n := range m.LeftOut(q.MemoryNodes) {
		out.LeftOut = append(out.LeftOut, planLeftOut{n.ID, n.MemoryKind.String(), n.MemoryTotal, n.MemoryFree})
	}
	for _, l := range p.Limits {
		limit := planLimit{Kind: l.Kind, PageSize: l.Pool.PageSize, Text: l.Text, Sectors: l.Sectors}
		if perDay, ok := best.Without(l); ok {
			limit.PerDay = &perDay
		}
		if l.OfNode {
			limit.NUMANode = &l.Pool.NUMANode
		}
		out.Limits = append(out.Limits, limit)
	}
	if f := best.Faster; f != nil {
		perDay := f.PerDay()
		out.Limits = append(out.Limits, planLimit{Kind: "disk", Text: best.DiskLimit(), Sectors: f.Sectors, PerDay: &perDay})
	}
	for _, c := range best.Choices[:min(2, len(best.Choices))] {
		out.Choices = append(out.Choices, newPlanChoice(c))
	}
	for _, c := range best.Modes() {
		out.Why = append(out.Why, planWhy{c.Mode.String(), c.Sectors, c.PerDay(), string(c.Bound)})
	}
	if best.Gives != (view.Rates{}) {
		gives := planRates(best.Gives.Equalled())
		out.DiskGives = &gives
	}
	for _, o := range best.Others {
		out.Others = append(out.Others, planOther(o))
	}
	for _, h := range p.Helps {
		out.Helps = append(out.Helps, planHelp{h.Sectors, h.Text})
	}
	return out
}

func newPlanChoice(c view.Choice) planChoice {
	one := planChoice{
		Lanes: c.Lanes, Kernel: c.Kernel, Mode: c.Mode.String(), Producers: c.Producers, Sharing: c.HashersPerProducer, Sectors: c.Sectors, Hours: c.Hours, PerDay: c.PerDay(),
		Bound: string(c.Bound), Disk: planRates(c.Disk), Full: planRates(c.Full), Label: planRates(c.Label),
		Written: uint64(c.Written), FullSpeed: c.FullSpeed, HelperCycles: c.HelperCycles, HelperCores: c.HelperCores,
	}
	if f := c.Feed; c.Mode == placement.Budget {
		one.Budget = &planFeed{c.SectorBudget, c.JobMemory, f.Way.String(), f.Segments, f.Nodes, f.Read, f.Written, f.Scratch}
	}
	return one
}
