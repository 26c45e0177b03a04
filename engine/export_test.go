package engine

// SetHook has producers call f before they stage a run.
func SetHook(c *Config, f func(hasher int, run uint64)) { c.hook = f }

// SetMemoryHook has f called before a hasher's memory is taken from the machine.
func SetMemoryHook(c *Config, f func(hasher int)) { c.memoryHook = f }

// SetLayers gives a job more layers than its proof has.
func SetLayers(c *Config, n int) { c.moreLayers = n }

// VerifySampleUntil is VerifySample until ctx is done.
var VerifySampleUntil = verifySample
