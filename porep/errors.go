package porep

// isBadInput reports whether target is the kind that package seal calls ErrBadInput. It is known by
// its method, since this package imports no other.
func isBadInput(target error) bool {
	_, is := target.(interface{ BadInput() })
	return is
}

// Is reports whether target is the kind ErrBadInput.
func (e *HexError) Is(target error) bool { return isBadInput(target) }

// Is reports whether target is the kind ErrBadInput.
func (e *PieceSizeError) Is(target error) bool { return isBadInput(target) }

// Is reports whether target is the kind ErrBadInput.
func (e *UnknownProofError) Is(target error) bool { return isBadInput(target) }
