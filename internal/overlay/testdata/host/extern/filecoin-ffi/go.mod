module github.com/filecoin-project/filecoin-ffi

go 1.24.0

require (
	github.com/filecoin-project/go-fil-commcid v0.2.0
	github.com/filecoin-project/go-state-types v0.16.0
	github.com/ipfs/go-cid v0.6.2
)
