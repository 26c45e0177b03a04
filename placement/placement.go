// Package placement decides which sector is hashed where: a pure function from a
// machine, what other jobs hold and a request to a plan.
//
// A job is one hashing core with its lanes, the CPUs that produce parents for it, in
// the same core complex, and its memory. Cores belong to one job as a whole, since
// that is how they are reserved; what shares a hasher's core, or idles there, is the
// job's own decision.
//
// How many sectors fit is computed first, from sums: what could go wrong in placing
// one job after another, a job that takes what only another could have used, cannot
// happen, and a larger machine never fits fewer. To make the sums exact, memory for
// layers is given out in units that divide a sector's memory (1 GiB where that
// is possible), so that a job may have some of it on one node and some on the next.
// Placing then chooses among what fits: performance cores first, then where
// memory is near, then what the policy says.
package placement

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/words"
	"github.com/sdr-engine/sdr/topology"
)

// A Policy is the order in which core complexes are used.
type Policy int

// The policies.
const (
	Spread Policy = iota // one core complex after another
	Pack                 // a core complex is filled before the next is begun
	List                 // only the CPUs of a list, filled in its order, ascending
)

func (p Policy) String() string {
	switch p {
	case Spread:
		return "spread"
	case Pack:
		return "pack"
	case List:
		return "list"
	}
	return fmt.Sprintf("Policy(%d)", int(p))
}

// A PolicyError says that a text is no policy.
type PolicyError struct {
	Text string
	Err  error // what is wrong with it as a list, or nil
}

// Is reports whether target is the kind ErrBadInput.
func (e *PolicyError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *PolicyError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("placement: parsing policy %q: %v", e.Text, e.Err)
	}
	return fmt.Sprintf("placement: parsing policy %q: want spread, pack or a list of CPUs like 0-3,8", e.Text)
}

// Unwrap is what is wrong with the list.
func (e *PolicyError) Unwrap() error { return e.Err }

// ParsePolicy reads "spread", "pack", or a list of CPUs in the kernel's format,
// "0-3,8", which it returns as well. The error is a *PolicyError.
func ParsePolicy(text string) (Policy, topology.CPUSet, error) {
	switch {
	case text == Spread.String():
		return Spread, topology.CPUSet{}, nil
	case text == Pack.String():
		return Pack, topology.CPUSet{}, nil
	case !strings.ContainsAny(text, "0123456789"):
		return 0, topology.CPUSet{}, &PolicyError{text, nil}
	}
	cpus, err := topology.ParseCPUList(text)
	if err != nil {
		return 0, topology.CPUSet{}, &PolicyError{text, err}
	}
	return List, cpus, nil
}

const (
	smallPage = 4 << 10
	gib       = 1 << 30
)

// PageSize values with a meaning of their own; any other is the size of a huge page.
const (
	AnyPages      = 0         // free huge pages of any size, and ordinary memory
	OrdinaryPages = smallPage // ordinary memory, which may become transparent huge pages
)

// SMTUse is what happens to the SMT siblings of the CPUs that hash.
type SMTUse int

// The uses of SMT siblings.
const (
	ProduceOnSiblings SMTUse = iota // a hasher's sibling produces for it
	IdleSiblings                    // every core runs one thread
)

func (u SMTUse) String() string {
	switch u {
	case ProduceOnSiblings:
		return "produce"
	case IdleSiblings:
		return "idle"
	}
	return fmt.Sprintf("SMTUse(%d)", int(u))
}

// ParseSMTUse reads "produce" or "idle".
func ParseSMTUse(text string) (SMTUse, error) {
	for _, u := range []SMTUse{ProduceOnSiblings, IdleSiblings} {
		if text == u.String() {
			return u, nil
		}
	}
	return 0, fmt.Errorf("%q is not produce or idle", text)
}

// Max asks for as many sectors as fit.
const Max = 0

// MaxSectors is the most that a Request may have.
const MaxSectors = 1 << 20

// What is far above any machine and any sector, and keeps sums from overflowing.
const (
	maxPool       = 1 << 52 // bytes
	maxProducers  = topology.MaxCPUs
	maxSectorSize = 1 << 40
)

