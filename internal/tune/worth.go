package tune

// A Worth is the best with one thing changed.
type Worth struct {
	Setting, Value string
	Figure
	Lost float64 // a share of the best's rate; negative: it won so much, in the noise
}

// worths are what each setting is worth around the best, of what was measured.
func (s *Search) worths(best Trial) (all []Worth) {
	top := s.figure(best)
	for _, x := range settings {
		for _, t := range s.changed(x, best) {
			if f := s.figure(t); f.Samples > 0 {
				all = append(all, Worth{x.Name, x.text(t), f, 1 - f.Rate/top.Rate})
			}
		}
	}
	return all
}

// CyclesByKernel are those for a node with all lanes, on one core that hashes.
func (s *Search) CyclesByKernel() map[string]float64 {
	all := map[string]float64{}
	for _, k := range s.Space.Kernels {
		if f := s.figure(s.Space.Usual(k, k.One)); f.Samples > 0 && k.One.Hashers > 0 {
			all[k.Name] = f.Cycles * float64(k.Lanes)
		}
	}
	return all
}
