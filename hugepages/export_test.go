package hugepages

// Available is what the machine can give without swapping, if it says so.
func Available() (uint64, bool) {
	n, _, ok := newSystem("/").available()
	return n, ok
}

// RaceEnabled says that the race detector watches.
const RaceEnabled = raceEnabled
