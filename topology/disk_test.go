package topology

import (
	"errors"
	"fmt"
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
34 22 0:51 / /tank rw - zfs tank/sealing rw,xattr
35 22 0:52 / /container rw - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
36 22 253:0 / /lv rw - xfs /dev/mapper/vg0-sealing rw
37 22 0:53 /sub /btr rw - btrfs /dev/sdb rw,subvol=/sub
`
	for dir, want := range map[string]Disk{
		"/home":             {MountPoint: "/", FileSystem: "ext4", Source: "/dev/root"},
		"/mnt/x":            {MountPoint: "/mnt", FileSystem: "tmpfs"},                                  // a source may be empty
		"/mnt/seal ing/a/b": {MountPoint: "/mnt/seal ing", FileSystem: "btrfs", Source: "/dev/nvme1n1"}, // the one on top
		"/mnt/sealed":       {MountPoint: "/mnt/sealed", FileSystem: "nfs4", Source: "server:/export"},  // itself
		"/tank/a":           {MountPoint: "/tank", FileSystem: "zfs", Source: "tank/sealing"},           // no device of the kernel's
		"/container":        {MountPoint: "/container", FileSystem: "overlay", Source: "overlay"},
		"/lv":               {MountPoint: "/lv", FileSystem: "xfs", Source: "/dev/mapper/vg0-sealing"},
		"/btr/x":            {MountPoint: "/btr", FileSystem: "btrfs", Source: "/dev/sdb"},
		"/mnt/sealed2":      {MountPoint: "/mnt", FileSystem: "tmpfs"}, // another with a like name
	} {
		var d Disk
		if d.mounted(mountinfo, dir); d != want {
			t.Errorf("%s: %+v, want %+v", dir, d, want)
		}
	}
}

// A partition says nothing of its own: the disk above it does. Volumes of the device mapper, loops and NVMe disks of several
// paths say it themselves, wherever they are in the tree.
func TestDiskDevice(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("links like the kernel's")
	}
	root := t.TempDir()
	for _, c := range []struct {
		major, minor uint32
		disk, device string
		rotational   string
		block        uint64
	}{
		{8, 1, "pci0/ata1/block/sda", "pci0/ata1/block/sda/sda1", "1\n", 4096},
		{253, 0, "virtual/block/dm-0", "virtual/block/dm-0", "0\n", 512},
		{259, 1, "virtual/nvme-subsystem/nvme-subsys0/nvme0n1", "virtual/nvme-subsystem/nvme-subsys0/nvme0n1/nvme0n1p1", "0\n", 512},
		{7, 0, "virtual/block/loop0", "virtual/block/loop0", "1\n", 512},
	} {
		disk, device := filepath.Join(root, "devices", c.disk), filepath.Join(root, "devices", c.device)
		for name, text := range map[string]string{filepath.Join(disk, "queue/rotational"): c.rotational, filepath.Join(disk, "queue/logical_block_size"): fmt.Sprintln(c.block), filepath.Join(device, "dev"): "\n"} {
			if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o777), os.WriteFile(name, []byte(text), 0o666)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(device, filepath.Join(root, fmt.Sprintf("%d:%d", c.major, c.minor))); err != nil {
			t.Fatal(err)
		}
		var d Disk
		d.device(root, c.major, c.minor)
		if d.Device != filepath.Base(c.device) || d.Rotational == nil || *d.Rotational != (c.rotational == "1\n") || d.LogicalBlockSize != c.block {
			t.Errorf("%s: %+v", c.device, d)
		}
	}
	var d Disk
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