// Request is what is to be placed.
type Request struct {
	// Sectors is how many, or Max.
	Sectors int
	// SectorSize is a sector's size in bytes, padded, as is each of its layers.
	SectorSize uint64
	// Lanes is how many sectors one core hashes in lock-step: 1, 2, 4, 8, 16 or 32.
	// Default: 1.
	Lanes int
	// Producers is how many CPUs of the same core complex each hasher has for
	// itself. Default: none.
	Producers int
	// HashersPerProducer is how many hashers of a core complex one producer serves, on a core of
	// its own; what is left over has one with fewer. With more than one, Producers is 1 or 0, and
	// SMT siblings idle. It is at most the cores of the largest complex. Default: 1.
	HashersPerProducer int
	// FewerProducers lets hashers have fewer, or none; what produces for them then has no CPU
	// of its own. A complex that is too small has one job, with the producers that there is
	// room for; and if so many sectors do not fit, all jobs have as many as let them, or the
	// most, fit: Plan.Request says how many. Default: all or nothing.
	FewerProducers bool
	// Policy is the order in which core complexes are used. Default: Spread.
	Policy Policy
	// Only is the list that Policy List goes by; none otherwise.
	Only topology.CPUSet
	// Mode is how much of the layers is in memory. Default: TwoLayers.
	Mode MemoryMode
	// SectorBudget, in mode Budget, is each lane's part of a job's memory, in bytes, tables, rings
	// and buffers included: the engine fits what it does into that.
	SectorBudget uint64
	// Budget bounds the memory of all jobs together, in bytes. Default: no bound.
	Budget uint64
	// SMT is what SMT siblings do. Default: ProduceOnSiblings.
	SMT SMTUse
	// PageSize is the size in bytes of the huge pages that layers must lie in, or
	// OrdinaryPages. Default: AnyPages.
	PageSize uint64
	// MemoryNodes are the NUMA nodes whose memory may be used. Default: those with DRAM.
	MemoryNodes topology.MemoryNodes
	// InFiles is how many bytes each NUMA node has in files of huge pages that become the jobs'
	// layers. If there are any, all layers lie there, and none in the machine's free memory.
	// Default: none.
	InFiles map[topology.NUMANodeID]uint64
}

// Reserved is what other jobs hold.
type Reserved struct {
	// Cores are CPUs, each of which stands for its whole core.
	Cores []topology.CPU
	// Memory is what they will still take from each pool, in bytes.
	Memory map[topology.MemoryPool]uint64
}

// A Plan is where sectors go.
type Plan struct {
	Request Request // with its defaults
	// Max is how many sectors would fit, with as many producers as Request says; Sectors how many
	// are placed in Jobs: as many as were asked for, or Max if that is less.
	Max, Sectors int
	Jobs         []Job
	// SectorMemory is a sector's part of the memory, in bytes; Memory is what all
	// jobs take, their overhead and what lies in files included.
	SectorMemory, Memory uint64
	// Limits is what keeps a sector more than Max from fitting: all of it.
	Limits []Limit
	// Helps is what would let more than Max fit.
	Helps []Help
}

// Fits reports whether all that was asked for is placed, and anything at all.
func (p *Plan) Fits() bool { return p.Sectors > 0 && p.Sectors >= p.Request.Sectors }

// A Job is one hashing core and what belongs to it.
type Job struct {
	Sectors   int // as many as there are lanes; the last job may have fewer
	Hasher    topology.CPU
	Kind      topology.CoreKind // of the hasher's core
	Producers []topology.CPU
	// Cores are the numbers of the cores of Hasher and Producers, ascending: see
	// topology.Machine.CoreNumber. The job has them to itself; of jobs that share a producer, the
	// first has its core.
	Cores    []topology.CPU
	Complex  topology.ComplexIndex
	NUMANode topology.NUMANodeID // of the hasher
	Memory   []Share             // nearest first, and largest pages; nothing of Request.InFiles
}

// Bytes is the job's memory.
func (j *Job) Bytes() (sum uint64) {
	for _, s := range j.Memory {
		sum += s.Bytes
	}
	return sum
}

// A Share is a part of a job's memory.
type Share struct {
	Pool     topology.MemoryPool
	Bytes    uint64
	Distance int // from the hasher, 10 is the same node
}

// A LimitKind is a kind of thing that there can be too little of.
type LimitKind string

// The kinds of limits.
const (
	LimitCores     LimitKind = "cores"
	LimitComplexes LimitKind = "complexes" // there are cores, but not enough in one core complex
	LimitMemory    LimitKind = "memory"
	LimitHugePages LimitKind = "huge pages"
	LimitBudget    LimitKind = "budget"
)

