package sealer

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"time"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/internal/failure"
	"github.com/sdr-engine/sdr/internal/profile"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/seal"
	"github.com/sdr-engine/sdr/topology"
)

// Options say how a machine seals. The zero value is a good one.
type Options struct {
	// Settings are for every call.
	Settings

	// LockDir is where the machine's jobs hold cores and memory. If it is given, it must be
	// usable; the default may be one that this user may not write to, or not even look at: then
	// the machine goes on, and Notes says what it does without.
	// Default: reserve.DefaultDir.
	LockDir string
	// Profile has settings that are zero here: what tune found best on this hardware.
	// Default: none; the kernels are timed, and all else is the engine's default.
	Profile *Profile
	// Untuned names settings that are the engine's choice, if they are zero, and not the
	// profile's.
	Untuned struct{ Kernel, Staging, Policy bool }

	// ParentCache is a directory with a parent cache file of the proof to use, opened for each
	// call. Default: parents are computed.
	ParentCache string
	// ParentsInMemory copies the parent cache to each NUMA node that a call hashes on, and
	// shares it with other calls there: 56 GiB for sectors of 32 GiB.
	ParentsInMemory bool

	// HugeTLBFS is a directory on a mounted hugetlbfs to take layers' memory from.
	// Default: none.
	HugeTLBFS string
	// HugeFiles are files on a hugetlbfs that become layers' memory, as many whole ones as a call
	// needs, for as long as it is at work. Nothing of it is taken from the machine's free
	// memory. If they do not suffice for all layers of a call, because others use them for
	// example, none are taken, and its memory comes from where it would without them: Notes
	// says which it is. Default: none.
	HugeFiles []hugepages.File
	// RaisePages enlarges the kernel's pool of huge pages by what is missing, where that may
	// be done, and gives them back.
	RaisePages bool
	// StrictNUMA makes a page on the wrong NUMA node an error.
	StrictNUMA bool

	// WorkDirs is seal.Options.WorkDirs.
	WorkDirs string
	// DropManifest is engine.Config.DropManifest.
	DropManifest bool
	// Resume is what becomes of what an earlier job has left in a sector's cache dir. Default:
	// engine.ResumeSame.
	Resume engine.Resume
	// CheckpointEvery is engine.Config's. Default: 3 seconds.
	CheckpointEvery time.Duration

	// Bare is engine.Config's, for measurements.
	Bare bool

	// Program is what people see of this process beside its jobs, in `sdrbench jobs` for example.
	// Default: the base name of its executable.
	Program string

	// KeepGOMAXPROCS leaves GOMAXPROCS as it is. A hashing goroutine never leaves its thread,
	// so a call otherwise raises it, for the whole process, to the CPUs that there are and
	// engine.Config.Threads more for all calls at work; when the last has ended it is what it
	// was before the first, unless somebody else has set it meanwhile.
	KeepGOMAXPROCS bool
	// Patience is for how long a job waits, when it is at work, for room on a file system that
	// is full: see engine.Config. Default: an hour; none if it is below zero.
	Patience time.Duration
	// Notes, if not nil, is told what is not as it might be. It may be called by several
	// goroutines at the same time.
	Notes func(Note)
}

// Settings are choices of how labels are made: how fast, never what they are. What is
// zero is the profile's choice, or else the engine's default.
type Settings struct {
	Kernel    string // "sha-ni/2"
	Hashers   int    // cores that hash; never more than a job has sectors
	Staging   engine.Staging
	Producers int // for each hasher, on CPUs of their own if there are so many
	// HashersPerProducer is how many hashers of a core complex one producer feeds, on a core of its
	// own if there is one: engine.Config's. It is at most the cores of the largest complex.
	HashersPerProducer int
	Stride             int // nodes that a producer takes at a time
	Lookahead          int // nodes that producers may be ahead

	MemoryMode engine.MemoryMode
	// Budget is the most bytes for labels and what goes with them, of all calls of a machine
	// at the same time. Default: no limit.
	Budget uint64
	// MemoryWay is how budget mode gets parents that are not in memory: engine.Config's, as are
	// DiskRead and DiskWrite, by which that is chosen.
	MemoryWay           engine.MemoryWay
	DiskRead, DiskWrite uint64
	Writing             engine.Writing
	// VerifySample is engine.Config.VerifySample.
	VerifySample int
	Pages        []hugepages.Pages // to try for layers' memory
	SMT          placement.SMTUse  // what the SMT siblings of hashers do
	// MemoryNodes are the NUMA nodes whose memory is used, wherever sectors are hashed. Default: those with DRAM.
	MemoryNodes topology.MemoryNodes

	Policy Policy
	CPUs   topology.CPUSet // those that PolicyList goes by
}

