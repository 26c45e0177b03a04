package engine

import (
	"fmt"
	"strings"

	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/porep"
)

// A SlowDiskError says that a job may wait for its disk. It is a warning: files will be right.
type SlowDiskError struct {
	Dir string // a cache dir
	// FileSystem is its kind, if files there need not lie on a disk of this machine: "NFS", "FUSE". "" is any other.
	FileSystem string
	// Read and Written are what is about to be asked of it at full speed, in bytes a second, of all sectors.
	Read, Written float64
	// DiskRead and DiskWrite are what it gives, as Config says; 0 if nobody does.
	DiskRead, DiskWrite uint64
}

func (e *SlowDiskError) Error() string {
	rate := func(bytes float64) string {
		if bytes < 1e9 {
			return fmt.Sprintf("%.1f MB/s", bytes/1e6)
		}
		return fmt.Sprintf("%.2f GB/s", bytes/1e9)
	}
	var s strings.Builder
	fmt.Fprintf(&s, "engine: looking at the disk of %s: ", e.Dir)
	if e.FileSystem != "" {
		fmt.Fprintf(&s, "it is on %s, which may be slower than a disk; ", e.FileSystem)
	}
	fmt.Fprintf(&s, "labels at full speed take about %s read and %s written", rate(e.Read), rate(e.Written))
	if e.DiskRead > 0 {
		fmt.Fprintf(&s, ", it gives %s and %s, in turn", rate(float64(e.DiskRead)), rate(float64(e.DiskWrite)))
		if busy := e.busy(); busy > 1 {
			fmt.Fprintf(&s, ", and lacks %s and %s: labels will take %.1f times as long", rate((busy-1)*float64(e.DiskRead)), rate((busy-1)*float64(e.DiskWrite)), busy)
		}
	}
	return s.String()
}

// busy is for which part of the time the disk is busy with what is asked of it, as far as anybody says.
func (e *SlowDiskError) busy() float64 {
	if e.DiskRead == 0 {
		return 0
	}
	return e.Read/float64(e.DiskRead) + e.Written/float64(e.DiskWrite)
}

// tellSlowDisk tells Config.SlowDisk if the disk may be too slow for Budget mode, or, in the modes that read what they
// wrote, is not known to be a disk.
func (r *Resolved) tellSlowDisk() {
	c := &r.c
	if c.SlowDisk == nil || c.MemoryMode == TwoLayers {
		return
	}
	const hz = 3e9 // about that of the cores whose cycles are typical ones
	read, written := float64(porep.NodeSize), float64(porep.NodeSize)
	if feed, ok := r.Feed(); ok {
		read, written = read+feed.Read, written+feed.Written
	}
	labels := 0. // a second
	for _, batches := range r.split {
		most := 0.
		for _, b := range batches {
			most = max(most, float64(len(b.sectors))*hz/typicalOf(b.kernel))
		}
		labels += most
	}
	told := map[string]bool{}
	for _, s := range c.Sectors {
		e := &SlowDiskError{Dir: s.dir(), FileSystem: linux.RemoteFileSystem(s.dir()), Read: read * labels, Written: written * labels}
		if e.DiskRead, e.DiskWrite = c.DiskRead, c.DiskWrite; e.DiskRead == 0 || e.DiskWrite == 0 {
			e.DiskRead, e.DiskWrite = max(e.DiskRead, e.DiskWrite), max(e.DiskRead, e.DiskWrite)
		}
		if _, budget := r.Feed(); (e.FileSystem != "" || budget && e.busy() > 1) && !told[e.FileSystem] {
			told[e.FileSystem] = true // once for each kind, not for each sector
			c.SlowDisk(e)
		}
	}
}
