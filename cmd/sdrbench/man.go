package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// man writes a manual page for each command. Packages are made with it, so it is
// hidden from everybody else.
func (a *app) man() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the manual pages into DIR",
		Example: "  sdrbench man /usr/local/share/man/man1",
		Hidden:  true,
		Args:    cobra.ExactArgs(1),
		RunE: work(func(ctx context.Context, args []string) error {
			// The environment changes what help says are the defaults.
			plain := &app{settings: readSettings(nil)}
			return a.writePages(ctx, plain.root(), args[0])
		}),
	}
}

// writePages writes the page of cmd, and those of the commands below it.
func (a *app) writePages(ctx context.Context, cmd *cobra.Command, dir string) error {
	page := []byte(manPage(cmd))
	out, err := a.openOutput(ctx, filepath.Join(dir, pageName(cmd)+".1"), int64(len(page)))
	if err != nil {
		return err
	}
	defer out.close()
	if err := out.write(page); err != nil {
		return err
	}
	for _, c := range cmd.Commands() {
		if !c.IsAvailableCommand() {
			continue
		}
		if err := a.writePages(ctx, c, dir); err != nil {
			return err
		}
	}
	return nil
}

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage says in the language of man(7) what the command's help says.
func manPage(cmd *cobra.Command) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	name := pageName(cmd)
	version, _, _ := strings.Cut(cmd.Root().Version, ",")
	line(`.TH %s 1 "" "sdrbench %s" "User Commands"`, roff(strings.ToUpper(name)), roff(version))
	line(".SH NAME\n%s \\- %s", roff(name), roff(cmd.Short))
	synopsis := cmd.UseLine()
	if cmd.HasAvailableSubCommands() {
		synopsis = cmd.CommandPath() + " COMMAND"
	}
	line(".SH SYNOPSIS\n%s", roff(synopsis))
	if cmd.Long != "" {
		line(".SH DESCRIPTION\n%s", roffText(cmd.Long))
	}
	var seeAlso []string
	see := func(c *cobra.Command) { seeAlso = append(seeAlso, ".BR "+roff(pageName(c))+" (1)") }
	if cmd.HasParent() {
		see(cmd.Parent())
	}
	if cmd.HasAvailableSubCommands() {
		line(".SH COMMANDS")
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				line(".TP\n.B %s\n%s", roff(c.Name()), roff(c.Short))
				see(c)
			}
		}
	}
	options := false
	cmd.InitDefaultVersionFlag()
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		if !options {
			line(".SH OPTIONS")
			options = true
		}
		kind, usage := pflag.UnquoteUsage(f)
		if zero := []string{"", "0", "false", "[]"}; !slices.Contains(zero, f.DefValue) {
			usage += " (default " + f.DefValue + ")"
		}
		line(".TP\n.BI %s \" %s\"\n%s", roff("--"+f.Name), roff(kind), roff(usage))
	})
	if cmd.Example != "" {
		line(".SH EXAMPLES\n.nf\n%s\n.fi", roff(cmd.Example))
	}
	if len(seeAlso) > 0 {
		line(".SH SEE ALSO\n%s", strings.Join(seeAlso, ",\n"))
	}
	return b.String()
}

// roffText is roff for text in paragraphs. What is indented stays in lines.
func roffText(text string) string {
	var b strings.Builder
	indented := false
	for line := range strings.SplitSeq(text, "\n") {
		if is := strings.HasPrefix(line, " "); is != indented {
			b.WriteString(map[bool]string{true: ".nf\n", false: ".fi\n"}[is])
			indented = is
		}
		if line == "" {
			b.WriteString(".PP\n")
		} else {
			b.WriteString(roff(line) + "\n")
		}
	}
	if indented {
		b.WriteString(".fi\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

var roffCharacters = strings.NewReplacer(
	`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, `"`, `\(dq`, "^", `\(ha`, "~", `\(ti`, "\n.", "\n\\&.")

// roff quotes what roff would not print as it is.
func roff(text string) string {
	if strings.HasPrefix(text, ".") {
		text = "\n" + text
	}
	return strings.TrimPrefix(roffCharacters.Replace(text), "\n")
}
