package engine

// MemoryWay is how Budget mode gets parents that are not in memory.
type MemoryWay int

// The ways.
const (
	AutoWay MemoryWay = iota // what Config.MemoryWay says of its default
	Forward                  // each label is sent on, when it is made, by way of a scratch file
	Passes                   // for each segment of nodes the layers' files are read past its parents
)

var memoryWayNames = []string{"auto", "forward", "passes"}

func (w MemoryWay) String() string { return nameOf(memoryWayNames, int(w)) }

// ParseMemoryWay reads a way by its name.
func ParseMemoryWay(name string) (MemoryWay, error) {
	i, err := indexOf("way of budget mode", memoryWayNames, name)
	return MemoryWay(i), err
}

// A Feed is how Budget mode gets the parents that are not in memory, and what that asks of the disk
// besides layers' files, for each sector: in layers from the second to the last but one, which are the
// most that it asks.
type Feed struct {
	Way      MemoryWay
	Segments int     // of a layer
	Nodes    uint64  // in a segment; the last may be shorter
	Read     float64 // bytes read for each label
	Written  float64 // bytes written to scratch files for each label
	Scratch  uint64  // bytes of scratch files
}
