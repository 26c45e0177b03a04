// Package roundup rounds whole numbers up.
package roundup

// Div is n / by, rounded up.
func Div[N int | uint64](n, by N) N { return (n + by - 1) / by }

// To is n, or the next number that is a multiple of to.
func To[N int | uint64](n, to N) N { return Div(n, to) * to }
