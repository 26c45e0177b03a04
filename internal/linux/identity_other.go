//go:build !unix

package linux

import "os"

// IdentityOf is not known.
func IdentityOf(os.FileInfo) (id Identity, ok bool) { return id, false }
