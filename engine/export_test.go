package engine

// SetHook has producers call f before they stage a run.
func SetHook(c *Config, f func(hasher int, run uint64)) { c.hook = f }
