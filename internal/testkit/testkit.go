// Package testkit is what tests of several packages share: the switches, digests of files,
// and waiting. Only tests import it.
package testkit

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// Long reports whether tests that need long are to run, too: SDR_LONG_TESTS=1.
func Long() bool { return os.Getenv("SDR_LONG_TESTS") == "1" }

// NeedsLong skips a test that needs long, unless those are to run; why says what takes so long.
func NeedsLong(t testing.TB, why string) {
	t.Helper()
	if !Long() {
		t.Skipf("%s: only with SDR_LONG_TESTS=1", why)
	}
}

// Rounds is how often a test does the same with other numbers, to find what is rare: a few
// times, and with SDR_LONG_TESTS=1 many.
func Rounds(few, many int) int {
	if Long() {
		return many
	}
	return few
}

// memory is a file system in memory, where Linux has one.
const memory = "/dev/shm"

// tempDir is what TMPDIR was before InMemory changed it.
const tempDir = "SDR_TEST_TMPDIR"

// InMemory runs a package's tests with their files on a file system in memory, if that has room,
// and returns the exit code: most of those tests' time is otherwise a disk's, which syncs each
// layer and checkpoint of thousands of small sectors. With SDR_LONG_TESTS=1 they stay on the disk.
// free is linux.FreeSpace.
func InMemory(m *testing.M, free func(dir string) (free, device uint64, ok bool)) int {
	const room = 2 << 30
	if _, child := os.LookupEnv(tempDir); child || Long() {
		return m.Run()
	}
	if n, _, ok := free(memory); !ok || n < room {
		return m.Run()
	}
	dir, err := os.MkdirTemp(memory, "sdr-test-")
	if err != nil {
		return m.Run()
	}
	defer os.RemoveAll(dir)
	for name, value := range map[string]string{tempDir: os.TempDir(), "TMPDIR": dir} {
		if err := os.Setenv(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// OnDisk keeps the files that a test makes from here on on the disk: its matter is what a disk does.
func OnDisk(t *testing.T) {
	t.Helper()
	if dir, ok := os.LookupEnv(tempDir); ok {
		t.Setenv("TMPDIR", dir)
	}
}

var update = flag.Bool("update", false, "write the expected files anew instead of checking them")

// Update reports whether expected files are to be written anew: -update.
func Update() bool { return *update }

// Seeded is a source of random numbers, and what it began with: SDR_SEED, which repeats a
// test that failed, or the time.
func Seeded(t testing.TB) (*rand.Rand, uint64) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("SDR_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("SDR_SEED: %v", err)
		}
	}
	t.Logf("SDR_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0)), seed // #nosec G404 -- no secret: a test
}

// Digest is the SHA-256 of a file, in hex.
func Digest(t testing.TB, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", hash.Sum(nil))
}

// WaitFor waits until something is so, which others bring about in their own time. After a
// minute it is an error, and the test goes on.
func WaitFor(t testing.TB, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if so() {
			return
		}
	}
	t.Error("it never happened")
}
