package engine_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/sdr-engine/sdr/engine"
	"github.com/sdr-engine/sdr/internal/durable"
	"github.com/sdr-engine/sdr/internal/layers"
	"github.com/sdr-engine/sdr/internal/testkit"
	"github.com/sdr-engine/sdr/porep"
)

// A broken is a file system, in a process of its own, that is the directory below it until it is told
// that operations on files with certain names fail.
type broken struct {
	mu    sync.Mutex
	kind  durable.Kind
	name  string // a part of the file's
	errno syscall.Errno
}

func (f *broken) set(kind durable.Kind, name string, errno syscall.Errno) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kind, f.name, f.errno = kind, name, errno
}

func (f *broken) errnoOf(kind durable.Kind, name string) syscall.Errno {
	f.mu.Lock()
	defer f.mu.Unlock()
	if kind == f.kind && strings.Contains(name, f.name) {
		return f.errno
	}
	return 0
}

type failingNode struct {
	*fs.LoopbackNode
	fails *broken
}

func (n *failingNode) WrapChild(_ context.Context, child fs.InodeEmbedder) fs.InodeEmbedder {
	return &failingNode{child.(*fs.LoopbackNode), n.fails}
}

// A failingFile has no PassthroughFd: the kernel would read and write by way of that, and ask nobody.
type failingFile struct {
	*fs.LoopbackFile
	name  string
	fails *broken
}

func (*failingFile) PassthroughFd() (int, bool) { return 0, false }

func (n *failingNode) file(fh fs.FileHandle, name string) fs.FileHandle {
	if f, ok := fh.(*fs.LoopbackFile); ok {
		return &failingFile{f, name, n.fails}
	}
	return fh
}

func (n *failingNode) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	if errno := n.fails.errnoOf(durable.OpCreate, name); errno != 0 {
		return nil, nil, 0, errno
	}
	inode, fh, fuseFlags, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	return inode, n.file(fh, name), fuseFlags, errno
}

func (n *failingNode) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	name := n.Path(nil)
	if errno := n.fails.errnoOf(durable.OpOpen, name); errno != 0 {
		return nil, 0, errno
	}
	fh, fuseFlags, errno := n.LoopbackNode.Open(ctx, flags)
	return n.file(fh, name), fuseFlags, errno
}

func (n *failingNode) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := n.fails.errnoOf(durable.OpPublish, name); errno != 0 {
		return nil, errno
	}
	return n.LoopbackNode.Link(ctx, target, name, out)
}

func (f *failingFile) Read(ctx context.Context, b []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	if errno := f.fails.errnoOf(durable.OpRead, f.name); errno != 0 {
		return nil, errno
	}
	return f.LoopbackFile.Read(ctx, b, off)
}

func (f *failingFile) Write(ctx context.Context, b []byte, off int64) (uint32, syscall.Errno) {
	if errno := f.fails.errnoOf(durable.OpWrite, f.name); errno != 0 {
		return 0, errno
	}
	return f.LoopbackFile.Write(ctx, b, off)
}

func (f *failingFile) Fsync(ctx context.Context, flags uint32) syscall.Errno {
	if errno := f.fails.errnoOf(durable.OpSync, f.name); errno != 0 {
		return errno
	}
	return f.LoopbackFile.Fsync(ctx, flags)
}

func (f *failingFile) Allocate(ctx context.Context, off, size uint64, mode uint32) syscall.Errno {
	if errno := f.fails.errnoOf(durable.OpReserve, f.name); errno != 0 {
		return errno
	}
	return f.LoopbackFile.Allocate(ctx, off, size, mode)
}

// serveFailing is the file system's process: it mounts what is below at another directory, and does
// what lines of standard input say, until there are no more.
func serveFailing(below, at string) error {
	fails := &broken{}
	data := &fs.LoopbackRoot{Path: below}
	root := &failingNode{&fs.LoopbackNode{RootData: data}, fails}
	data.RootNode = root
	server, err := fs.Mount(at, root, &fs.Options{MountOptions: fuse.MountOptions{DirectMountStrict: true, FsName: "sdr-failing", DisableXAttrs: true}})
	if err != nil {
		return err
	}
	fmt.Println("mounted")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		kind, name, errno := "", "", 0
		fmt.Sscanf(lines.Text(), "%q %q %d", &kind, &name, &errno) // an empty line is that nothing fails
		fails.set(durable.Kind(kind), name, syscall.Errno(errno))
		fmt.Println("told")
	}
	return server.Unmount()
}

const (
	failingBelow = "SDR_TEST_FAILING_BELOW"
	failingAt    = "SDR_TEST_FAILING_AT"
)

