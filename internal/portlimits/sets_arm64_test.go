//go:build !purego

package portlimits

func sets() []string { return []string{"armv8"} }
