// Package engine labels sectors: layer by layer, each label a hash over its
// parents' labels, each layer written to its file while hashing goes on.
//
// A job has any number of sectors of one seal proof. They are split over hashers,
// each a core that does nothing but hash, and on a hasher over the lanes of its
// kernel, which go through the graph in lock-step. See Run.
package engine

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/topology"
)

// Config says what Run labels and how. Only Proof and Sectors must be given;
// whatever else is set changes how fast the files come, never what is in them.
type Config struct {
	// Proof is the seal proof of all sectors.
	Proof porep.SealProof
	// Sectors are the sectors to label, from one to MaxSectors, each in a cache dir of
	// its own.
	Sectors []Sector

	// Layers is how many layers to label, from the first. Default: all.
	Layers int

	// Kernel is the name of the label kernel, "sha-ni/1". Default: for each
	// hasher the kernels that take the fewest cycles for its sectors. None of those has
	// more lanes than there are sectors for it: an empty lane takes as much memory as
	// another, so who wants one names the kernel.
	Kernel string
	// Cycles are the core cycles, or the time in any unit, that a kernel takes for a
	// node with all lanes, by its name: a profile's measurements or TimeKernels, from
	// which the default of Kernel is worked out. They count against the typical ones where
	// they differ by more than measurements of the same do. Default: typical ones.
	Cycles map[string]float64
	// Hashers is how many cores hash. Default: one for each of Places, or, if
	// there are none, for each sector, as long as there are CPUs.
	Hashers int
	// Places say where hashers run, one for each. Where the system does not let threads be
	// bound, they run anywhere, and Progress.Unbound says why. Default: wherever the system
	// puts them.
	Places []Place
	// Machine is the machine that Places are on; needed with Places.
	Machine *topology.Machine

	// Staging is how parents' labels get to a hasher's core. Default: Producers; Hybrid
	// for AVX2 and AVX-512 kernels, and in OneLayer mode; Inline if there are no more CPUs than
	// hashers.
	Staging Staging
	// Producers is how many goroutines feed a hasher. Default: 1, or, if its Place
	// has more CPUs for them, so many.
	Producers int
	// HashersPerProducer is how many hashers one producer feeds. It computes each node's
	// parents once for all of them: those whose Places name the same CPU for it, or,
	// where they name none, whose memory is on the same NUMA node; the last ones may be fewer. More than one needs Producers to be 1. Default: 1.
	HashersPerProducer int
	// Stride is how many nodes a producer takes at a time. Default: 128.
	Stride int
	// Lookahead is how many nodes producers may be ahead of their hasher, at
	// least one Stride and, in OneLayer mode, at most a 32nd of a layer. Default: 4096;
	// 8192 for Producers of one lane, whose labels take 4 MB of the shared cache then; with
	// Inline and in OneLayer mode, where hashers or others at work may hold producers
	// up for longer, 32768 or what the mode allows.
	Lookahead int
	// Parents yields the parents of nodes. Default: they are computed.
	Parents ParentSource

	// NUMAParents are copies of Parents on NUMA nodes, by the kernel's numbers of
	// those. A hasher whose Place has its memory on one of them uses the copy there.
	// Default: none.
	NUMAParents map[topology.NUMANodeID]ParentSource

	// MemoryNodes are the NUMA nodes, by the kernel's numbers, that all memory of the job is kept to, also what
	// Places bind nowhere; see topology.Machine.KeepTo. Where the system does not let memory be
	// bound, it may lie on any, and Progress.Slowed says why. Default: all.
	MemoryNodes []int

	// MemoryMode is what of a sector's layers is in memory. Default: TwoLayers.
	MemoryMode MemoryMode
	// Budget is the most bytes that the job may take: the sum of its Requirements. In Budget mode,
	// which needs it, it says what is in memory. Default: no limit of its own.
	Budget uint64
	// MemoryWay is how Budget mode gets parents that are not in memory. Default: the one that takes
	// less time by what the disk gives, if its scratch file has room and it does with the budget.
	MemoryWay MemoryWay
	// DiskRead and DiskWrite are what the disk gives, in bytes a second, for the choice of MemoryWay.
	// Default: as much one way as the other.
	DiskRead, DiskWrite uint64
	// Others are files that the caller writes beside the layers, and that have room, too, before a
	// scratch file has. Default: none.
	Others []File
	// Pages are the kinds of page to try for layers. Default: hugepages.Options'.
	Pages []hugepages.Pages
	// HugeTLBFS is a directory on a mounted hugetlbfs to take pages from. Default: none.
	HugeTLBFS string
	// HugeFiles are files on a hugetlbfs for layers, which the caller has taken; as many whole ones
	// as a hasher's layers need become its memory. If they do not suffice, its layers lie in Pages,
	// and Progress.Slowed says why. Default: none.
	HugeFiles *hugepages.Files
	// RaisePages lets the job enlarge the kernel's pool of huge pages by what it
	// lacks, where it may, and gives them back at the end. Default: it does not.
	RaisePages bool
	// StrictNUMA makes it an error if a page is not on its hasher's NUMA node.
	// Hashing then begins when the pages are there and verified.
	StrictNUMA bool
	// Memory counts the job's memory by purpose. Default: not counted.
	Memory *hugepages.Accounting
	// Writing is the way to the disk, and, in OneLayer mode, which reads what it wrote,
	// back from there. Default: WriteDirect.
	Writing Writing

	// Resume is what becomes of what an earlier job has left in a sector's cache dir.
	// Default: ResumeSame.
	Resume Resume
	// CheckpointEvery is how much time may pass until what is labelled of a layer is on the disk
	// and noted there, so that a job that ends before its time goes on from there. Negative:
	// only layers that are finished are noted. What is written at a time is 4 MiB, or 1 MiB of each of
	// several lanes: a layer that has less is noted when it is whole. Default: 3 seconds.
	CheckpointEvery time.Duration

	// SlowDisk, if not nil, is told by CheckMachine and Measure, before any work, that the job may wait for its disk, as
	// far as that can be told: with less than two layers in memory, where a cache dir is on a network's file system or
	// another's; in Budget mode, where DiskRead and DiskWrite are less than it takes.
	SlowDisk func(*SlowDiskError)

	// Unnoted, if not nil, is told an error when it cannot be noted how far a sector is, so that what is
	// labelled from then on is made again if the job ends before its time, and nil when it is noted
	// again. The job goes on, and tries it each time. It is called by several goroutines, of one
	// sector not at the same time, and what it does holds up what is noted next.
	Unnoted func(sector int, err error)

	// DropManifest removes a sector's manifest when it is done, for hosts that want nothing in a cache
	// dir that they do not know. Default: it stays, for who verifies the sector.
	DropManifest bool

	// Bare leaves out what guards labels while they are made: hashes of the layers, the manifest,
	// checkpoints, and the recomputing of some labels on another core. It is for measuring what
	// these cost: nothing goes on from such a job, nor does it find a core that computes wrong
	// before its end. Default: none of it is left out.
	Bare bool

	// Ready, if not nil, is called when all layers of a sector with a WorkDir are done, and waits for
	// what else belongs to the sector. After an error, which becomes the sector's, its layers stay
	// in the work dir: another job goes on from them. Default: they are delivered at once.
	Ready func(sector int) error

	// Drain, if not nil, has the job end, when it is closed, as soon as the layers that are being
	// made have their names: with ErrDrained, unless all are done. Default: it does not.
	Drain <-chan struct{}

	// Keep is which layers stay. With KeepLast, each is removed as soon as the next one is on the
	// disk, was read back and noted in the manifest: a job goes on from that. So two at most are there
	// at a time, and, while one is read back, an eighth of the next; at the end the last, the
	// key, and the one before it, by which it can be verified. Default: KeepAll.
	Keep Keep

	// Patience is for how long a write waits, and is tried again, while a file system is full, a
	// quota used up, or a disk reports errors: ENOSPC, EDQUOT, EIO. The job then stands still,
	// and goes on when there is room; at the end of it, or of ctx, the sector ends with the
	// write's error, and what is finished stays. What fsync says is not waited for: what it was
	// to write may be lost, so the sector ends at once. Default: none.
	Patience time.Duration
	// Paused, if not nil, is told an error when the job begins to wait so, and nil when it goes
	// on. It is called by several goroutines, not at the same time.
	Paused func(error)

	// Digests has Result tell the SHA-256 of each layer, from which a later job may go on.
	// Default: it does not.
	Digests bool

	// VerifySample is of how many labels of each layer are recomputed at a sector's end, by way
	// of the standard library, from what its files hold. Default: 16; less than 0 is none.
	VerifySample int

	// MemoryTaken, if not nil, is called once when all of the job's memory has been
	// taken from the machine.
	MemoryTaken func()
	// Begun, if not nil, is called when a batch is about to make its first label: when what an earlier
	// job has left was read, and disks and cores are free for something else.
	Begun func()
	// Done, if not nil, is called for each sector when its batch has ended, with what its
	// SectorResult will say: sectors of a batch end together, batches of a hasher one after
	// another. It is called by several goroutines at the same time, and a hasher's next batch
	// waits for it. Sectors that the end of the whole job leaves undone are not told.
	Done func(sector int, err error)
	// Progress, if not nil, is kept up to date while Run runs.
	Progress *Progress
}

