package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/sdr-engine/sdr/internal/input"
	"github.com/sdr-engine/sdr/internal/profile"
	"github.com/sdr-engine/sdr/sealer"
)

// A profileError is wrong with a profile, and says how to go on without it.
type profileError struct{ error }

func (e *profileError) Error() string {
	return fmt.Sprintf("%v ('--profile none' goes on without one, 'sdrbench tune' makes a new one)", e.error)
}

// noProfile is the path of no file.
const noProfile = profile.None

// profilePath is where the profile is, and whether somebody named it. "" is nowhere.
func (a *app) profilePath(flag string) (path string, named bool) {
	if path = cmp.Or(flag, a.settings.profile); path == noProfile {
		return "", true
	}
	if path != "" {
		return path, true
	}
	return profile.DefaultPath(), false
}

// loadProfile reads the profile that is to be used, if there is one.
func (a *app) loadProfile(ctx context.Context, flag string) (*sealer.Profile, error) {
	path, named := a.profilePath(flag)
	if path == "" {
		return nil, nil
	}
	failed := func(err error) error {
		return &profileError{&sealer.ProfileError{Path: path, Problems: []string{err.Error()}}}
	}
	f, err := input.OpenUntil(ctx, path)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, err
	case errors.Is(err, fs.ErrNotExist) && !named:
		return nil, nil
	case err != nil && !named: // in a home directory that is not ours, say
		a.note("no profile is used: %v", err)
		return nil, nil
	case err != nil:
		return nil, failed(err)
	}
	r := cancelable(ctx, f)
	defer r.Close()
	p, err := sealer.ParseProfile(r, path)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, &profileError{err}
	}
	return p, nil
}
