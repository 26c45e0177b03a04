package view

import (
	"fmt"
	"math"
)

// Rates are what is read from a disk and written to it: bytes a second, or for each label.
type Rates struct{ Read, Written float64 }

// Times is as much n times.
func (r Rates) Times(n float64) Rates { return Rates{r.Read * n, r.Written * n} }

// Equalled is what a disk gives if it gives as much one way as the other where nobody says.
func (r Rates) Equalled() Rates {
	if r.Read == 0 {
		r.Read = r.Written
	}
	if r.Written == 0 {
		r.Written = r.Read
	}
	return r
}

// Busy is for which part of the time a disk that gives r is busy with so much a second, if it reads or
// writes at a time; 0 if nobody says what it gives. It is more than 1 where it cannot be done.
func (r Rates) Busy(with Rates) float64 {
	if r.Read == 0 || r.Written == 0 {
		return 0
	}
	return with.Read/r.Read + with.Written/r.Written
}

// Most is for how many of which each asks for so much a disk that gives r suffices; nil if nobody says what it
// gives.
func (r Rates) Most(each Rates) *int {
	busy := r.Busy(each)
	if busy <= 0 {
		return nil
	}
	n := int(math.Min(1/busy, math.MaxInt32))
	return &n
}

func (r Rates) String() string {
	return fmt.Sprintf("%s read and %s written", PerSecond(r.Read, "bytes"), PerSecond(r.Written, "bytes"))
}
