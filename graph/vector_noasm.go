//go:build !amd64 || purego

package graph

const useAVX512 = false

func (s *baseSampler) rowsTogether([]uint32, uint32, *draws) bool { return false }

func (p *permutation[E]) parentsTogether([]uint32, uint64) int { return 0 }

func (p *permutation[E]) usesTogether([]uint64, uint64) int { return 0 }
