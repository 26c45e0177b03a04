//go:build !purego

package portlimits

import "github.com/klauspost/cpuid/v2"

func loops() []loop {
	var (
		sha    = []cpuid.FeatureID{cpuid.SHA}
		sse2   = []cpuid.FeatureID{cpuid.SSE2}
		avx2   = []cpuid.FeatureID{cpuid.AVX2, cpuid.AVX}
		avx512 = []cpuid.FeatureID{cpuid.AVX512F, cpuid.AVX}
		halves = []cpuid.FeatureID{cpuid.AVX512F, cpuid.AVX512VL, cpuid.AVX}
	)
	return []loop{
		{additions, 16, nil, adds},
		{rnds2Latency, 16, sha, rnds2x1},
		{rnds2Two, 16, sha, rnds2x2},
		{rnds2Three, 24, sha, rnds2x3},
		{rnds2Four, 16, sha, rnds2x4},
		{rnds2Six, 24, sha, rnds2x6},
		{rnds2Schedules, 24, sha, rnds2AndSchedules},
		{"sha256msg1, latency", 16, sha, msg1Chain},
		{msg1Rate, 14, sha, msg1s},
		{"sha256msg2, latency", 16, sha, msg2Chain},
		{msg2Rate, 14, sha, msg2s},
		{"paddd, latency", 16, sse2, paddChain},
		{"pshufd, latency", 16, sse2, pshufChain},
		{shiftLatency, 16, avx2, shiftChain256},
		{shiftRate, 14, avx2, shifts256},
		{xorLatency, 16, avx2, xorChain256},
		{xorRate, 14, avx2, xors256},
		{addLatency, 16, avx2, addChain256},
		{addRate, 14, avx2, adds256},
		{avx2Round, 1, avx2, round256},
		{avx2Word, 1, avx2, word256},
		{rotateLatency, 16, avx512, rotateChain512},
		{rotateRate, 14, avx512, rotates512},
		{ternaryLatency, 16, avx512, ternaryChain512},
		{"zmm ternary, rate", 14, avx512, ternaries512},
		{zmmAddLatency, 16, avx512, addChain512},
		{zmmAddRate, 14, avx512, adds512},
		{"AVX-512 chain: 3 rotates, ternary, addition", 4, avx512, sigmaChain512},
		{"AVX-512 round without additions: 6 rotates, 4 ternaries", 1, avx512, logic512},
		{avx512Round, 1, avx512, round512},
		{avx512Word, 1, avx512, word512},
		{halfRotateLatency, 16, halves, rotateChain256},
		{halfRotateRate, 14, halves, rotates256},
		{halfTernaryLatency, 16, halves, ternaryChain256},
		{"ymm ternary, rate", 14, halves, ternaries256},
		{halfRound, 1, halves, roundHalves},
		{halfWord, 1, halves, wordHalves},
	}
}

func adds(n uint64)

func rnds2x1(n uint64)

func rnds2x2(n uint64)

func rnds2x3(n uint64)

func rnds2x4(n uint64)

func rnds2x6(n uint64)

func rnds2AndSchedules(n uint64)

func msg1Chain(n uint64)

func msg1s(n uint64)

func msg2Chain(n uint64)

func msg2s(n uint64)

func paddChain(n uint64)

func pshufChain(n uint64)

func shiftChain256(n uint64)

func shifts256(n uint64)

func xorChain256(n uint64)

func xors256(n uint64)

func addChain256(n uint64)

func adds256(n uint64)

func round256(n uint64)

func word256(n uint64)

func rotateChain512(n uint64)

func rotates512(n uint64)

func ternaryChain512(n uint64)

func ternaries512(n uint64)

func addChain512(n uint64)

func adds512(n uint64)

func sigmaChain512(n uint64)

func logic512(n uint64)

func round512(n uint64)

func word512(n uint64)

func rotateChain256(n uint64)

func rotates256(n uint64)

func ternaryChain256(n uint64)

func ternaries256(n uint64)

func roundHalves(n uint64)

func wordHalves(n uint64)
