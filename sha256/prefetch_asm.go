//go:build !purego && (amd64 || arm64)

package sha256

// prefetchRows pulls the first lines cache lines of what each of n addresses, those
// that which lists, points at into the cache.
//
//go:noescape
func prefetchRows(addrs *uintptr, which *int32, n, lines int)
