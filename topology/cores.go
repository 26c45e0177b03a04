package topology

import (
	"cmp"
	"slices"
	"strconv"
)

func cpuDirectory(cpu CPU) string { return cpuDir + "/cpu" + strconv.Itoa(int(cpu)) }

// siblings reads which CPUs share a core with cpu.
func (r *reader) siblings(cpu CPU) (CPUSet, bool) {
	return r.cpuSetOf(cpu, cpuDirectory(cpu)+"/topology",
		[]string{"core_cpus_list", "thread_siblings_list"}, []string{"core_cpus", "thread_siblings"}, "core")
}

// cores puts each CPU that is online into one core.
func (r *reader) cores() {
	m := r.m
	m.coreOf = map[CPU]CoreIndex{}
	siblings := map[CPU]CPUSet{}
	ids := map[CPU]int{}
	for cpu := range m.online.All() {
		if set, ok := r.siblings(cpu); ok {
			siblings[cpu] = set.Intersect(m.online)
		}
		if id, ok := parsed(r, cpuDirectory(cpu)+"/topology/core_id", parseInt); ok {
			ids[cpu] = id
		}
	}
	// Two cores that share a front end, as AMD's family 15h has them, list each
	// other as siblings, but have numbers of their own.
	for cpu, set := range siblings {
		id, ok := ids[cpu]
		siblings[cpu] = set.filter(func(other CPU) bool {
			otherID, otherOK := ids[other]
			return !ok || !otherOK || id == otherID
		})
	}

	coreOf := map[CPU]CPUSet{}
	add := func(cpu CPU, set CPUSet) {
		set = set.union(NewCPUSet(cpu)).filter(func(c CPU) bool { _, taken := coreOf[c]; return !taken })
		for c := range set.All() {
			coreOf[c] = set
		}
		m.cores = append(m.cores, Core{CPUs: set.Slice(), NUMANode: r.nodeOf[set.first()]})
	}
	for cpu := range m.online.All() {
		_, taken := coreOf[cpu]
		if set, ok := siblings[cpu]; ok && !taken {
			add(cpu, set)
		}
	}
	for cpu := range m.online.All() {
		set, listed := siblings[cpu]
		core, taken := coreOf[cpu]
		if !taken { // nobody named it
			r.notes.addCPU(cpu, "which CPUs share its core is not known: taken for a core of its own")
			add(cpu, CPUSet{})
		} else if listed && !set.Equal(core) {
			r.notes.addCPU(cpu, "lists other CPUs of its core than they do: the list of the lowest counts")
		}
		if _, ok := ids[cpu]; !ok && core.Len() > 1 {
			r.notes.addCPU(cpu, "the number of its core is not known: taken for that of those it lists")
		}
	}
	slices.SortFunc(m.cores, func(a, b Core) int { return cmp.Compare(a.CPUs[0], b.CPUs[0]) })
	for i, core := range m.cores {
		for _, cpu := range core.CPUs {
			m.coreOf[cpu] = CoreIndex(i)
		}
	}
}

// A cache of level 2 or above, as one CPU lists it.
type cache struct {
	level int
	cpus  CPUSet // that share it and are online
	size  uint64 // 0 if not known
}

// caches reads a CPU's caches from level 2, the highest level first.
func (r *reader) caches(cpu CPU) (caches []cache) {
	dir := cpuDirectory(cpu) + "/cache"
	for _, i := range numbered(r.list(dir), "index", "") {
		name := dir + "/index" + strconv.FormatUint(i, 10)
		level, ok := parsed(r, name+"/level", parseInt)
		switch {
		case !ok:
			r.notes.addCPU(cpu, "the level of its cache index%d is not known: left out", i)
			continue
		case level < 2:
			continue
		}
		c := cache{level: level}
		what := "cache of level " + strconv.Itoa(level)
		if c.cpus, ok = r.cpuSetOf(cpu, name, []string{"shared_cpu_list"}, []string{"shared_cpu_map"}, what); !ok {
			r.notes.addCPU(cpu, "which CPUs share its %s is not known", what)
			continue
		}
		if !c.cpus.Contains(cpu) {
			r.notes.addCPU(cpu, "the list of CPUs that share its %s does not name it, nor does a mask: left out", what)
			continue
		}
		c.cpus = c.cpus.Intersect(r.m.online)
		c.size, _ = parsed(r, name+"/size", ParseSize)
		caches = append(caches, c)
	}
	slices.SortStableFunc(caches, func(a, b cache) int { return b.level - a.level })
	return caches
}