// A Policy is where hashers run.
type Policy int

// The policies.
const (
	// PolicyAuto: on cores of their own, if they can be had: in the profile's order, or
	// spread. Where this user may not take or see locks, or the machine cannot be read, hashers
	// run all the same, and Notes says how.
	PolicyAuto   Policy = iota
	PolicySpread        // on cores of their own, one core complex after another
	PolicyPack          // on cores of their own, a core complex filled before the next is begun
	PolicyList          // on those of Settings.CPUs alone
	PolicyNone          // wherever the system puts threads; no core is chosen or taken
)

func (p Policy) String() string {
	names := []string{"auto", "spread", "pack", "list", "none"}
	if p < 0 || int(p) >= len(names) {
		return fmt.Sprintf("Policy(%d)", int(p))
	}
	return names[p]
}

// ParsePolicy reads a policy by its name. A list of CPUs, 0-3,8, is PolicyList with those.
func ParsePolicy(text string) (Policy, topology.CPUSet, error) {
	switch text {
	case PolicyAuto.String():
		return PolicyAuto, topology.CPUSet{}, nil
	case PolicyNone.String():
		return PolicyNone, topology.CPUSet{}, nil
	}
	policy, only, err := placement.ParsePolicy(text)
	if none := (*placement.PolicyError)(nil); errors.As(err, &none) && none.Err == nil {
		err = fmt.Errorf("%w, auto or none", err)
	}
	switch policy {
	case placement.Pack:
		return PolicyPack, only, err
	case placement.List:
		return PolicyList, only, err
	}
	return PolicySpread, only, err
}

func (p Policy) placement() placement.Policy {
	switch p {
	case PolicyPack:
		return placement.Pack
	case PolicyList:
		return placement.List
	}
	return placement.Spread
}

// A Profile is what tune found best on this hardware.
type Profile struct{ p *profile.Profile }

// A ProfileError says all that is wrong with a profile.
type ProfileError struct {
	Path     string
	Problems []string
}

// Is reports whether target is the kind ErrBadInput.
func (e *ProfileError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *ProfileError) Error() string {
	return (&profile.Error{Path: e.Path, Problems: e.Problems}).Error()
}

// ReadProfile reads a profile's file. The error is a *ProfileError, or the system's if
// there is no such file.
func ReadProfile(path string) (*Profile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("sealer: %w", err)
	}
	defer f.Close()
	return ParseProfile(f, path)
}

// ParseProfile reads a profile that people know by this path. The error is a *ProfileError.
func ParseProfile(r io.Reader, path string) (*Profile, error) {
	failed := func(problems ...string) (*Profile, error) { return nil, &ProfileError{path, problems} }
	text, err := io.ReadAll(io.LimitReader(r, profile.MaxBytes+1))
	if err != nil {
		return failed(err.Error())
	}
	if len(text) > profile.MaxBytes {
		return failed(fmt.Sprintf("it has more than the %d bytes that a profile may have", profile.MaxBytes))
	}
	m, err := topology.Read()
	if err != nil {
		return failed(err.Error())
	}
	p, problems := profile.Parse(string(text), profile.MachineOf(m))
	if len(problems) > 0 {
		return failed(problems...)
	}
	p.Path = path
	return &Profile{p}, nil
}

// Path is the file that the profile was read from.
func (p *Profile) Path() string { return p.p.Path }

// Cycles are a node's, all lanes together, by kernel, as they were measured.
func (p *Profile) Cycles() map[string]float64 { return maps.Clone(p.p.Cycles) }

// Hz is the clock of the core that hashed when one sector was measured, by its rate and its cycles.
func (p *Profile) Hz() float64 { return p.p.Latency.Rate * p.p.Latency.Cycles }

// An OptionError says which of the Options is wrong.
type OptionError struct {
	Option string // "Policy"
	Err    error
}

