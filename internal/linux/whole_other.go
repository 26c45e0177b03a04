//go:build !linux

package linux

import (
	"errors"
	"os"
)

// SetProcessAffinity is not supported.
func SetProcessAffinity([]int) error { return errors.ErrUnsupported }

// PreferNode is not supported.
func PreferNode(int) error { return errors.ErrUnsupported }

// TakeDescriptor is not supported.
func TakeDescriptor(_, _ *os.File) (*os.File, error) { return nil, errors.ErrUnsupported }