// Sector is one sector of a job.
type Sector struct {
	ReplicaID porep.ReplicaID
	// CacheDir is an existing directory; the layer files appear in it.
	CacheDir string
	// WorkDir is another one, of this sector alone, in which layers and the manifest are while the job
	// is at work, for hosts that empty the cache dir before they begin again. When all of the
	// sector is done its layers get their names in CacheDir, by one more name for each where both are
	// on one file system, otherwise as copies, which share blocks where that can be done; then
	// nothing of it is left in WorkDir. A job goes on from whole layers in CacheDir, too. It does
	// not go with First or Config.Digests. Default: none, CacheDir.
	WorkDir string
	// First is the layer to begin with. Those before must be there. Default: what Config.Resume
	// finds, or 1.
	First int
	// Before is the SHA-256 of the layer before First, as Result had it when the layer was
	// made (see Config.Digests); needed with First > 1. The layer is read whole and held
	// against it, and a sample of its labels is recomputed.
	Before LayerDigest
}

// dir is where the sector's layers are made.
func (s *Sector) dir() string { return cmp.Or(s.WorkDir, s.CacheDir) }

// A Place is where one hasher runs.
type Place struct {
	// Hasher is the CPU that hashes.
	Hasher topology.CPU
	// Producers are the CPUs of its producers. None: they are not bound.
	Producers []topology.CPU
	// Memory is the NUMA node of its memory. The zero Binding: any.
	Memory hugepages.Binding
}

