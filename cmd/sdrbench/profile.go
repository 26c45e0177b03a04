package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/profile"
	"github.com/sdr-engine/sdr/placement"
	"github.com/sdr-engine/sdr/topology"
)

// A profileError is wrong with a profile, and says how to go on without it.
type profileError struct{ error }

func (e *profileError) Error() string {
	return fmt.Sprintf("%v ('--profile none' goes on without one, 'sdrbench tune' makes a new one)", e.error)
}

// noProfile is the path of no file.
const noProfile = "none"

// profilePath is where the profile is, and whether somebody named it. "" is nowhere.
func (a *app) profilePath(flag string) (path string, named bool) {
	if path = cmp.Or(flag, a.settings.profile); path == noProfile {
		return "", true
	}
	if path != "" {
		return path, true
	}
	if dir, err := os.UserConfigDir(); err == nil {
		return filepath.Join(dir, "sdrbench", "profile.toml"), false
	}
	return "", false
}

// loadProfile reads the profile that is to be used, if there is one.
func (a *app) loadProfile(ctx context.Context, flag string) (*profile.Profile, error) {
	path, named := a.profilePath(flag)
	if path == "" {
		return nil, nil
	}
	failed := func(err error) error {
		return &profileError{&profile.Error{Path: path, Problems: []string{err.Error()}}}
	}
	f, err := openUntil(ctx, path)
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
	text, err := readSmall(ctx, f)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, failed(err)
	}
	m, err := topology.Read()
	if err != nil {
		return nil, failed(err)
	}
	p, problems := profile.Parse(text, profile.MachineOf(m))
	if len(problems) > 0 {
		return nil, &profileError{&profile.Error{Path: path, Problems: problems}}
	}
	p.Path = path
	return p, nil
}

// readSmall reads, and closes, a file that is a profile only if it is small.
func readSmall(ctx context.Context, f *os.File) (string, error) {
	r := cancelable(ctx, f)
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, profile.MaxBytes+1))
	if err == nil && len(text) > profile.MaxBytes {
		err = fmt.Errorf("it has more than the %d bytes that a profile may have", profile.MaxBytes)
	}
	return string(text), err
}

// applyProfile fills in what neither a flag nor the environment says.
//
// The kernel and the number of hashers are for as many sectors as were measured.
// For any other number they follow from what each kernel takes.
func (a *app) applyProfile(f *engineFlags, c *engine.Config, sectors int) {
	p := f.tuned
	if p == nil {
		if c.Kernel == "" {
			c.Cycles = engine.TimeKernels()
		}
		return
	}
	s := &p.Throughput
	if sectors == 1 {
		s = &p.Latency
	}
	open := func(flag, variable string) bool { return !f.changed(flag) && variable == "" }
	c.Cycles = maps.Clone(p.Cycles)
	if open("kernel", a.settings.kernel) && !f.changed("hashers") && sectors == s.Sectors {
		c.Kernel, c.Hashers, f.hashers = s.Kernel, s.Hashers, s.Hashers
		f.tunedShape = true
	}
	if !f.changed("staging") {
		c.Staging, _ = engine.ParseStaging(s.Staging) // check has read it, as the others below
	}
	if open("producers", a.settings.producers) {
		c.Producers, f.bindProducers = s.Producers, true
	}
	// Stride and lookahead belong together, and a profile's must not spoil what a
	// flag says of the other.
	openStride, openLookahead := open("stride", a.settings.stride), open("lookahead", a.settings.lookahead)
	if openStride {
		c.Stride = s.Stride
		if !openLookahead {
			c.Stride = max(1, min(c.Stride, c.Lookahead))
		}
	}
	if openLookahead && c.MemoryMode == engine.TwoLayers {
		c.Lookahead = max(s.Lookahead, c.Stride)
	}
	if f.hugeTLBFS == "" {
		c.Pages = profile.PageKind(s.Pages).OrSmaller()
	}
	f.smt, _ = placement.ParseSMTUse(s.SMT)
	if !f.changed("policy") {
		f.policy.policy, _, _ = placement.ParsePolicy(s.Policy)
	}
}

// forgetShape takes back the profile's kernel and number of hashers: there is no
// room for them now. False means that they were not the profile's.
func (f *engineFlags) forgetShape(c *engine.Config) bool {
	if !f.tunedShape {
		return false
	}
	f.tunedShape = false
	c.Kernel, c.Hashers, f.hashers = "", 0, 0
	return true
}