// Is reports whether target is the kind ErrBadInput.
func (e *OptionError) Is(target error) bool { return target == failure.ErrBadInput }

func (e *OptionError) Error() string {
	return fmt.Sprintf("sealer: checking options: %s: %v", e.Option, e.Err)
}

// Unwrap is what is wrong with it.
func (e *OptionError) Unwrap() error { return e.Err }

// Config is what the engine is told of a job of so many sectors, but for sectors and places:
// the options, and the profile's settings where those are zero.
func (o *Options) Config(p porep.SealProof, sectors int) engine.Config {
	return o.setup(p, sectors).config
}

// A setup is what options and profile say of a job.
type setup struct {
	config       engine.Config // without sectors and places
	policy       Policy        // not PolicyAuto
	cpus         topology.CPUSet
	smt          placement.SMTUse
	memory       topology.MemoryNodes
	tunedShape   bool                           // kernel and hashers are the profile's
	tunedSharing bool                           // so is how many hashers a producer has
	inFiles      map[topology.NUMANodeID]uint64 // bytes, where layers lie if there are any
}

func (s *Settings) setup(p porep.SealProof) *setup {
	return &setup{
		config: engine.Config{
			Proof: p, Kernel: s.Kernel, Hashers: s.Hashers, Staging: s.Staging, Producers: s.Producers, HashersPerProducer: s.HashersPerProducer, Stride: s.Stride, Lookahead: s.Lookahead,
			MemoryMode: s.MemoryMode, Budget: s.Budget, MemoryWay: s.MemoryWay, DiskRead: s.DiskRead, DiskWrite: s.DiskWrite, Writing: s.Writing, VerifySample: s.VerifySample, Pages: s.Pages, Memory: new(hugepages.Accounting),
		},
		policy: s.Policy, cpus: s.CPUs, smt: s.SMT, memory: s.MemoryNodes,
	}
}

// setup fills in what the options leave open.
//
// The profile's kernel and number of hashers are for as many sectors as were measured.
// For any other number they follow from what each kernel takes.
func (o *Options) setup(proof porep.SealProof, sectors int) *setup {
	s := o.Settings.setup(proof)
	c := &s.config
	c.HugeTLBFS, c.RaisePages, c.StrictNUMA = o.HugeTLBFS, o.RaisePages, o.StrictNUMA
	c.Resume, c.CheckpointEvery, c.DropManifest = o.Resume, o.CheckpointEvery, o.DropManifest
	c.Bare = o.Bare
	c.Patience = max(0, cmp.Or(o.Patience, time.Hour))
	c.Hashers = min(c.Hashers, sectors)
	if o.Profile == nil {
		if s.policy == PolicyAuto {
			s.policy = PolicySpread
		}
		return s
	}
	p := o.Profile.p
	best := &p.Throughput
	if sectors == 1 {
		best = &p.Latency
	}
	c.Cycles = maps.Clone(p.Cycles)
	if c.Kernel == "" && !o.Untuned.Kernel && c.Hashers == 0 && sectors == best.Sectors {
		c.Kernel, c.Hashers, s.tunedShape = best.Kernel, best.Hashers, true
	}
	if c.Staging == engine.AutoStaging && !o.Untuned.Staging {
		c.Staging, _ = engine.ParseStaging(best.Staging) // Parse has read it, as the others below
	}
	// Producers and hashers of each belong together, too.
	openProducers, openSharing := c.Producers == 0, c.HashersPerProducer == 0
	if openProducers && c.HashersPerProducer <= 1 {
		c.Producers = best.Producers
	}
	if openSharing && (openProducers || c.Producers == 1) {
		c.HashersPerProducer, s.tunedSharing = best.HashersPerProducer, true
	}
	// Stride and lookahead belong together, and a profile's must not spoil what the options
	// say of the other.
	openStride, openLookahead := c.Stride == 0, c.Lookahead == 0
	if openStride {
		c.Stride = best.Stride
		if !openLookahead {
			c.Stride = max(1, min(c.Stride, c.Lookahead))
		}
	}
	if openLookahead && c.MemoryMode == engine.TwoLayers {
		c.Lookahead = max(best.Lookahead, c.Stride)
	}
	if c.HugeTLBFS == "" && c.Pages == nil {
		pages, _ := profile.ParsePages(best.Pages) // which was checked when it was read
		c.Pages = profile.OrSmaller(pages)
	}
	if s.smt == placement.ProduceOnSiblings {
		s.smt, _ = placement.ParseSMTUse(best.SMT)
	}
	if s.policy == PolicyAuto {
		s.policy = PolicySpread
		if best.Policy == placement.Pack.String() && !o.Untuned.Policy {
			s.policy = PolicyPack
		}
	}
	return s
}