// Staging is how the labels of a node's parents get to the hasher.
type Staging int

// The ways of staging.
const (
	// AutoStaging: what Config.Staging says of its default.
	AutoStaging Staging = iota
	// Inline: producers work out where the parents lie, and the hasher prefetches
	// them some nodes ahead.
	Inline
	// Producers: they also copy the parents' labels that are there into a ring; the
	// hasher reads from there, and only the newest labels from where they were made.
	// A producer that is late copies nothing.
	Producers
	// Hybrid: they bring the labels that are there into the shared cache, unless they
	// are late, and the hasher reads them where they lie.
	Hybrid
)

var stagingNames = []string{"auto", "inline", "producers", "hybrid"}

func (s Staging) String() string { return nameOf(stagingNames, int(s)) }

// ParseStaging reads a way of staging by its name.
func ParseStaging(name string) (Staging, error) {
	i, err := indexOf("staging", stagingNames, name)
	return Staging(i), err
}

// MemoryMode is what of each sector is held in memory.
type MemoryMode = placement.MemoryMode

// The modes. N is the sector's size.
const (
	// TwoLayers: the layer being made and the one before, 2 N.
	TwoLayers = placement.TwoLayers
	// OneLayer: the layer before, and of the one being made the last eighth, 1.2 N. Base
	// parents from before that go, as they are made, to a file without a name in one of a
	// batch's cache dirs, about N/2 for each of its lanes, and are read back ahead of time.
	// Without room for that file they are read from the layers', many times over.
	OneLayer = placement.OneLayer
	// Budget: what Config.Budget lets be: TwoLayers or OneLayer, if one of them fits, or else neither
	// layer as a whole. Then what a segment of nodes reads is got from the disk a segment ahead, by
	// Config.MemoryWay.
	Budget = placement.Budget
)

// ParseMemoryMode reads a memory mode by its name.
func ParseMemoryMode(name string) (MemoryMode, error) {
	i, err := indexOf("memory mode", []string{TwoLayers.String(), OneLayer.String(), Budget.String()}, name)
	return MemoryMode(i), err
}

// Resume is what becomes of what an earlier job has left in a sector's cache dir: layers,
// unfinished ones too, and a manifest that says whose they are and proves what is in them.
// Whatever is chosen, no label is believed because a file is there, or has a length.
type Resume int

// The choices.
const (
	// ResumeSame goes on from what the manifest of the same replica id and seal proof proves. A
	// manifest of another sector, or that is damaged or of another version, is refused: an
	// *OtherSectorError for example, and nothing is touched. Without a manifest it begins anew, and
	// layers that are there go.
	ResumeSame Resume = iota
	// ResumeOrReplace is ResumeSame, but where that refuses it begins anew.
	ResumeOrReplace
	// ResumeSampled is ResumeSame, but without a manifest layers are believed of which a sample
	// of labels is right.
	ResumeSampled
	// Restart begins anew, whatever is there.
	Restart
)

var resumeNames = []string{"same", "or-replace", "sampled", "restart"}

