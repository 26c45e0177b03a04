package parentcache

import (
	"context"
	"path/filepath"

	"github.com/sdr-engine/sdr/porep"
)

// Ensure opens the parent cache of p in dir, after it has generated it if there
// is no valid one.
func Ensure(ctx context.Context, p porep.SealProof, dir string, hook func(Event)) (*Cache, error) {
	f, err := provide(ctx, p, dir, hook)
	if err != nil {
		return nil, err
	}
	return mapFile(p, f, filepath.Join(dir, name(p)))
}
