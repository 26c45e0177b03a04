//go:build purego || (!amd64 && !arm64)

package portlimits

// loops: none, since without assembly there is no kernel that they would bound.
func loops() []loop { return nil }
