//go:build !linux

package linux

import "errors"

// Affinity is not supported.
func Affinity(int) ([]int, error) { return nil, errors.ErrUnsupported }

// SetAffinity is not supported.
func SetAffinity(int, []int) error { return errors.ErrUnsupported }

// ThreadID is not known.
func ThreadID() int { return 0 }
