//go:build purego || (!amd64 && !arm64)

package portlimits

func sets() []string { return nil }
