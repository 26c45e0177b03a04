package main

import "github.com/sdr-engine/sdr/cmd/sdrbench/internal/view"

// Short names of what commands say most.
type sample = view.Sample

var (
	visible     = view.Visible
	visibleJSON = view.VisibleJSON
	perSecond   = view.PerSecond
	numbers     = view.Numbers
	count       = view.Count
	verb        = view.Verb
)
