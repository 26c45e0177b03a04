//go:build !purego

package portlimits

import "github.com/klauspost/cpuid/v2"

func loops() []loop {
	var (
		both  = []cpuid.FeatureID{cpuid.ASIMD, cpuid.SHA2}
		sha2  = []cpuid.FeatureID{cpuid.SHA2}
		asimd = []cpuid.FeatureID{cpuid.ASIMD}
	)
	return []loop{
		{additions, 16, nil, adds},
		{foursLatency, 4, both, foursx1},
		{foursTwo, 8, both, foursx2},
		{foursThree, 6, both, foursx3},
		{foursFour, 8, both, foursx4},
		{foursSchedules, 8, both, foursAndSchedules},
		{"sha256h, latency", 16, sha2, hChain},
		{"sha256h, rate", 16, sha2, hs},
		{"sha256h2, latency", 16, sha2, h2Chain},
		{"sha256h2, rate", 16, sha2, h2s},
		{"sha256su0, latency", 16, sha2, su0Chain},
		{su0Rate, 16, sha2, su0s},
		{"sha256su1, latency", 16, sha2, su1Chain},
		{su1Rate, 16, sha2, su1s},
		{"vector addition, latency", 16, asimd, addChain},
	}
}

func adds(n uint64)

func foursx1(n uint64)

func foursx2(n uint64)

func foursx3(n uint64)

func foursx4(n uint64)

func foursAndSchedules(n uint64)

func hChain(n uint64)

func hs(n uint64)

func h2Chain(n uint64)

func h2s(n uint64)

func su0Chain(n uint64)

func su0s(n uint64)

func su1Chain(n uint64)

func su1s(n uint64)

func addChain(n uint64)
