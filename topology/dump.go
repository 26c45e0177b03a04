package topology

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// A dump is text. After its first line come sections, each of which is a directory
// and has the directory's files: those of one line as "name = text", others as "name ="
// with their lines below it, each behind a tab. Empty lines, and lines that start
// with #, are for people.
//
//	# topology dump 1
//	[sys/devices/system/cpu]
//	online = 0-3
//	[proc]
//	cpuinfo =
//		processor	: 0
//		model name	: AMD EPYC 7763 64-Core Processor
const dumpHeader = "# topology dump 1"

// maxDump bounds a dump file. 8192 CPUs take about 4 MiB.
const maxDump = 64 << 20

// readDumpFile reads a dump; its errors do not name the file.
func readDumpFile(name string) (source, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("neither a directory nor a file")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxDump+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxDump {
		return nil, fmt.Errorf("a dump has at most %d bytes", maxDump)
	}
	return parseDump(string(text))
}

func parseDump(text string) (*textSource, error) {
	t := newTextSource()
	var section, file string  // file: whose lines may follow
	var lines strings.Builder // of file
	n := 0
	end := func() {
		if lines.Len() > 0 {
			t.files[file] += lines.String()
			lines.Reset()
		}
		file = ""
	}
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		failed := func(reason string) (*textSource, error) {
			return nil, fmt.Errorf("line %d: %q: %s", n, abridge(line), reason)
		}
		if n == 1 {
			if line != dumpHeader {
				return failed("no dump: want " + dumpHeader)
			}
			continue
		}
		switch {
		case line == "" || line[0] == '#':
			end()
		case line[0] == '\t':
			if file == "" {
				return failed("a line of no file")
			}
			lines.WriteString(line[1:] + "\n")
		case line[0] == '[':
			end()
			section = strings.TrimSuffix(line[1:], "]")
			if !strings.HasSuffix(line, "]") || !fs.ValidPath(section) || section == "." {
				return failed("not the name of a directory")
			}
			t.addDir(section)
		default:
			end()
			name, text, ok := strings.Cut(line, " =")
			switch {
			case !ok:
				return failed("not a section, a file or a line of one")
			case section == "":
				return failed("a file outside of a section")
			case !fs.ValidPath(name) || strings.Contains(name, "/"):
				return failed("not the name of a file")
			}
			file = section + "/" + name
			if _, ok := t.files[file]; ok {
				return failed("a second file of that name")
			}
			if text = strings.TrimPrefix(text, " "); text != "" {
				text += "\n"
			}
			t.addFile(file, text)
		}
	}
	end()
	if n == 0 {
		return nil, errors.New("no dump: an empty file")
	}
	return t, nil
}

// Dump writes, as text for ReadDump, what the reader uses of the machine below
// root: "/" for this one, a directory, or another dump. What else those files say,
// serial numbers and names for example, stays out.
func Dump(w io.Writer, root string) error {
	src, err := open(root)
	if err != nil {
		return err
	}
	defer src.close()
	rec := &recorder{source: src, used: newTextSource()}
	m, err := read(rec, root)
	if err != nil {
		return err
	}
	if m.live && m.affinity.Len() > 0 { // what the system call says goes before what one thread's file says
		rec.used.addFile(statusFile, "Cpus_allowed_list:\t"+m.affinity.String()+"\n"+
			keepLines(rec.used.files[statusFile], "Mems_allowed_list"))
	}
	out := bufio.NewWriter(w)
	rec.used.write(out)
	if err := out.Flush(); err != nil {
		return fmt.Errorf("topology: writing a dump: %w", err)
	}
	return nil
}

// write prints a dump, its directories and their files sorted. Directories that their
// files or their subdirectories name anyway are left out.
func (t *textSource) write(w io.Writer) {
	fmt.Fprintln(w, dumpHeader)
	for _, dir := range slices.SortedFunc(maps.Keys(t.dirs), naturally) {
		var files []string
		for _, name := range t.dirs[dir] {
			if _, ok := t.files[path.Join(dir, name)]; ok {
				files = append(files, name)
			}
		}
		if len(files) == 0 && len(t.dirs[dir]) > 0 || dir == "." {
			continue
		}
		fmt.Fprintf(w, "\n[%s]\n", dir)
		slices.SortFunc(files, naturally)
		for _, name := range files {
			text := strings.TrimRight(t.files[path.Join(dir, name)], "\n")
			if !strings.Contains(text, "\n") {
				fmt.Fprintln(w, strings.TrimRight(name+" = "+text, " "))
				continue
			}
			fmt.Fprintf(w, "%s =\n\t%s\n", name, strings.ReplaceAll(text, "\n", "\n\t"))
		}
	}
}

