// Package zoneinfo tells how much of a NUMA node's memory can be had, by what the kernel's files
// say, the same to who plans memory and to who takes it.
package zoneinfo

import (
	"fmt"
	"strconv"
	"strings"
)

// Pages counts a NUMA node's pages.
type Pages struct {
	Managed uint64 // all that the kernel gives out
	// Kept is how many of them it does not let go of: who is bound to the node and wants them is
	// killed. Zones have pages below their high watermark, and such as are protected from those who
	// could have others. With transparent huge pages switched on that is many times what a share of
	// the node's size would suggest.
	Kept uint64
}

// Parse reads /proc/zoneinfo: the pages of each NUMA node, by its number. What is no zoneinfo has none.
func Parse(text string) map[int]Pages {
	nodes := map[int]Pages{}
	pages := func(text string) uint64 {
		n, _ := strconv.ParseUint(strings.Trim(text, "(), \n"), 10, 32)
		return n
	}
	node, inside := 0, false
	var managed, high, protected uint64 // pages of the zone that is being read
	end := func() {
		if inside && managed > 0 {
			p := nodes[node]
			p.Managed += managed
			p.Kept += min(managed, high+protected)
			nodes[node] = p
		}
		managed, high, protected = 0, 0, 0
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "Node ") {
			end()
			n, err := fmt.Sscanf(line, "Node %d,", &node)
			inside = n == 1 && err == nil
			continue
		}
		line = strings.TrimLeft(line, " ")
		switch {
		case strings.HasPrefix(line, "managed "):
			managed = pages(line[len("managed "):])
		case strings.HasPrefix(line, "high "): // "high:" is a CPU's
			high = pages(line[len("high "):])
		case strings.HasPrefix(line, "protection:"):
			for _, word := range strings.Fields(line[len("protection:"):]) {
				protected = max(protected, pages(word))
			}
		}
	}
	end()
	return nodes
}

// Available estimates what of a NUMA node's memory can be had without swapping, the way in which
// the kernel does for the machine: what is free, and files' clean pages and caches that can be dropped,
// less what is kept; all in bytes.
func Available(free, files, slab, kept uint64) uint64 {
	n := free + files - min(files/2, kept) + slab - min(slab/2, kept)
	return n - min(n, kept)
}
