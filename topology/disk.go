package topology

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sdr-engine/sdr/internal/linux"
)

// A Disk is what a directory is on. What is zero is not known.
type Disk struct {
	Device     string // "nvme0n1p2"; "" for a file system that has none, of a network for example
	Source     string // what is mounted: "/dev/nvme0n1p2", "server:/export"
	FileSystem string // "xfs"
	MountPoint string
	Rotational *bool  // nil is not known
	FreeSpace  uint64 // bytes, for this user
	// LogicalBlockSize is the smallest that the device reads and writes, in bytes.
	LogicalBlockSize uint64
	// DirectMemory and DirectOffset are what direct reads and writes must be aligned to, in bytes: in
	// memory, and in the file.
	DirectMemory, DirectOffset uint64
}

// ReadDisk finds out what a directory of this machine is on. Where the kernel does not say what direct
// reads and writes are aligned to, the device's logical block size is taken.
func ReadDisk(dir string) (Disk, error) {
	full, err := filepath.EvalSymlinks(dir)
	if err == nil {
		full, err = filepath.Abs(full)
	}
	if err != nil {
		return Disk{}, fmt.Errorf("topology: looking at the disk of %s: %w", dir, err)
	}
	if info, err := os.Stat(full); err != nil || !info.IsDir() {
		return Disk{}, fmt.Errorf("topology: looking at the disk of %s: %w", dir, errors.Join(err, &fs.PathError{Op: "look", Path: full, Err: errors.New("not a directory")}))
	}
	var d Disk
	d.FreeSpace, _, _ = linux.FreeSpace(full)
	if text, err := os.ReadFile("/" + mountinfoFile); err == nil {
		d.mounted(string(text), full)
	}
	major, minor, err := linux.BlockDevice(full)
	if err == nil && major == 0 && strings.HasPrefix(d.Source, "/dev/") { // Btrfs has devices of its own
		major, minor, err = linux.BlockDevice(d.Source)
	}
	if err == nil && major != 0 {
		d.device("/sys/dev/block", major, minor)
	}
	if memory, offset, ok := linux.DirectAlignment(full); ok {
		d.DirectMemory, d.DirectOffset = uint64(memory), uint64(offset)
	} else {
		d.DirectMemory, d.DirectOffset = d.LogicalBlockSize, d.LogicalBlockSize
	}
	return d, nil
}

// mounted finds the mount that a directory is on: of those above it the nearest, and of several in one
// place the last.
func (d *Disk) mounted(mountinfo, dir string) {
	for line := range strings.Lines(mountinfo) {
		f := mountFields(line)
		sep := slices.Index(f, "-")
		if sep < 6 || len(f) != sep+4 {
			continue
		}
		point := path.Clean(unescapeMount(f[4]))
		if (point == "/" || within(dir, point)) && len(point) >= len(d.MountPoint) {
			d.MountPoint, d.FileSystem, d.Source = point, f[sep+1], unescapeMount(f[sep+2])
		}
	}
}

// within reports whether a path is a directory, or in it.
func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// device reads what the kernel says of a block device. A partition has its disk's queue.
func (d *Disk) device(devices string, major, minor uint32) {
	link := filepath.Join(devices, fmt.Sprintf("%d:%d", major, minor))
	at, err := filepath.EvalSymlinks(link)
	if err != nil {
		return
	}
	d.Device = filepath.Base(at)
	number := func(name string) (uint64, bool) {
		for _, queue := range []string{filepath.Join(at, "queue"), filepath.Join(at, "..", "queue")} {
			if text, err := os.ReadFile(filepath.Join(queue, name)); err == nil {
				n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
				return n, err == nil
			}
		}
		return 0, false
	}
	d.LogicalBlockSize, _ = number("logical_block_size")
	if n, ok := number("rotational"); ok {
		rotational := n != 0
		d.Rotational = &rotational
	}
}
