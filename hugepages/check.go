package hugepages

import (
	"errors"

	"github.com/sdr-engine/sdr/internal/roundup"
)

// Check reports whether the machine could give all these regions, at the same time, by what
// it says now. Nothing is taken, so others may take it meanwhile. It never refuses what
// Alloc would give. The error is one of Alloc's, for the first region without room.
func Check(all ...Options) error { return check(all, newSystem("/")) }

func check(all []Options, s system) error {
	l := ledger{system: s, pools: map[poolKey]uint64{}, nodes: map[Binding]uint64{}}
	for _, o := range all {
		if err := o.check(s); err != nil {
			return err
		}
		l.system = s.within(o.Among)
		kinds, fromFile, err := o.kinds()
		if err != nil {
			return err
		}
		var noFiles error
		if o.Files != nil && !o.onHeap() {
			var files []*openFile
			if files, noFiles = o.Files.cut(&o); noFiles == nil {
				defer o.Files.giveBack(files)
				if noFiles = l.addFiles(&o, files[0].Pages); noFiles == nil {
					continue
				}
			}
		}
		var refused []Refusal
		for _, p := range kinds {
			if err := l.add(&o, p, p == fromFile); err != nil {
				refused = append(refused, Refusal{p, err})
				continue
			}
			refused = nil
			break
		}
		if refused != nil {
			return &AllocError{o.Size, o.Purpose, refused, noFiles}
		}
	}
	return nil
}

// A ledger is what regions would take, in bytes.
type ledger struct {
	system
	addresses, data uint64 // of the process
	memory          uint64 // ordinary: in no pool of huge pages
	nodes           map[Binding]uint64
	pools           map[poolKey]uint64
}

type poolKey struct {
	page uint64
	node Binding
}

// addFiles enters a region in files, which takes addresses and nothing else.
func (l *ledger) addFiles(o *Options, p Pages) error {
	room := roundup.To(o.Size, p.Size())
	if err := l.checkProcess(l.addresses+room, l.data); err != nil {
		return err
	}
	l.addresses += room
	return nil
}

// add enters a region on a kind of page if there is room.
func (l *ledger) add(o *Options, p Pages, fromFile bool) error {
	page := p.Size()
	if p == Transparent {
		page = Small.Size()
	}
	room := roundup.To(o.Size, page)
	data := room
	if fromFile {
		data = 0
	}
	if err := l.checkProcess(l.addresses+room, l.data+data); err != nil {
		return err
	}
	if p == Huge1G || p == Huge2M {
		key := poolKey{page, o.Binding}
		want := l.pools[key] + room
		if err := l.checkHugeCgroup(want, page); err != nil {
			return err
		}
		if err := l.checkPool(want, page, o.Binding); err != nil {
			if state, ok := l.pool(page, o.Binding); !ok || !o.raises() {
				return err
			} else if err := l.checkRaise(want-min(want, state.usable()*page), o.Binding); err != nil {
				return err
			}
		}
		l.pools[key] = want
	} else {
		if why := l.transparent(); p == Transparent && why != "" {
			return errors.New(why)
		}
		if err := l.checkMemory(l.memory+room, o.Binding, l.nodes[o.Binding]+room); err != nil {
			return err
		}
		l.memory += room
		l.nodes[o.Binding] += room
	}
	l.addresses += room
	l.data += data
	return nil
}
