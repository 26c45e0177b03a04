package main

import (
	"math"

	"github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"
)

// kernelJSON is a contract with scripts. What is not known is null.
type kernelJSON struct {
	Kernel string   `json:"kernel"`
	Lanes  int      `json:"lanes"`
	Usable bool     `json:"usable"`
	Layer  uint32   `json:"layer"`
	Cycles *float64 `json:"cycles_per_label"` // of the core that hashes, for each lane's label
	Limit  *float64 `json:"limit_cycles_per_label"`
	Ratio  *float64 `json:"ratio"`
	Labels *float64 `json:"labels_per_second"` // one core, all lanes together
	GHz    *float64 `json:"ghz"`
}

func kernelsJSON(k *view.Kernels) []kernelJSON {
	known := func(v float64, digits int, ok bool) *float64 {
		if !ok {
			return nil
		}
		scale := math.Pow10(digits)
		v = math.Round(v*scale) / scale
		return &v
	}
	out := []kernelJSON{}
	for _, r := range k.Rows {
		if r.Layer == 0 {
			continue
		}
		measured := r.Took.Median > 0
		limit, limited := r.Limit.Cycles()
		ratio, compared := r.Ratio()
		out = append(out, kernelJSON{
			Kernel: r.Kernel.Name, Lanes: r.Kernel.Lanes, Usable: r.Err == nil, Layer: r.Layer,
			Cycles: known(r.Took.Median, 1, measured),
			Limit:  known(limit, 1, limited && r.Err == nil),
			Ratio:  known(ratio, 4, compared),
			Labels: known(r.PerSecond(), 0, measured),
			GHz:    known(r.Took.Hz/1e9, 4, measured),
		})
	}
	return out
}
