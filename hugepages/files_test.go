package hugepages_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sdr-engine/sdr/hugepages"
)

// What is no file with huge pages is passed over, and each is said why. Memory comes from elsewhere.
func TestFilesRefused(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(plain, link); err != nil {
		t.Skip(err)
	}
	want := map[string]string{
		plain:                         "not on a hugetlbfs",
		link:                          "a symbolic link",
		dir:                           "no regular file",
		os.DevNull:                    "no regular file",
		filepath.Join(dir, "missing"): "no such file",
	}
	if runtime.GOOS != "linux" {
		want[plain] = "unsupported"
	}
	var files []hugepages.File
	for path := range want {
		files = append(files, hugepages.File{Path: path})
	}
	check := func(refused []hugepages.FileRefusal) {
		t.Helper()
		if len(refused) != len(want) {
			t.Errorf("refused %v", refused)
		}
		for _, r := range refused {
			if !strings.Contains(r.Err.Error(), want[r.Path]) {
				t.Errorf("%s: %v, want %q", r.Path, r.Err, want[r.Path])
			}
		}
	}
	usable, refused := hugepages.LookAtFiles(files)
	if len(usable) > 0 {
		t.Errorf("usable: %v", usable)
	}
	check(refused)
	taken, err := hugepages.TakeFiles(t.Context(), files, hugepages.Options{Size: 5 << 20})
	e := (*hugepages.FilesError)(nil)
	if taken != nil || !errors.As(err, &e) || e.Want != 6<<20 || e.Left != 0 || e.InUse() {
		t.Fatalf("%v, %v", taken, err)
	}
	check(e.Refused)
	for path, why := range want {
		if text := err.Error(); !strings.Contains(text, why) || why != "no regular file" && !strings.Contains(text, path) {
			t.Errorf("%q does not say of %s that it is %q", text, path, why)
		}
	}
	if content, err := os.ReadFile(plain); len(content) != 4096 || err != nil {
		t.Errorf("%d bytes are left, %v", len(content), err)
	}
}

// Files that do not suffice are said by the region that has other pages, and by the error if
// there are none.
func TestNotInFiles(t *testing.T) {
	none, err := hugepages.TakeFiles(t.Context(), nil) // for no region none are needed
	if err != nil {
		t.Fatal(err)
	}
	defer none.Close()
	o := hugepages.Options{Size: 1 << 16, Pages: []hugepages.Pages{hugepages.Small}, Files: none}
	if err := hugepages.Check(o); err != nil {
		t.Error(err)
	}
	r := alloc(t, o)
	e := (*hugepages.FilesError)(nil)
	if b := r.Backing(); !errors.As(r.NotInFiles(), &e) || b.NoFiles != r.NotInFiles() || len(b.Files) > 0 ||
		!strings.HasPrefix(b.String(), "small pages; in no files: 2097152 bytes wanted in whole files, 0 to be had") {
		t.Errorf("%v, %v", r.NotInFiles(), b)
	}
	o.Size = 1 << 60
	if _, err := hugepages.Alloc(t.Context(), o); !errors.As(err, &e) || !strings.Contains(err.Error(), "; files: ") {
		t.Error(err)
	}
	if err := hugepages.Check(o); !errors.As(err, &e) {
		t.Error(err)
	}
}
