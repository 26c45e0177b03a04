module github.com/filecoin-project/go-fil-commcid

go 1.24.0

require (
	github.com/ipfs/go-cid v0.6.2
	github.com/multiformats/go-multihash v0.2.3
)
