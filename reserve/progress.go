package reserve

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"time"
	"unicode/utf8"
)

// Progress is where a job stands, as it says itself, now and then, in the file of its lowest
// core, or of its turn. Nothing but what people see depends on it: what makes no sense in a
// record is zero here, and no number is negative, infinite or NaN. What is zero is not known.
type Progress struct {
	At      time.Time `json:"at"`      // when the job said so
	Proof   string    `json:"proof"`   // the seal proof's name
	Sectors int       `json:"sectors"` // that are sealed together
	Stage   string    `json:"stage"`   // "tree-d", "labels"; "" before the first
	// Layer is the lowest that a hasher is at, and Node the next of its nodes; Layers is how many
	// layers the job labels.
	Layer  int    `json:"layer"`
	Layers int    `json:"layers"`
	Node   uint64 `json:"node"`
	// Done of Total are in the stage's unit: labels of all sectors and layers while labels are
	// made, bytes in any other.
	Done  uint64 `json:"done"`
	Total uint64 `json:"total"`

	LabelsPerSecond float64 `json:"labels_per_second"` // of all sectors, in the last seconds
	SecondsLeft     float64 `json:"seconds_left"`      // until the last label
	Waited          Waited  `json:"waited"`
	// WaitsFor says what a job in the queue waits for.
	WaitsFor string `json:"waits_for"`
}

// Waited are the parts of the last seconds, 0 to 1, in which hashers waited.
type Waited struct {
	Parents float64 `json:"parents"` // producers are behind
	Memory  float64 `json:"memory"`
	Disk    float64 `json:"disk"`
}

const (
	maxText     = 500                             // bytes of a text that is told
	mostSeconds = 100 * 365 * 24 * float64(60*60) // that anything takes
	// recordRoom is what a record has room for beside its cores and memory. It is taken when the
	// file is written first: on a file system that is full by then, a longer record
	// would be written in part, and others would plan with the memory of this job.
	recordRoom = 4 << 10
)

// UnmarshalJSON never fails: a record is good for what is planned, whatever it says of progress.
func (p *Progress) UnmarshalJSON(text []byte) error {
	type plain Progress
	var read plain
	if json.Unmarshal(text, &read) != nil {
		read = plain{}
	}
	*p = Progress(read)
	p.clean()
	return nil
}

// clean makes of any values some that make sense.
func (p *Progress) clean() {
	for _, n := range []*int{&p.Sectors, &p.Layer, &p.Layers} {
		*n = max(0, *n)
	}
	within := func(x *float64, most float64) {
		if *x = min(*x, most); !(*x > 0) { // NaN is not
			*x = 0
		}
	}
	within(&p.LabelsPerSecond, math.MaxFloat64)
	within(&p.SecondsLeft, mostSeconds)
	within(&p.Waited.Parents, 1)
	within(&p.Waited.Memory, 1)
	within(&p.Waited.Disk, 1)
	for _, text := range []*string{&p.Proof, &p.Stage, &p.WaitsFor} {
		*text = cutText(*text)
	}
	if year := p.At.Year(); year < 1 || year > 9999 { // which JSON does not hold
		p.At = time.Time{}
	}
}

// cutText is so much of a text as a record has room for.
func cutText(text string) string {
	if len(text) <= maxText {
		return text
	}
	end := maxText - len("…")
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// parseHolder reads a record. What makes no sense says nothing.
func parseHolder(text []byte) (h Holder, ok bool) {
	if json.Unmarshal(text, &h) != nil || h.PID <= 0 {
		return Holder{}, false
	}
	if h.Progress != nil && h.Progress.At.IsZero() {
		h.Progress = nil
	}
	return h, true
}

// Tell writes down where the job stands. It waits for nobody, and changes nothing if others
// look at the directory, or take locks in it, at this moment: then the error is one that the next
// call need not have.
//
// The record is written under the guard, which every reader has too. Without it a reader could see
// half of an old record and half of a new one, for Linux reads and writes a file's pages at the
// same time on most file systems, and would take the job for one that has planned no memory.
func (r *Reservation) Tell(p Progress) error {
	if !r.mu.TryLock() {
		return errors.New("reserve: telling progress: the reservation is in use")
	}
	defer r.mu.Unlock()
	if len(r.files) == 0 {
		return errors.New("reserve: telling progress: the cores are released")
	}
	f, err := Patience{now: true}.enterAs(context.Background(), r.dir, false, true)
	if err != nil {
		return err
	}
	defer f.leave()
	p.clean()
	h := r.holder
	h.Progress = &p
	if err := writeHolder(r.files[0], &h, r.room, true); err != nil {
		return f.failed("writing", err)
	}
	r.holder = h
	return nil
}

// Tell writes down what the turn's job waits for. It waits for the guard, until ctx is done.
func (t *Turn) Tell(ctx context.Context, p Progress) error {
	f, err := t.dir.Patience.enterAs(ctx, t.dir.path, false, true)
	if err != nil {
		return err
	}
	defer f.leave()
	p.clean()
	h := t.holder
	h.Progress = &p
	if err := writeHolder(t.file, &h, t.room, true); err != nil {
		return f.failed("writing", err)
	}
	t.holder = h
	return nil
}

// Jobs are those of a lock directory at a moment.
type Jobs struct {
	Held    []Holder // hold cores, by their lowest core
	Waiting []Holder // have turns, the first one first; they hold nothing
	// Unreadable says which lock files this user cannot look at: each is a *DirError.
	Unreadable []error
}

// Look lists the jobs of the lock directory at path, and where they stand. Unlike Held it goes
// on where a file cannot be looked at. If there is no directory, or nobody has ever taken a lock in it,
// the error is a *DirError that is fs.ErrNotExist. Look waits for the guard as Held does.
func (p Patience) Look(ctx context.Context, path string) (j Jobs, err error) {
	f, err := p.enter(ctx, path, false)
	if errors.Is(err, errNobody) {
		return j, &DirError{path, "no job was here", fs.ErrNotExist}
	}
	if err != nil {
		return j, err
	}
	defer f.leave()
	j.Held, err = f.look(nil, func(err error) error {
		j.Unreadable = append(j.Unreadable, err)
		return nil
	})
	if err != nil {
		return j, err
	}
	turns, err := f.turns()
	if err != nil {
		return j, err
	}
	for _, number := range turns {
		h, file, err := f.waiter(number)
		switch {
		case errors.Is(err, fs.ErrNotExist): // it left meanwhile
		case err != nil:
			j.Unreadable = append(j.Unreadable, err)
		case file != nil:
			file.Close()
			j.Waiting = append(j.Waiting, h)
		}
	}
	return j, nil
}

// roomFor is how many bytes a record may have that begins as this one.
func roomFor(h *Holder) int {
	text, err := json.Marshal(h)
	if err != nil {
		return 0
	}
	return (len(text) + 2*recordRoom - 1) / recordRoom * recordRoom
}
