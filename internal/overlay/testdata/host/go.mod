module example.com/host

go 1.24.0

toolchain go1.24.7

require (
	github.com/filecoin-project/filecoin-ffi v1.36.1
	github.com/filecoin-project/go-state-types v0.16.0
	github.com/ipfs/go-cid v0.6.2
)

replace (
	github.com/filecoin-project/filecoin-ffi => ./extern/filecoin-ffi
	github.com/filecoin-project/go-fil-commcid => ./extern/go-fil-commcid
	github.com/filecoin-project/go-state-types => ./extern/go-state-types
)
