//go:build !purego

package portlimits

func sets() []string { return []string{"sha-ni", "avx2", "avx512"} }
