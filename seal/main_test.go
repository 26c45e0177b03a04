package seal_test

import (
	"os"
	"testing"

	"github.com/sdr-engine/sdr/internal/linux"
	"github.com/sdr-engine/sdr/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.InMemory(m, linux.FreeSpace)) }
