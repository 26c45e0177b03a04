package durable

import (
	"fmt"
	"os"
	"path/filepath"
)

// Target is the path that another one leads to through links, its last part included,
// whether there is a file or not yet: a file that is to appear where a link points to
// appears there, and the link stays. What cannot be followed is returned as it is.
func Target(path string) string {
	const most = 40 // links in a row, as Linux has it
	for range most {
		dir, base := filepath.Split(path)
		if dir == "" {
			dir = "."
		}
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			path = filepath.Join(real, base)
		}
		to, err := os.Readlink(path)
		if err != nil {
			return path
		}
		if !filepath.IsAbs(to) {
			// Not Join: what it makes of link/.. is another place.
			to = filepath.Dir(path) + string(filepath.Separator) + to
		}
		path = to
	}
	return path
}

// Cut shortens what was reserved, when it turns out that less was needed.
func (d *File) Cut(size int64) error {
	if size < 0 || size > d.size {
		return fmt.Errorf("durable: cutting %s: to %d bytes, it has %d", d.path, size, d.size)
	}
	if err := d.do(OpResize, d.path, func() error { return d.f.Truncate(size) }); err != nil {
		return fmt.Errorf("durable: cutting %s: %w", d.path, err)
	}
	d.size = size
	if d.sums != nil {
		d.sums.size = size
	}
	return nil
}
