package sealer

import (
	"context"
	"errors"
	"sync"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/hugepages"
	"github.com/sdr-engine/sdr/parentcache"
	"github.com/sdr-engine/sdr/porep"
	"github.com/sdr-engine/sdr/topology"
)

// A parentStore has the parent caches that calls use, and their copies in memory, which
// the calls share.
type parentStore struct {
	lock chan struct{} // holds a value while somebody is at the rest
	open map[porep.SealProof]*sharedParents
}

// anywhere stands for the NUMA node of what is bound to none.
const anywhere topology.NUMANodeID = -1

type sharedParents struct {
	users  int
	file   *parentcache.Cache
	copies map[topology.NUMANodeID]*parentcache.Copy // anywhere: bound to none
}

// use sets the parents of a call, until done.
func (s *parentStore) use(ctx context.Context, o *Options, c *engine.Config) (done func() error, err error) {
	if o.ParentCache == "" {
		return func() error { return nil }, nil
	}
	select { // who wants a copy that is being made waits for it
	case s.lock <- struct{}{}:
		defer func() { <-s.lock }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	p := s.open[c.Proof]
	if p == nil {
		file, err := parentcache.Open(ctx, c.Proof, o.ParentCache)
		if err != nil {
			return nil, err
		}
		p = &sharedParents{file: file, copies: map[topology.NUMANodeID]*parentcache.Copy{}}
		if s.open == nil {
			s.open = map[porep.SealProof]*sharedParents{}
		}
		s.open[c.Proof] = p
	}
	p.users++
	proof := c.Proof
	done = sync.OnceValue(func() error {
		s.lock <- struct{}{}
		defer func() { <-s.lock }()
		return s.drop(proof)
	})
	c.Parents = p.file
	if !o.ParentsInMemory {
		return done, nil
	}
	bindings := map[topology.NUMANodeID]hugepages.Binding{}
	for _, place := range c.Places {
		if n, ok := place.Memory.Number(); ok {
			bindings[topology.NUMANodeID(n)] = place.Memory
		}
	}
	if len(bindings) == 0 {
		bindings[anywhere] = hugepages.Binding{}
	}
	c.NUMAParents = map[topology.NUMANodeID]engine.ParentSource{}
	for n, binding := range bindings {
		if p.copies[n] == nil {
			copied, err := p.file.Copy(ctx, hugepages.Options{Binding: binding, Among: c.MemoryNodes, HugeTLBFS: c.HugeTLBFS, Strict: c.StrictNUMA, Sample: 4096, Pool: c.Memory})
			if err != nil {
				return nil, errors.Join(err, s.drop(proof))
			}
			p.copies[n] = copied
		}
		c.NUMAParents[n] = p.copies[n]
		c.Parents = p.copies[n]
	}
	return done, nil
}

// drop is for who used a proof's parents, which holds the lock.
func (s *parentStore) drop(proof porep.SealProof) error {
	p := s.open[proof]
	if p.users--; p.users > 0 {
		return nil
	}
	delete(s.open, proof)
	err := p.file.Close()
	for _, c := range p.copies {
		err = errors.Join(err, c.Close())
	}
	return err
}