// mountFailing is a directory on such a file system, and what tells it what fails. It is the first that a test
// calls: in the process that serves, which runs the same test, it does not return.
func mountFailing(t *testing.T) (at string, tell func(kind durable.Kind, name string, errno syscall.Errno)) {
	t.Helper()
	if below := os.Getenv(failingBelow); below != "" {
		if err := serveFailing(below, os.Getenv(failingAt)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if testing.Short() {
		t.Skip("short tests are also those of emulated programs, which cannot serve file systems")
	}
	if f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil || os.Getuid() != 0 {
		t.Skipf("a file system of a process needs /dev/fuse and root: %v", err)
	} else {
		f.Close()
	}
	at = t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), failingBelow+"="+t.TempDir(), failingAt+"="+at)
	var said strings.Builder
	cmd.Stderr = &said
	in, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		if errors.Is(err, syscall.ENOEXEC) {
			t.Skip("an emulated program cannot be begun by its own name")
		}
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	t.Cleanup(func() {
		// Whatever its process does: nobody is left waiting for it.
		_ = exec.Command("umount", "-l", at).Run()
		in.Close()
		_, _ = io.Copy(io.Discard, lines)
		_ = cmd.Wait()
	})
	if line, _ := lines.ReadString('\n'); line != "mounted\n" {
		rest, _ := io.ReadAll(lines)
		_ = cmd.Wait()
		if text := line + string(rest) + said.String(); strings.Contains(text, syscall.EPERM.Error()) || strings.Contains(text, syscall.EACCES.Error()) {
			t.Skipf("a container that may not mount: %s", text)
		} else {
			t.Fatalf("the file system is not there: %s", text)
		}
	}
	return at, func(kind durable.Kind, name string, errno syscall.Errno) {
		t.Helper()
		fmt.Fprintf(in, "%q %q %d\n", string(kind), name, int(errno))
		if line, err := lines.ReadString('\n'); line != "told\n" {
			t.Fatalf("the file system says %q, %v", line, err)
		}
	}
}

// TestFailingFileSystem: whatever a file system's own process answers, what ends a sector names the file
// and the operation, nothing half done has its name, and when it works again a job goes on.
func TestFailingFileSystem(t *testing.T) {
	at, tell := mountFailing(t)
	whole := oneSector(t.TempDir())
	if _, err := engine.Run(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	want := digests(t, whole.Proof, whole.Sectors)
	for i, tt := range []struct {
		kind  durable.Kind
		errno syscall.Errno
		is    error
		says  string
	}{
		{durable.OpCreate, syscall.EROFS, nil, "creating"},
		{durable.OpReserve, syscall.ENOSPC, engine.ErrNoSpace, "reserving"},
		{durable.OpWrite, syscall.EIO, engine.ErrHardwareSuspect, "writing"},
		{durable.OpWrite, syscall.EDQUOT, engine.ErrNoSpace, "writing"},
		{durable.OpSync, syscall.EIO, engine.ErrHardwareSuspect, "syncing"},
		{durable.OpRead, syscall.EIO, engine.ErrHardwareSuspect, "reading"},
		{durable.OpPublish, syscall.ENOSPC, engine.ErrNoSpace, "giving it its name"},
	} {
		for layer := 1; layer <= 2; layer++ {
			for _, mode := range []engine.MemoryMode{engine.TwoLayers, engine.OneLayer} {
				name := fmt.Sprintf("%s of layer %d, %v, %v", tt.kind, layer, tt.errno, mode)
				c := oneSector(filepath.Join(at, fmt.Sprintf("%d-%d-%d", i, layer, mode)))
				c.MemoryMode = mode
				if err := os.Mkdir(c.Sectors[0].CacheDir, 0o777); err != nil {
					t.Fatal(err)
				}
				tell(tt.kind, layers.Name(layer), tt.errno)
				_, err := engine.Run(t.Context(), c)
				tell("", "", 0)
				if !errors.Is(err, tt.errno) || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), layers.Name(layer)) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%s: %v, want that and %q", name, err, tt.says)
				}
				other := 3 - layer // which may be finished
				for _, left := range fileNames(t, c.Sectors[0].CacheDir) {
					if left != layers.Name(other) || testkit.Digest(t, filepath.Join(c.Sectors[0].CacheDir, left)) != want[other-1] {
						t.Errorf("%s: left %s", name, left)
					}
				}
				if _, err := engine.Run(t.Context(), c); err != nil {
					t.Errorf("%s, and again: %v", name, err)
				} else if diff := cmp.Diff(want, digests(t, porep.StackedDrg2KiBV1_1, c.Sectors)); diff != "" {
					t.Errorf("%s, and again: other layers:\n%s", name, diff)
				}
			}
		}
	}
}
