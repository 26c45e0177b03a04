//go:build !linux

package linux

import "errors"

// NoCore is not supported.
func NoCore() error { return errors.ErrUnsupported }
