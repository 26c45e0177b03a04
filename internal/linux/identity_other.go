//go:build !unix

package linux

import "os"

// An Identity is not known.
type Identity struct{}

// IdentityOf is not known.
func IdentityOf(os.FileInfo) (id Identity, ok bool) { return id, false }
