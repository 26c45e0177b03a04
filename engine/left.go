package engine

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"

	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/manifest"
	"github.com/sdr-engine/sdr/porep"
)

// leftIn is what manifests say that an earlier job has left where layers are made, and in the cache dir,
// if that is elsewhere; or nil. The error is of one that is refused.
func leftIn(c *Config, s *Sector, made, cache *durable.Dir) (m *manifest.Manifest, err error) {
	if m, err = manifestOf(made, c, s); err != nil || cache == nil {
		return m, err
	}
	there, err := manifestOf(cache, c, s)
	switch {
	case err != nil || there == nil:
		return m, err
	case m == nil:
		there.Parts = nil // they are where layers were made then
		return there, nil
	}
	for _, known := range there.Layers {
		if _, ok := m.Layer(known.Number); !ok {
			m.Layers = append(m.Layers, known)
		}
	}
	return m, nil
}

// manifestOf is the manifest in a directory to go on from, or nil; the error is of one that is refused.
func manifestOf(dir *durable.Dir, c *Config, s *Sector) (*manifest.Manifest, error) {
	path := dir.PathOf(manifest.Name)
	if dir.IsDir(manifest.Name) { // which no job has made, and none removes
		return nil, refused(&ManifestError{path, &manifest.DamagedError{Path: path, Reason: "it is a directory"}})
	}
	if c.Resume == Restart {
		return nil, nil
	}
	m, err := manifest.ReadIn(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = m.Of(filepath.Dir(path), c.Proof, s.ReplicaID)
	}
	if err == nil && m.Scheme != manifest.Scheme { // one processor architecture's cannot go on from another's
		err = &manifest.SchemaError{Path: path, What: "hash_scheme", Found: strconv.Quote(m.Scheme), Want: strconv.Quote(manifest.Scheme)}
	}
	if err == nil {
		return m, nil
	}
	known := true
	switch other := (*manifest.OtherError)(nil); {
	case errors.As(err, &other):
		err = &OtherSectorError{other.Path, other.Proof, other.WantProof, other.ReplicaID, other.WantID}
	case errors.As(err, new(*manifest.SchemaError)), errors.As(err, new(*manifest.DamagedError)):
		err = &ManifestError{path, err}
	default:
		known = false // it cannot be read
	}
	if known && c.Resume == ResumeOrReplace {
		return nil, nil
	}
	return nil, refused(err)
}

// left is leftIn of a sector whose directories nobody has taken. One of them that cannot be opened
// has nothing: others say so. Of a job that is at work there it is what that has noted.
func left(c *Config, s *Sector) (m *manifest.Manifest, busy bool, err error) {
	var dirs []*durable.Dir
	for _, path := range []string{s.dir(), s.CacheDir} {
		dir, err := durable.OpenDir(context.Background(), path)
		if err != nil {
			return nil, false, nil
		}
		defer dir.Close()
		dirs = append(dirs, dir)
	}
	if s.WorkDir == "" {
		dirs[1] = nil
	}
	if m, err = leftIn(c, s, dirs[0], dirs[1]); err == nil {
		return m, false, nil
	}
	for _, dir := range dirs {
		busy = busy || dir != nil && errors.Is(dir.Lock(), linux.ErrLocked)
	}
	return nil, busy, err
}

// checkManifest finds a manifest that will be refused, before anything is done.
func checkManifest(c *Config, s *Sector) error {
	if s.ReplicaID == (porep.ReplicaID{}) {
		return nil // it is not known yet
	}
	if _, busy, err := left(c, s); !busy {
		return err
	}
	return nil // another job is at work: others say so
}
