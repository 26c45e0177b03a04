package linux

import (
	"golang.org/x/sys/unix"
)

// fileSystems are kinds whose files need not lie on a disk of this machine, by statfs's f_type: from
// linux/magic.h, and from the sources of those that are not the kernel's own.
var fileSystems = map[uint32]string{
	unix.NFS_SUPER_MAGIC:   "NFS",
	unix.SMB_SUPER_MAGIC:   "SMB",
	unix.SMB2_SUPER_MAGIC:  "SMB2",
	unix.CIFS_SUPER_MAGIC:  "CIFS",
	unix.V9FS_MAGIC:        "9p",
	unix.CEPH_SUPER_MAGIC:  "Ceph",
	unix.FUSE_SUPER_MAGIC:  "FUSE",
	unix.AFS_SUPER_MAGIC:   "AFS",
	unix.AFS_FS_MAGIC:      "AFS",
	unix.CODA_SUPER_MAGIC:  "Coda",
	unix.NCP_SUPER_MAGIC:   "NCP",
	unix.OCFS2_SUPER_MAGIC: "OCFS2",
	0x01161970:             "GFS2",
	0x0bd00bd0:             "Lustre",
	0x47504653:             "GPFS",
	0x19830326:             "BeeGFS",
	0xaad7aaea:             "PanFS",
	0x20030528:             "OrangeFS",
	0x786f4256:             "vboxsf",
}

// RemoteFileSystem is the kind of file system that a directory is on, if its files need not lie on a disk
// of this machine: a network's, one that several machines share, or one that a program serves. "" is any
// other, or not known.
func RemoteFileSystem(dir string) string {
	var fs unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(dir, &fs) }); err != nil {
		return ""
	}
	return fileSystems[uint32(fs.Type)] // #nosec G115 -- f_type has 32 bits, in a type that differs by architecture
}