// forgetShape takes back the profile's kernel and number of hashers: there is no
// room for them now. False means that they were not the profile's.
func (s *setup) forgetShape() bool {
	if !s.tunedShape {
		return false
	}
	s.tunedShape = false
	s.config.Kernel, s.config.Hashers = "", 0
	return true
}

// A Note says what is not as it might be.
type Note struct {
	Kind NoteKind
	Job  string // Job.Name; "" if no call is meant
	Err  error  // why; a *BusyError, a *reserve.GuardError, or any other
	// Cores are those that other jobs do not see to be taken, of NoteNotReserved.
	Cores []topology.CPU
	// Files are those that layers lie in, of NoteInFiles.
	Files []hugepages.FileInfo
}

// A NoteKind is what a Note is about.
type NoteKind int

// The kinds of notes.
const (
	NoteNotChosen   NoteKind = iota // cores are neither chosen nor taken: threads run wherever the system puts them
	NoteNotReserved                 // cores are chosen, but other jobs do not see that they are taken
	NoteNotBound                    // threads cannot be bound to the CPUs that were chosen
	NoteRanAnywhere                 // at the end: they ran wherever the system put them
	NoteSlowed                      // at the end: slower than it could be, though right
	NotePaused                      // a job waits for room on a file system, or for a disk
	NoteWentOn                      // it does not wait any more; there is no Err
	NoteGuard                       // the lock directory's guard is waited for
	NoteWaiting                     // cores or memory are waited for
	NoteInFiles                     // layers lie in files of Options.HugeFiles, as they should; there is no Err
	NoteNotInFiles                  // they do not, though there are such files
	NoteUnnoted                     // how far a sector is cannot be noted: what is labelled from now on is lost if the job ends
	NoteNoted                       // it is noted again; there is no Err
	NoteCoreLeftOut                 // a core computed wrong when it was tested: no job of this machine gets it any more
	NoteSlowDisk                    // a job may wait for its disk: an *engine.SlowDiskError
)

func (n Note) String() string {
	switch n.Kind {
	case NoteNotChosen:
		return fmt.Sprintf("cores are neither chosen nor reserved, and those that other jobs hold cannot be seen: %v", n.Err)
	case NoteNotReserved:
		return fmt.Sprintf("cores are not reserved, so other jobs do not see that this one takes %v: %v", topology.NewCPUSet(n.Cores...), n.Err)
	case NoteNotBound:
		return fmt.Sprintf("threads are not bound to the CPUs that were chosen: %v", n.Err)
	case NoteRanAnywhere:
		return fmt.Sprintf("threads ran wherever the system put them: %v", n.Err)
	case NotePaused:
		return fmt.Sprintf("paused, to try again until there is room: %v", n.Err)
	case NoteWentOn:
		return "going on after a pause"
	case NoteUnnoted:
		return fmt.Sprintf("what is labelled from now on is made again if this job ends: it cannot be noted: %v", n.Err)
	case NoteNoted:
		return "what is labelled is noted again"
	case NoteSlowed:
		return fmt.Sprintf("slower than it could be: %v", n.Err)
	case NoteWaiting:
		return fmt.Sprintf("waiting: %v", n.Err)
	case NoteInFiles:
		return "layers lie in huge page files: " + hugepages.FilesText(n.Files)
	case NoteCoreLeftOut:
		return fmt.Sprintf("a core is left out: %v", n.Err)
	case NoteSlowDisk:
		return fmt.Sprintf("it may be slow: %v", n.Err)
	case NoteNotInFiles:
		return fmt.Sprintf("layers lie in no huge page files: %v", n.Err)
	}
	return n.Err.Error()
}

// ErrClosed says that a machine was closed.
var ErrClosed = failure.Mark(seal.ErrCancelled, errors.New("sealer: the machine is closed"))
