//go:build !linux

package linux

import "errors"

// BlockDevice is not known.
func BlockDevice(string) (major, minor uint32, err error) { return 0, 0, errors.ErrUnsupported }

// DirectAlignment is not known.
func DirectAlignment(string) (memory, offset uint32, ok bool) { return 0, 0, false }
