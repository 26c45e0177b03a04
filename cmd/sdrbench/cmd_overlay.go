package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/internal/overlay"
)

func (a *app) overlay() *cobra.Command {
	var o overlay.Options
	var module string
	cmd := &cobra.Command{
		Use:   "overlay",
		Short: "Write what lotus or curio is built with to seal with this module",
		Long: `Overlay makes a directory with what 'go build -overlay' needs so that a host's
filecoin-ffi seals with this module: the host's own proofs.go with six functions
renamed, a file with ours in their place, and a copy of the host's go.mod and go.sum
that know this module. Nothing of the host's is changed, and both stay in the binary:
SDR_FFI=off in its environment goes back to filcrypto. The directory may not be inside
the host's. One that an earlier run made is replaced.

It prints the flags of the build. Settings of the host's process are variables of its
environment: docs/hosts.md lists them.`,
		Example: `  # in curio's directory
  flags=$(sdrbench overlay --ffi extern/filecoin-ffi --go-mod go.mod --out ../sdr-overlay)
  CGO_ENABLED=1 GOAMD64=v3 go build $flags -tags cunative,nosupraseal -o curio ./cmd/curio`,
		Args: cobra.NoArgs,
		RunE: work(func(_ context.Context, _ []string) error {
			if info, err := os.Stat(module); err == nil && info.IsDir() {
				o.Module = module
			} else if o.Version = cmp.Or(module, release()); !moduleVersion.MatchString(o.Version) {
				return usageError{fmt.Errorf("--module: %s", notModule(module))}
			}
			flags, err := overlay.Write(o)
			if err != nil {
				return err
			}
			for i, f := range flags {
				if strings.ContainsAny(f, " \t") {
					flags[i] = "'" + f + "'" // as GOFLAGS has it
				}
			}
			return a.printText("%s\n", strings.Join(flags, " "))
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.FFI, "ffi", "", "the host's filecoin-ffi, a `DIR`")
	flags.StringVar(&o.GoMod, "go-mod", "", "the host's go.mod, a `FILE`")
	flags.StringVar(&o.Out, "out", "", "`DIR` to make")
	flags.StringVar(&module, "module", "", "`DIR` with this module's source, or a version of it like v1.2.3 (default: this release)")
	require(cmd, "ffi", "go-mod", "out")
	_ = cmd.MarkFlagDirname("ffi")
	_ = cmd.MarkFlagFilename("go-mod", "mod")
	_ = cmd.MarkFlagDirname("out")
	return cmd
}

// moduleVersion is that of a release, of a candidate for one, or of a commit as the go
// command writes it. What git describes between releases the go command does not know.
var moduleVersion = regexp.MustCompile(`^v\d+\.\d+\.\d+(-rc\.\d+|-([0-9A-Za-z.]+\.)?\d{14}-[0-9a-f]{12})?$`)

func notModule(text string) string {
	if text == "" {
		return fmt.Sprintf("this program is no release (%s): name the directory of the module's source, or a version", cmp.Or(release(), "unknown version"))
	}
	return fmt.Sprintf("%q is no directory, and no version like v1.2.3", text)
}
