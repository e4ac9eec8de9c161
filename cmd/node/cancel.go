package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/tandem-actors/tandem/cluster"
	"github.com/tandem-actors/tandem/internal/cli"
	"github.com/tandem-actors/tandem/internal/otelsetup"
)

func cancelCommand() *cobra.Command {
	var reason string
	var m *member
	cmd := &cobra.Command{
		Use:   "cancel NAME",
		Short: "Cancel an actor, everywhere at once",
		Long: `Cancel the actor of that name: every task of it ends, and everybody who has a
context open on it is told who canceled it and why. If several actors have the
name, it is the one that registered last.`,
		Args: cli.Args("NAME"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			err = errors.Join(cli.CheckNames("--as", m.name, m.realm), cli.CheckNames("NAME", args[0], m.realm))
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			shutdown, err := otelsetup.Start(ctx, "node-cancel", cli.NewLogger(cmd.ErrOrStderr(), slog.LevelWarn))
			if err != nil {
				return cli.Errorf(cli.Usage, "the OTEL_ environment variables say where telemetry goes", "%w", err)
			}
			defer shutdown(ctx)
			n, err := m.start(ctx, nil)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, n.Close()) }()
			p, err := cancel(ctx, n, args[0], reason)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "canceled %v\n", p)
			return err
		},
	}
	m = addMember(cmd)
	cmd.Flags().StringVar(&m.name, "as", cmp.Or(os.Getenv("USER"), "cli"), "in whose name")
	cmd.Flags().StringVar(&reason, "reason", "", "why; everybody who is told of the cancel is told this")
	return cmd
}

const hintNames = "see what there is with: registrar list"

// cancel cancels the newest actor of that name.
func cancel(ctx context.Context, n *cluster.Node, name, reason string) (*cluster.Portal, error) {
	p, err := n.Find(ctx, name)
	if errors.Is(err, cluster.ErrNotFound) {
		return nil, cli.Errorf(cli.NotFound, hintNames, "%w", err)
	}
	if err != nil {
		return nil, err
	}
	var cause error
	if reason != "" {
		cause = errors.New(reason)
	}
	err = p.Cancel(ctx, cause)
	if errors.Is(err, cluster.ErrNotFound) || errors.Is(err, cluster.ErrUnreachable) { // It has ended meanwhile, or its node.
		return nil, cli.Errorf(cli.NotFound, hintNames, "%w", err)
	}
	return p, err
}
