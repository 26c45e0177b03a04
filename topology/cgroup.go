package topology

import (
	"path"
	"slices"
	"strings"
)

// A hierarchy is one of the two kinds of cgroup trees, with its names of what a
// cpuset effectively has.
type hierarchy struct {
	fstype     string
	cpus, mems []string
}

var (
	// Mounted as cpuset, or with noprefix, the names are shorter.
	version1 = hierarchy{"cgroup",
		[]string{"cpuset.effective_cpus", "cpuset.cpus", "effective_cpus", "cpus"},
		[]string{"cpuset.effective_mems", "cpuset.mems", "effective_mems", "mems"}}
	// What is effective is what was asked for and can be had; dumps may lack it.
	version2 = hierarchy{"cgroup2", []string{"cpuset.cpus.effective", "cpuset.cpus"}, []string{"cpuset.mems.effective", "cpuset.mems"}}
)

// cpuset reads what our cgroup's cpuset has, nil where that is not known. A
// machine has the cpuset controller in one hierarchy: of version 1, if one such is mounted
// for it, else in the one of version 2.
func (r *reader) cpuset() (cpus *CPUSet, mems []NUMANodeID) {
	mount, group, ok := r.findCgroup()
	if !ok {
		return nil, nil
	}
	// Version 2 has the files only where the controller is enabled; below, those of
	// the parent hold. Version 1 has them everywhere, so that a parent's are a guess.
	guessed := false
	for i, dir := range mount.directoriesOf(group) {
		guessed = guessed || i > 0 && mount.fstype == version1.fstype && (cpus == nil || mems == nil)
		if cpus == nil {
			for _, name := range mount.cpus {
				if set, ok := parsed(r, path.Join(dir, name), ParseCPUList); ok && set.Len() > 0 {
					cpus = &set
					break
				}
			}
		}
		if mems == nil {
			for _, name := range mount.mems {
				if ids, ok := parsed(r, path.Join(dir, name), parseNodeList); ok && len(ids) > 0 {
					mems = ids
					break
				}
			}
		}
	}
	if guessed {
		r.notes.add("the cgroup %s shows no whole cpuset: that of a parent is taken", group)
	}
	if cpus == nil && mems == nil {
		r.notes.add("the cgroup %s has no cpuset: all CPUs and memory nodes are taken to be in it", group)
	} else if cpus == nil {
		r.notes.add("the cgroup %s has no cpuset of CPUs: all are taken to be in it", group)
	} else if mems == nil {
		r.notes.add("the cgroup %s has no cpuset of memory nodes: all are taken to be in it", group)
	}
	return cpus, mems
}

// findCgroup finds our cgroup and where its hierarchy is mounted.
func (r *reader) findCgroup() (m mount, group string, ok bool) {
	mounts := r.mounts()
	v1, v2 := findMounts(mounts, version1), findMounts(mounts, version2)
	if len(v1)+len(v2) == 0 {
		r.notes.add("no mounted cgroup hierarchy is known that may have cpusets: none is taken to leave out a CPU or a memory node")
		return mount{}, "", false
	}
	groups, ok := r.text(cgroupFile)
	for line := range strings.Lines(groups) {
		id, rest, _ := strings.Cut(strings.TrimRight(line, "\n"), ":")
		controllers, at, _ := strings.Cut(rest, ":")
		if len(v1) > 0 && slices.Contains(strings.Split(controllers, ","), "cpuset") {
			return r.showing(v1, at), at, true
		}
		if id == "0" && controllers == "" && len(v2) > 0 {
			group = at
		}
	}
	if group != "" {
		return r.showing(v2, group), group, true
	}
	if !ok {
		if group, ok = r.text("proc/self/cpuset"); ok && group != "" {
			if len(v1) == 0 {
				v1 = v2
			}
			return r.showing(v1, group), group, true
		}
	}
	r.notes.add("this process's cgroup is not known: its cpuset is taken to leave out no CPU and no memory node")
	return mount{}, "", false
}

// A mount is one of a cgroup hierarchy, or a part of one.
type mount struct {
	hierarchy
	root    string // the cgroup that point shows
	point   string // without the slash at its beginning
	options []string
}

// findMounts finds where a hierarchy that may have cpusets is mounted: as what it is, or
// the version 1 as a file system of type cpuset, from before there were cgroups.
func findMounts(mounts []mount, h hierarchy) (found []mount) {
	for _, m := range mounts {
		switch {
		case m.fstype == h.fstype && (m.fstype == version2.fstype || slices.Contains(m.options, "cpuset")),
			m.fstype == "cpuset" && h.fstype == version1.fstype:
			m.hierarchy = h
			found = append(found, m)
		}
	}
	return found
}

// showing is the first of a hierarchy's mounts that shows a cgroup, else the first: one
// may be for others to see, of a container for example.
func (r *reader) showing(mounts []mount, group string) mount {
	for _, m := range mounts {
		for _, name := range m.cpus {
			if _, ok := r.text(path.Join(m.directoriesOf(group)[0], name)); ok {
				return m
			}
		}
	}
	return mounts[0]
}

// mounts reads what is mounted, from the better of two files, or the other where that shows no cgroups.
func (r *reader) mounts() (mounts []mount) {
	add := func(fstype, root, point, options string) {
		mounts = append(mounts, mount{hierarchy{fstype: fstype}, path.Clean(unescapeMount(root)),
			strings.TrimPrefix(path.Clean(unescapeMount(point)), "/"), strings.Split(options, ",")})
	}
	if text, ok := r.text(mountinfoFile); ok {
		for line := range strings.Lines(text) {
			f := mountFields(line)
			if sep := slices.Index(f, "-"); sep >= 6 && len(f) == sep+4 {
				add(f[sep+1], f[3], f[4], f[sep+3])
			}
		}
		if len(findMounts(mounts, version1))+len(findMounts(mounts, version2)) > 0 {
			return mounts
		}
	}
	text, _ := r.text(mountsFile)
	for line := range strings.Lines(text) {
		f := mountFields(line)
		if len(f) == 5 { // the file's first line, whose source is empty, begins with a space
			f = append([]string{""}, f...)
		}
		if len(f) >= 4 {
			add(f[2], "/", f[1], f[3])
		}
	}
	return mounts
}

// unescapeMount reads a field of a list of mounts.
func unescapeMount(field string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(field)
}

// mountFields are those of a line of mounts, with a space between each two: a source may be
// empty.
func mountFields(line string) []string { return strings.Split(strings.TrimRight(line, "\n"), " ") }

// directoriesOf are where a cgroup shows, and its parents up to the mount point. The mount
// may not reach it: a container may see its own cgroup as the mount's root while
// /proc names it from the host's, or the other way round.
func (m mount) directoriesOf(group string) (dirs []string) {
	group = path.Clean("/" + group)
	if below, ok := strings.CutPrefix(group, m.root); ok && (m.root == "/" || below == "" || below[0] == '/') {
		group = path.Clean("/" + below)
	}
	for ; group != "/"; group = path.Dir(group) {
		dirs = append(dirs, path.Join(m.point, group))
	}
	return append(dirs, m.point)
}
