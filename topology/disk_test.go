package topology

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestDiskMounted(t *testing.T) {
	const mountinfo = `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
30 22 0:44 / /mnt rw - tmpfs  rw
31 22 259:3 / /mnt/seal\040ing rw - xfs /dev/nvme0n1p3 rw,noquota
32 22 259:4 / /mnt/seal\040ing rw - btrfs /dev/nvme1n1 rw
33 22 0:50 / /mnt/sealed rw - nfs4 server:/export rw
`
	for dir, want := range map[string]Disk{
		"/home":             {MountPoint: "/", FileSystem: "ext4", Source: "/dev/root"},
		"/mnt/x":            {MountPoint: "/mnt", FileSystem: "tmpfs"},                                  // a source may be empty
		"/mnt/seal ing/a/b": {MountPoint: "/mnt/seal ing", FileSystem: "btrfs", Source: "/dev/nvme1n1"}, // the one on top
		"/mnt/sealed":       {MountPoint: "/mnt/sealed", FileSystem: "nfs4", Source: "server:/export"},  // itself
		"/mnt/sealed2":      {MountPoint: "/mnt", FileSystem: "tmpfs"},                                  // another with a like name
	} {
		var d Disk
		if d.mounted(mountinfo, dir); d != want {
			t.Errorf("%s: %+v, want %+v", dir, d, want)
		}
	}
}

// A partition says nothing of its own: the disk above it does.
func TestDiskDevice(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("links like the kernel's")
	}
	root := t.TempDir()
	disk := filepath.Join(root, "devices", "sda")
	for name, text := range map[string]string{"queue/rotational": "1\n", "queue/logical_block_size": "4096\n", "sda1/partition": "1\n"} {
		name = filepath.Join(disk, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o777), os.WriteFile(name, []byte(text), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(disk, "sda1"), filepath.Join(root, "8:1")); err != nil {
		t.Fatal(err)
	}
	var d Disk
	d.device(root, 8, 1)
	if d.Device != "sda1" || d.Rotational == nil || !*d.Rotational || d.LogicalBlockSize != 4096 {
		t.Errorf("%+v", d)
	}
	d = Disk{}
	if d.device(root, 8, 2); d != (Disk{}) {
		t.Errorf("a device that is not there: %+v", d)
	}
}

func TestReadDisk(t *testing.T) {
	dir := t.TempDir()
	d, err := ReadDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" && (d.FileSystem == "" || d.MountPoint == "" || d.FreeSpace == 0) {
		t.Errorf("%+v", d)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if _, err := ReadDisk(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if d, err := ReadDisk(file); err == nil {
		t.Errorf("of a file: %+v", d)
	}
}
