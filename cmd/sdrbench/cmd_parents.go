package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sdr-engine/sdr/graph"
	"github.com/sdr-engine/sdr/parentcache"
	"github.com/sdr-engine/sdr/porep"
)

func (a *app) parents() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "parents",
		Short: "Show the parents of nodes, build or verify a parent cache file",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.parentsShow(), a.parentsBuild(), a.parentsVerify())
	return cmd
}

func (a *app) parentsShow() *cobra.Command {
	var proof porep.SealProof
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show NODE...",
		Short: "Print the parents of nodes",
		Long: `Show prints a line for each node: the node, its 6 base parents, its 8 expander
parents.`,
		Example: `  sdrbench parents show --proof StackedDrg32GiBV1_1 0 1 1073741823`,
		Args:    cobra.MinimumNArgs(1),
		RunE:    work(func(_ context.Context, args []string) error { return a.runParentsShow(proof, asJSON, args) }),
	}
	proofFlag(cmd, &proof, "registered seal proof")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	require(cmd, "proof")
	return cmd
}

func (a *app) runParentsShow(p porep.SealProof, asJSON bool, args []string) error {
	type row struct {
		Node    uint64               `json:"node"`
		Parents [porep.Degree]uint32 `json:"parents"`
	}
	rows := make([]row, len(args))
	last := p.SectorSize().Nodes() - 1
	for i, text := range args {
		n, err := strconv.ParseUint(text, 10, 64)
		if errors.Is(err, strconv.ErrSyntax) {
			return usageError{fmt.Errorf("%q is not a node's number", text)}
		}
		if err != nil || n > last {
			return usageError{fmt.Errorf("node %s is not in the graph of %v, whose last is %d", text, p, last)}
		}
		rows[i].Node = n
	}
	g, err := graph.New(p)
	if err != nil {
		return err
	}
	for i := range rows {
		if err := g.Parents(rows[i].Parents[:], rows[i].Node); err != nil {
			return err
		}
	}
	if asJSON {
		return a.printJSON(rows)
	}
	for _, r := range rows {
		if err := a.print("%d %s\n", r.Node, strings.ReplaceAll(fmt.Sprint(r.Parents), " ", ", ")); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) parentsBuild() *cobra.Command {
	var proof porep.SealProof
	var dir string
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Make a parent cache file, as the reference's",
		Long: `Build makes the parent cache file of a proof, byte for byte the reference's, and
prints its path. A valid file is kept, a wrong one replaced. Sealing here needs
none: the parents are computed. A 32 GiB sector's takes 56 GiB.`,
		Example: `  sdrbench parents build --proof StackedDrg512MiBV1_1 --dir /var/tmp/filecoin-parents`,
		Args:    cobra.NoArgs,
		RunE: work(func(ctx context.Context, _ []string) error {
			if err := a.checkReference(ctx); err != nil {
				return err
			}
			watch := new(parentWatch)
			defer a.showProgress(watch.sample)()
			path, err := parentcache.Generate(ctx, proof, dir, func(e parentcache.Event) {
				if e.Step == parentcache.StepReject {
					fmt.Fprintln(a.err, "sdrbench: replacing a wrong file:", e.Err)
				}
				watch.event(e)
			})
			if err != nil {
				return err
			}
			return a.printText("%s\n", path)
		}),
	}
	proofFlag(cmd, &proof, "registered seal proof")
	cmd.Flags().StringVar(&dir, "dir", a.settings.parentCacheDir, "`DIR` for the file; FIL_PROOFS_PARENT_CACHE changes the default")
	require(cmd, "proof")
	_ = cmd.MarkFlagDirname("dir")
	return cmd
}

func (a *app) parentsVerify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify FILE",
		Short: "Verify a parent cache file",
		Long: `Verify reads a parent cache file, whose name says which proof it is for, and
compares it with the digest that the reference publishes, or with the graph
where it publishes none.`,
		Example: `  sdrbench parents verify /var/tmp/filecoin-parents/v28-sdr-parent-*.cache`,
		Args:    cobra.ExactArgs(1),
		RunE: work(func(ctx context.Context, args []string) error {
			p, err := parentcache.ProofOf(args[0])
			if err != nil {
				return err
			}
			watch := new(parentWatch)
			defer a.showProgress(watch.sample)()
			if err := parentcache.VerifyFor(ctx, p, args[0], watch.event); err != nil {
				return err
			}
			return a.printText("%s: right, for %v\n", args[0], p)
		}),
	}
}