// A Limit is something that keeps one more sector from fitting.
type Limit struct {
	Kind   LimitKind
	OfNode bool                // memory of one NUMA node is meant
	Pool   topology.MemoryPool // that memory
	Text   string              // for people
	// Sectors is how many would fit if this kind of limit were not: its price is those that do
	// not. It is MaxSectors where nothing else limits.
	Sectors int
}

// A Help is something that would let more sectors fit.
type Help struct {
	Sectors int    // that would fit
	Text    string // for people, what to do: "one layer in memory instead of two"
	// FewerProducers says that it is fewer producers, or more hashers for each.
	FewerProducers bool
}

// A RequestError says which part of a request is wrong.
type RequestError struct {
	What, Value, Want string
}

// Is reports whether target is the kind ErrBadInput.
func (e *RequestError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *RequestError) Error() string {
	return fmt.Sprintf("placement: checking request: %s is %s, want %s", e.What, e.Value, e.Want)
}

// A CPUError says which listed CPUs cannot be used.
type CPUError struct {
	CPUs topology.CPUSet
	Want string // "some of those online, 0-7"
}

// Is reports whether target is the kind ErrBadInput.
func (e *CPUError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *CPUError) Error() string {
	listed := "CPUs %v are"
	if e.CPUs.Len() == 1 {
		listed = "CPU %v is"
	}
	return fmt.Sprintf("placement: checking request: "+listed+" listed, want only %s", e.CPUs, e.Want)
}

// A BudgetError says that not even one sector fits into the memory budget.
type BudgetError struct {
	Budget, Smallest uint64 // bytes
	Mode             MemoryMode
}

// Is reports whether target is the kind ErrBadInput.
func (e *BudgetError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *BudgetError) Error() string {
	return fmt.Sprintf("placement: checking request: the memory budget is %s, the smallest job, one sector in mode %v, takes %s",
		topology.SizeText(e.Budget), e.Mode, topology.SizeText(e.Smallest))
}

var lanes = []int{1, 2, 4, 8, 16, 32} // those of the kernels

// Lanes are the numbers of lanes that a Request may have.
func Lanes() []int { return slices.Clone(lanes) }

func (q *Request) check(m *topology.Machine) error {
	wrong := func(what string, value any, want string, args ...any) error {
		return &RequestError{what, fmt.Sprint(value), fmt.Sprintf(want, args...)}
	}
	switch {
	case q.Sectors < 0 || q.Sectors > MaxSectors:
		return wrong("the number of sectors", q.Sectors, "1 to %d, or as many as fit", MaxSectors)
	case q.SectorSize == 0 || q.SectorSize > maxSectorSize:
		return wrong("the sector size", q.SectorSize, "1 to %d bytes", uint64(maxSectorSize))
	case !slices.Contains(lanes, q.Lanes):
		return wrong("the number of lanes", q.Lanes, "1, 2, 4, 8, 16 or 32")
	case q.Producers < 0 || q.Producers > maxProducers:
		return wrong("the number of producers", q.Producers, "0 to %d", maxProducers)
	case q.HashersPerProducer < 1:
		return wrong("the number of hashers for each producer", q.HashersPerProducer, "1 or more")
	case q.HashersPerProducer > 1 && q.Producers > 1:
		return wrong("the number of producers for each hasher", q.Producers, "1 where a producer has %d hashers", q.HashersPerProducer)
	case q.Policy < Spread || q.Policy > List:
		return wrong("the policy", q.Policy, "spread, pack or a list of CPUs")
	case q.Mode < TwoLayers || q.Mode > Budget:
		return wrong("the memory mode", q.Mode, "two-layers, one-layer or budget")
	case (q.Mode == Budget) != (q.SectorBudget > 0) || q.SectorBudget > maxSectorSize:
		return wrong("a sector's part of the memory", q.SectorBudget, "1 to %d bytes in mode %v, none in others", uint64(maxSectorSize), Budget)
	case q.SMT != ProduceOnSiblings && q.SMT != IdleSiblings:
		return wrong("the use of SMT siblings", int(q.SMT), "to produce or to idle")
	case q.PageSize != AnyPages && (q.PageSize < smallPage || q.PageSize&(q.PageSize-1) != 0 || q.PageSize > maxSectorSize):
		return wrong("the page size", q.PageSize, "a power of two from %d bytes on", smallPage)
	case (q.Policy == List) != (q.Only.Len() > 0):
		return wrong("the list of CPUs", fmt.Sprintf("%q", q.Only.String()), "CPUs if that is the policy, none otherwise")
	}
	if unknown := q.Only.Minus(m.CPUs()); unknown.Len() > 0 {
		return &CPUError{unknown, fmt.Sprintf("some of those online, %v", m.CPUs())}
	}
	if outside := q.Only.Minus(m.Allowed()); outside.Len() > 0 {
		return &CPUError{outside, fmt.Sprintf("some of those that the cgroup's cpuset and the process's affinity allow, %v", m.Allowed())}
	}
	if most := q.mostCores(m); q.HashersPerProducer > max(1, most) {
		return wrong("the number of hashers for each producer", q.HashersPerProducer, "1 to %d: the largest core complex has %s that may be used", max(1, most), words.Count(most, "core"))
	}
	if err := m.CheckMemoryNodes(q.MemoryNodes); err != nil {
		return err
	}
	if smallest := q.sectorMemory() + q.JobOverhead(); q.Budget > 0 && q.Budget < smallest {
		return &BudgetError{q.Budget, smallest, q.Mode}
	}
	return nil
}