// naturally orders cpu2 before cpu10.
func naturally(a, b string) int {
	digits := func(s string) int { return len(s) - len(strings.TrimLeft(s, "0123456789")) }
	for a != "" && b != "" {
		if i, j := digits(a), digits(b); i > 0 && j > 0 {
			if i != j {
				return i - j
			}
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

// A recorder keeps what a reader uses.
type recorder struct {
	source
	used *textSource
}

func (r *recorder) read(name string) ([]byte, error) {
	text, err := r.source.read(name)
	if err == nil && printable(name) {
		r.used.addFile(name, essence(name, string(text)))
	}
	return text, err
}

func (r *recorder) list(dir string) ([]string, error) {
	names, err := r.source.list(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		for _, kind := range [][2]string{{"cpu", ""}, {"node", ""}, {"index", ""}, {"hugepages-", "kB"}, {tierPrefix, ""}} {
			if len(numbered([]string{name}, kind[0], kind[1])) > 0 && printable(dir) {
				r.used.addDir(path.Join(dir, name))
			}
		}
		if (dir == gpuDir || dir == kmemDir && isDAX(name)) && printable(path.Join(dir, name)) {
			r.used.addDir(path.Join(dir, name))
		}
	}
	return names, nil
}

func (r *recorder) link(name string) (string, error) {
	target, err := r.source.link(name)
	if err == nil && printable(name) {
		r.used.addFile(name+linkSuffix, target+"\n")
	}
	return target, err
}

// printable reports whether a name fits into a section's head and a file's line.
func printable(name string) bool {
	return fs.ValidPath(name) && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }) && !strings.Contains(name, " =")
}

// essence is the part of a file that the reader looks at.
func essence(name, text string) string {
	switch name {
	case cpuinfoFile:
		return cpuinfoEssence(text)
	case statusFile:
		if lists := keepLines(text, "Cpus_allowed_list", "Mems_allowed_list"); lists != "" {
			return lists
		}
		return keepLines(text, "Cpus_allowed", "Mems_allowed")
	case mountinfoFile, mountsFile:
		return linesWith(text, "cgroup2", "cpuset")
	case zoneinfoFile:
		return linesThat(text, func(line string) bool {
			return strings.HasPrefix(line, "Node ") || slices.ContainsFunc([]string{"managed ", "high ", "protection:"},
				func(field string) bool { return strings.HasPrefix(strings.TrimLeft(line, " "), field) })
		})
	case cgroupFile:
		return linesWith(text, "0::", "cpuset")
	}
	switch path.Base(name) {
	case "meminfo":
		return keepLines(text, meminfoFields...)
	case "numa_status":
		return keepLines(text, "Node")
	}
	return strings.ReplaceAll(text, "\x00", "")
}

// linesWith keeps the lines that contain any of some words.
func linesWith(text string, words ...string) string {
	return linesThat(text, func(line string) bool {
		return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(line, word) })
	})
}

func linesThat(text string, keep func(line string) bool) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if keep(line) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// keepLines keeps the lines of fields, "name: value" or "Node 0 name: value", with
// these names.
func keepLines(text string, names ...string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		field, _, _ := strings.Cut(line, ":")
		field = strings.TrimSpace(field)
		if slices.ContainsFunc(names, func(name string) bool {
			return field == name || strings.HasSuffix(field, " "+name)
		}) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// cpuinfoEssence keeps model and features, once where all CPUs have the same.
func cpuinfoEssence(text string) string {
	var kept strings.Builder
	last := ""
	for block := range strings.SplitSeq(text, "\n\n") {
		block = keepLines(block+"\n", append([]string{"processor"}, cpuinfoFields...)...)
		processor, rest, ok := strings.Cut(block, "\n")
		if !ok || !strings.HasPrefix(processor, "processor") {
			processor, rest = "", block
		}
		if processor != "" {
			kept.WriteString(processor + "\n")
		}
		if rest != last {
			kept.WriteString(rest)
			last = rest
		}
	}
	return kept.String()
}