// complexes puts each core into one core complex: first those that share an L3, then
// those that share a cache of a lower level (of a higher one, if that is all there
// is), then what is left of each package.
func (r *reader) complexes() {
	m := r.m
	caches := make([][]cache, len(m.cores))
	for i, core := range m.cores {
		for _, cpu := range core.CPUs {
			caches[i] = append(caches[i], r.caches(cpu)...)
		}
	}
	r.coreCaches = caches
	assigned := make([]bool, len(m.cores))
	// gather makes a complex of core and of those others, not in one yet, that have
	// a CPU in c.
	gather := func(core int, c cache) CPUSet {
		c.cpus = c.cpus.union(NewCPUSet(m.cores[core].CPUs...))
		complex := Complex{CacheLevel: c.level, CacheSize: c.size}
		var cpus []CPU
		for cpu := range c.cpus.All() {
			if i, ok := m.coreOf[cpu]; ok && !assigned[i] {
				assigned[i] = true
				complex.Cores = append(complex.Cores, i)
			}
		}
		slices.Sort(complex.Cores)
		for _, i := range complex.Cores {
			cpus = append(cpus, m.cores[i].CPUs...)
			for _, other := range caches[i] {
				if other.level == c.level && complex.CacheSize == 0 {
					complex.CacheSize = other.size
				}
			}
		}
		complex.CPUs = NewCPUSet(cpus...)
		for _, i := range complex.Cores {
			for _, other := range caches[i] {
				if other.level == c.level && !other.cpus.Equal(complex.CPUs) && c.level > 0 {
					r.notes.addCPU(m.cores[i].CPUs[0], "lists other CPUs that share its cache of level %d than they do: the list of the lowest counts", c.level)
					break
				}
			}
		}
		if complex.CacheSize == 0 && c.level > 0 {
			r.notes.addCPU(complex.CPUs.first(), "the size of its cache of level %d is not known", c.level)
		}
		m.complexes = append(m.complexes, complex)
		return complex.CPUs
	}

	for i := range m.cores {
		at := slices.IndexFunc(caches[i], func(c cache) bool { return c.level == 3 })
		if !assigned[i] && at >= 0 {
			gather(i, caches[i][at])
		}
	}
	for i, core := range m.cores {
		if assigned[i] {
			continue
		}
		at := slices.IndexFunc(caches[i], func(c cache) bool {
			return c.cpus.Minus(NewCPUSet(core.CPUs...)).Len() > 0
		})
		if at >= 0 {
			for cpu := range gather(i, caches[i][at]).All() {
				r.notes.addCPU(cpu, "no L3 is known: cores that share a cache of level %d are a core complex", caches[i][at].level)
			}
		}
	}
	packages := r.packages()
	for i := range m.cores {
		if !assigned[i] {
			for cpu := range gather(i, cache{cpus: packages[i]}).All() {
				r.notes.addCPU(cpu, "no cache that cores share is known: what is left of a package is a core complex")
			}
		}
	}

	without := func(c Complex) int {
		if c.CacheLevel == 3 {
			return 0
		}
		return 1
	}
	slices.SortFunc(m.complexes, func(a, b Complex) int {
		return cmp.Or(without(a)-without(b), cmp.Compare(a.CPUs.first(), b.CPUs.first()))
	})
	for i := range m.complexes {
		complex := &m.complexes[i]
		first := m.cores[complex.Cores[0]]
		complex.NUMANode, complex.Package = first.NUMANode, first.Package
		for _, core := range complex.Cores {
			m.cores[core].Complex = ComplexIndex(i)
		}
	}
}

// siblingPackages tells packages apart where their numbers are -1, as on s390: each CPU lists those
// that share its package. The packages get numbers from next on.
func (r *reader) siblingPackages(ids []int, next int) {
	for i, core := range r.m.cores {
		if ids[i] >= 0 {
			continue
		}
		cpu := core.CPUs[0]
		set, ok := r.cpuSetOf(cpu, cpuDirectory(cpu)+"/topology", []string{"package_cpus_list", "core_siblings_list"}, []string{"package_cpus", "core_siblings"}, "package")
		if !ok || !set.Contains(cpu) {
			continue
		}
		for j, other := range r.m.cores {
			if ids[j] < 0 && slices.ContainsFunc(other.CPUs, set.Contains) {
				ids[j] = next
			}
		}
		next++
	}
}

// packages puts each core into a package, and returns each core's package's CPUs.
func (r *reader) packages() []CPUSet {
	m := r.m
	const unknown = -1
	ids := make([]int, len(m.cores))
	for i, core := range m.cores {
		ids[i] = unknown
		for _, cpu := range core.CPUs {
			id, ok := parsed(r, cpuDirectory(cpu)+"/topology/physical_package_id", parseInt)
			if ok && id >= 0 && ids[i] == unknown {
				ids[i] = id
			}
		}
	}
	invented := slices.Max(append([]int{unknown}, ids...)) + 1
	r.siblingPackages(ids, invented)
	for _, complex := range m.complexes { // those that share a cache share a package
		known := slices.IndexFunc(complex.Cores, func(i CoreIndex) bool { return ids[i] != unknown })
		for _, i := range complex.Cores {
			if known >= 0 && ids[i] == unknown {
				ids[i] = ids[complex.Cores[known]]
			}
		}
	}
	for i, core := range m.cores {
		if ids[i] == unknown {
			for _, cpu := range core.CPUs {
				r.notes.addCPU(cpu, "its package is not known: all such CPUs are taken for one")
			}
		}
	}

	order := slices.Clone(ids)
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(uint(a), uint(b)) }) // unknown is last
	order = slices.Compact(order)
	cpus := make([][]CPU, len(order))
	for i := range m.cores {
		at := slices.Index(order, ids[i])
		m.cores[i].Package = PackageIndex(at)
		cpus[at] = append(cpus[at], m.cores[i].CPUs...)
	}
	for i, id := range order {
		if id >= invented {
			id = unknown
		}
		m.packages = append(m.packages, Package{ID: id, CPUs: NewCPUSet(cpus[i]...)})
	}
	sets := make([]CPUSet, len(m.cores))
	for i, core := range m.cores {
		sets[i] = m.packages[core.Package].CPUs
	}
	return sets
}