// mostCores is how many cores the largest core complex has, of those that may be used.
func (q *Request) mostCores(m *topology.Machine) (most int) {
	usable, cores := m.Allowed(), m.Cores()
	if q.Policy == List {
		usable = q.Only
	}
	for _, c := range m.Complexes() {
		n := 0
		for _, i := range c.Cores {
			if slices.ContainsFunc(cores[i].CPUs, usable.Contains) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// shares reports whether several hashers have one producer.
func (q *Request) shares() bool { return q.HashersPerProducer > 1 && q.Producers > 0 }

// strict reports whether layers must lie in huge pages of one size.
func (q *Request) strict() bool { return q.PageSize > OrdinaryPages }

// JobOverhead is what a job takes besides its sectors' layers, in bytes: tables, rings,
// buffers.
func (q *Request) JobOverhead() uint64 {
	if q.Mode == Budget {
		return 0
	}
	return q.Mode.Overhead(q.SectorSize, q.Lanes)
}

// sectorMemory is a sector's part of the memory, in whole pages.
func (q *Request) sectorMemory() uint64 {
	page := max(q.PageSize, smallPage)
	memory := q.SectorBudget
	if q.Mode != Budget {
		memory = q.Mode.InMemory(q.SectorSize)
	}
	return (memory + page - 1) / page * page
}

// unit is what memory for layers is given out in: pages of the size that must
// be, or else as much as divides a sector's part.
func (q *Request) unit() uint64 {
	if q.strict() {
		return q.PageSize
	}
	for _, unit := range []uint64{gib, 2 << 20} {
		if q.sectorMemory()%unit == 0 {
			return unit
		}
	}
	return smallPage
}

// New plans a request on a machine, besides what is reserved. It reads nothing and
// takes nothing. That not everything fits is no error; errors are a *RequestError,
// a *CPUError, a *BudgetError or a *topology.MemoryNodeError.
func New(m *topology.Machine, reserved Reserved, q Request) (*Plan, error) {
	r, err := resourcesFor(m, reserved, q)
	if err != nil {
		return nil, err
	}
	q = r.q
	p := &Plan{Request: q, Max: r.max(), SectorMemory: q.sectorMemory()}
	p.Sectors = p.Max
	if q.Sectors != Max {
		p.Sectors = min(q.Sectors, p.Max)
	}
	p.Memory = r.memory(p.Sectors)
	p.Jobs = r.place(p.Sectors)
	p.Limits = r.limits(p.Max)
	p.Helps = r.helps(m, reserved, p.Max)
	return p, nil
}

// Room is a plan's Max, without the plan: for those who compare many requests.
func Room(m *topology.Machine, reserved Reserved, q Request) (int, error) {
	r, err := resourcesFor(m, reserved, q)
	if err != nil {
		return 0, err
	}
	return r.max(), nil
}

// resourcesFor is what a request can use, with as many producers as it then has.
func resourcesFor(m *topology.Machine, reserved Reserved, q Request) (*resources, error) {
	q.Lanes, q.HashersPerProducer = cmp.Or(q.Lanes, 1), cmp.Or(q.HashersPerProducer, 1)
	if err := q.check(m); err != nil {
		return nil, err
	}
	r := newResources(m, reserved, q)
	if q.FewerProducers && q.Sectors > r.max() {
		with := func(producers int) *resources {
			q := q
			q.Producers = producers
			return newResources(m, reserved, q)
		}
		most := min(q.Sectors, with(0).max())
		r = with(searchLast(q.Producers, func(n int) bool { return with(n).max() >= most }))
	}
	return r, nil
}
