package forward

import (
	"encoding/binary"
	"errors"

	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/porep"
)

// A writing is a block that is full.
type writing struct {
	buffer []byte
	to     *parcel
}

// send is the goroutine that sends labels on: expander parents soon after they are made, far base
// parents a group at a time.
func (s *Store) send() error {
	defer close(s.written)
	at, end := s.Begin, uint64(s.Layers)*s.Nodes
	for group := at - at%s.Group; group < end; group += s.Group {
		index := int(group / s.Nodes)
		for ; at < group+s.Group; at += s.Part {
			if !s.Flow.Wait(&s.Flow.Made, func() bool { return s.Flow.Labelled.Load() >= at+s.Part }) {
				return nil
			}
			if index == s.Layers-1 {
				continue // nobody reads the last
			}
			labels, err := s.withJoining(s.First+index, at%s.Nodes)
			if err == nil {
				err = s.sendUses(index+1, at%s.Nodes, labels, 0)
			}
			if err != nil || s.Flow.Stopped() {
				return err
			}
		}
		if err := s.sendFar(index, group%s.Nodes, 0); err != nil || s.Flow.Stopped() {
			return err
		}
		s.sent.Store(at)
		s.Flow.Back.Wake()
	}
	return nil
}

// withJoining are a part's labels, where they lie or, where lanes begin with the next layer, copied,
// and with what the files of those lanes have.
func (s *Store) withJoining(layer int, node uint64) ([]byte, error) {
	labels := s.Out(node, int(s.Part))
	if !s.Files.Joins(layer + 1) {
		return labels, nil
	}
	copy(s.joining, labels)
	return s.joining, s.Files.Each(1, func(_ int, buffer []byte) error {
		return s.Files.Load(s.joining, layer, node, buffer[:s.Part*porep.NodeSize], true)
	})
}

// sendUses sends labels, of nodes from one on, to those segments of layer index index, from a
// segment on, that have them as expander parents.
func (s *Store) sendUses(index int, node uint64, labels []byte, from uint64) error {
	parcels, slots, pitch := s.parcels[index%2], s.slots(), s.pitch
	room, of := s.room, s.Images*porep.ExpDegree
	for len(labels) > 0 {
		n := min(len(labels)/pitch, usesNodes)
		uses := s.uses[:n*of]
		if err := s.Uses(uses, node); err != nil {
			return err
		}
		for i := range n {
			label := labels[i*pitch:][:pitch]
			for _, use := range uses[i*of:][:of] {
				segment := s.cut.div(use)
				if segment < from || use == graph.NoUse {
					continue
				}
				p := &parcels[segment]
				if p.n == room {
					s.open(p)
				}
				copyLabels(p.buffer[p.n*pitch:], label)
				binary.LittleEndian.PutUint32(p.buffer[room*pitch+p.n*number:], uint32(use-segment*slots))
				if p.n++; p.n == room {
					if err := s.close(p); err != nil {
						return err
					}
				}
			}
		}
		if s.Flow.Stopped() {
			return nil
		}
		node, labels = node+uint64(n), labels[n*pitch:]
	}
	return nil
}

// copyLabels copies a node's labels. Of one lane, which is where time counts, that is a copy of a known size.
func copyLabels(to, from []byte) {
	if len(from) == porep.NodeSize {
		copyLabel(to, from)
	} else {
		copy(to, from)
	}
}

// copyLabel copies a label of one lane. Each half goes through a register: of all of it, which might overlap, the
// compiler makes a call.
func copyLabel(to, from []byte) {
	const half = porep.NodeSize / 2
	_, _ = to[porep.NodeSize-1], from[porep.NodeSize-1]
	*(*[half]byte)(to) = [half]byte(from)
	*(*[half]byte)(to[half:]) = [half]byte(from[half:])
}

// sendFar sends labels of the group at a node to those segments of the same layer, from a segment
// on, that have them as far base parents.
func (s *Store) sendFar(index int, node, from uint64) (err error) {
	if err := s.index.wait(s.Flow.Stopped); err != nil || s.Flow.Stopped() {
		return err
	}
	parcels, slots, pitch := s.parcels[index%2], s.slots(), s.pitch
	labels, room := s.Out(node, int(s.Group)), s.room
	failed := s.index.each(node/s.Group, s.entries, func(entries []uint64) bool {
		s.traffic.listed.Add(uint64(s.farBlock))
		for _, e := range entries {
			parent, want := int(e>>wantBits), e&(1<<wantBits-1)
			segment := s.far.div(want)
			if segment < from {
				continue
			}
			p := &parcels[segment]
			if p.n == room {
				s.open(p)
			}
			copyLabels(p.buffer[p.n*pitch:], labels[parent*pitch:][:pitch])
			binary.LittleEndian.PutUint32(p.buffer[room*pitch+p.n*number:], uint32(slots+want-segment*s.Shape.far))
			if p.n++; p.n == room {
				if err = s.close(p); err != nil {
					return false
				}
			}
		}
		return !s.Flow.Stopped()
	})
	return errors.Join(failed, err)
}

// open gives a parcel a block. There is one, or will be: no more are open than there are parcels.
func (s *Store) open(p *parcel) { p.buffer, p.n = <-s.buffers, 0 }

// close has a block that is full written.
func (s *Store) close(p *parcel) error {
	w := writing{p.buffer, p}
	p.buffer = nil
	if !s.started {
		return s.writeBlock(w)
	}
	p.writing.Add(1)
	s.written <- w
	return nil
}

// write is a goroutine that writes blocks. When all is stopped it gives them back as they are, so
// that nobody waits for one.
func (s *Store) write() (err error) {
	for w := range s.written {
		if err == nil && !s.Flow.Stopped() {
			err = s.writeBlock(w)
		} else {
			s.buffers <- w.buffer
		}
		w.to.writing.Add(-1)
		if err != nil {
			s.fail(err)
		}
		s.Flow.Back.Wake()
	}
	return nil
}

func (s *Store) writeBlock(w writing) error {
	head := &w.to.head
	if w.to.unread {
		head = nil
	}
	err := s.blocks.write(w.buffer, head)
	s.traffic.written.Add(uint64(len(w.buffer)))
	s.buffers <- w.buffer
	return err
}
