package lint

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// A platform is one configuration that the go command builds for.
type platform struct{ goos, goarch, tags string }

func (p platform) String() string {
	return strings.TrimSuffix(p.goos+"/"+p.goarch+"/"+p.tags, "/")
}

func (p platform) env() []string {
	return append(os.Environ(), "GOOS="+p.goos, "GOARCH="+p.goarch, "CGO_ENABLED=0")
}

// runGo runs a subcommand of go on all packages below dir for one platform.
// The output of a failed run, one line a problem, names file and line itself.
func runGo(dir, subcommand string, p platform) (problems []string) {
	args := []string{subcommand, "-tags=" + p.tags}
	if subcommand == "build" {
		args = append(args, "-buildvcs=false") // a tree without a usable .git must build too
	}
	cmd := exec.Command("go", append(args, "./...")...)
	cmd.Dir = dir
	cmd.Env = p.env()
	out, err := cmd.CombinedOutput()
	if err != nil {
		problems = append(problems, fmt.Sprintf("%s\n%v: correct it, then run: GOOS=%s GOARCH=%s CGO_ENABLED=0 go %s -tags=%s ./...",
			bytes.TrimSpace(out), err, p.goos, p.goarch, subcommand, p.tags))
	}
	return problems
}
