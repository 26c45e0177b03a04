module github.com/filecoin-project/go-state-types

go 1.24.0

require github.com/ipfs/go-cid v0.6.2