func (r Resume) String() string { return nameOf(resumeNames, int(r)) }

// ParseResume reads a choice by its name.
func ParseResume(name string) (Resume, error) {
	i, err := indexOf("resume", resumeNames, name)
	return Resume(i), err
}

// Keep is which layers stay.
type Keep int

// The ways to keep.
const (
	KeepAll  Keep = iota // what phase 2 needs
	KeepLast             // what unsealing, and sealing again, need
)

var keepNames = []string{"all", "last"}

func (k Keep) String() string { return nameOf(keepNames, int(k)) }

// ParseKeep reads which layers to keep by its name.
func ParseKeep(name string) (Keep, error) {
	i, err := indexOf("layers to keep", keepNames, name)
	return Keep(i), err
}

// Kept are the first and the last layer that are there when layers up to last were labelled.
func (k Keep) Kept(last int) (first, to int) {
	if k == KeepLast {
		return max(1, last-keptBefore), last
	}
	return 1, last
}

// keptBefore is how many layers before the last stay with KeepLast.
const keptBefore = 1

// Writing is the way to the disk of finished labels.
type Writing int

// The ways. One that the system or the file system does not have falls back to the next.
const (
	WriteDefault  Writing = iota
	WriteDirect           // past the page cache: no copy, and no memory taken from others
	WriteUncached         // through the page cache, where nothing is left
	WriteBehind           // through the page cache, where it stays as long as nobody needs the memory
)

var writingNames = []string{"default", "direct", "uncached", "behind"}

func (w Writing) String() string { return nameOf(writingNames, int(w)) }

// ParseWriting reads a way of writing by its name.
func ParseWriting(name string) (Writing, error) {
	i, err := indexOf("way of writing", writingNames, name)
	return Writing(i), err
}

func (c *Config) way() durable.Way {
	switch {
	case c.Writing == WriteUncached:
		return durable.Uncached
	case c.Writing == WriteBehind:
		return durable.Behind
	}
	return durable.Direct
}

func nameOf(names []string, i int) string {
	if i < 0 || i >= len(names) {
		return "unknown"
	}
	return names[i]
}

func indexOf(kind string, names []string, name string) (int, error) {
	if i := slices.Index(names, name); i >= 0 {
		return i, nil
	}
	return 0, &ConfigError{kind, fmt.Sprintf("%q is not one of %q", name, names)}
}

// ParentSource yields the 14 parents each of len(dst)/14 nodes from first on.
// *graph.Graph and *parentcache.Cache are such sources.
type ParentSource interface {
	Parents(dst []uint32, first uint64) error
}

// A BaseSource is a ParentSource that computes, and so has a cheaper way to base
// parents alone: only the first 6 of each 14 in dst are set. Hashers on one NUMA node
// share what it computes; any other source is asked by each of them.
type BaseSource interface {
	BaseParents(dst []uint32, first uint64) error
}

// A usesSource is a ParentSource that knows whose expander parent a label is, as Forward must.
type usesSource interface {
	Uses(dst []uint64, first uint64) error
}

// A ConfigError says what is wrong with one part of a Config.
type ConfigError struct {
	Part   string // "cache dir of sector 0"
	Reason string
}

// Is reports whether target is the kind ErrBadInput.
func (e *ConfigError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *ConfigError) Error() string {
	return fmt.Sprintf("engine: checking configuration: %s: %s", e.Part, e.Reason)
}

const (
	defaultStride    = 128
	defaultLookahead = 4096
	// oneLaneLookahead is for those who stage labels of one lane: with 4096, a hasher
	// still waits 1 % of its time for a producer that something else held up.
	oneLaneLookahead = 8192
	// sharedLookahead is for producers that have no core of their own. With 4096 nodes,
	// 4 ms of one lane, a hasher of two sectors on two cores waits 7 to 10 % of its time
	// for whom it keeps from running; with so many, 0.5 %.
	sharedLookahead = 32768

	// helpers is how many goroutines of a hasher there are, beside producers, that read from files what
	// it wants, and write: those of package forward, or onelayer, and this one's that write and recompute.
	helpers = 9

	maxStride    = 1 << 16
	maxLookahead = 1 << 22
	maxProducers = 1 << 10
	// maxAhead is the most memory, in bytes, for what a hasher's producers are ahead. The
	// defaults take less than a tenth of it, of 32 lanes half. A plan counts on less.
	maxAhead = 1 << 30
)

// MaxSectors is the most sectors of a job: more than a machine of 256 cores labels in a
// day, if they are of 32 GiB. Far more are a slip of the hand.
const MaxSectors = 1 << 12
