package topology

import (
	"errors"
	"io"
)

// Read reads the machine that we run on.
func Read() (*Machine, error) { return ReadRoot("/") }

// ReadRoot reads a folder with a machine's sys and proc below it. It is a dump,
// whose Machine refuses to pin, unless it is "/".
func ReadRoot(dir string) (*Machine, error) { return nil, errors.ErrUnsupported }

// ReadDump reads a machine from a file that Dump wrote.
func ReadDump(path string) (*Machine, error) { return nil, errors.ErrUnsupported }

// Dump writes what the reader uses of the machine below root, as text: one file
// that ReadDump reads. It leaves out whatever else those files say.
func Dump(w io.Writer, root string) error { return errors.ErrUnsupported }
