//go:build !linux

package linux

import (
	"errors"
	"os"
)

// NextData is not supported.
func NextData(*os.File, int64) (int64, error) { return 0, errors.ErrUnsupported }

// NextHole is not supported.
func NextHole(*os.File, int64) (int64, error) { return 0, errors.ErrUnsupported }

// PunchHole is not supported.
func PunchHole(*os.File, int64, int64) error { return errors.ErrUnsupported }

// ReserveRange is not supported.
func ReserveRange(*os.File, int64, int64) error { return errors.ErrUnsupported }

// ReadAhead is not supported.
func ReadAhead(*os.File, int64, int64) error { return errors.ErrUnsupported }

// CopyRange is not supported.
func CopyRange(*os.File, *os.File, int64, int) (int, error) { return 0, errors.ErrUnsupported }
