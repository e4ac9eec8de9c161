package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandem-actors/tandem/discovery"
	"github.com/tandem-actors/tandem/identity"
	"github.com/tandem-actors/tandem/internal/cli"
	"github.com/tandem-actors/tandem/internal/httpapi"
)

func listCommand() *cobra.Command {
	var q httpapi.Query
	cmd := &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "List actors"}
	cmd.Flags().StringVar(&q.Name, "name", "", "only actors of this name")
	cmd.Flags().StringVar(&q.Node, "node", "", "only actors of the node with this name or uuid")
	cmd.Flags().StringVar(&q.State, "state", "up", "only actors that are up, suspect or evicted; or all")
	a, out := addAsker(cmd), cli.AddOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkState(q.State); err != nil {
			return err
		}
		list, err := askActors(cmd.Context(), a, q)
		if err != nil {
			return err
		}
		return out.Print(cmd.OutOrStdout(), actors(list))
	}
	return cmd
}

func checkState(state string) error {
	if !slices.Contains([]string{"up", "suspect", "evicted", "all"}, state) {
		return cli.Errorf(cli.Usage, "use up, suspect, evicted or all", "--state %q: no such state", state)
	}
	return nil
}

func findCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "find NAME",
		Short: "Find the newest actor of a name",
		Long:  "Find the actor of a name that was registered last and is up; with --all, every one.",
		Args:  cli.Args("NAME"),
	}
	cmd.Flags().BoolVar(&all, "all", false, "every actor of that name")
	a, out := addAsker(cmd), cli.AddOutput(cmd)
	cmd.ValidArgsFunction = completeNames(a)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := identity.CheckName(args[0]); err != nil {
			return cli.Errorf(cli.Usage, "names are 1 to 255 printable characters", "%w", err)
		}
		list, err := askActors(cmd.Context(), a, httpapi.Query{Name: args[0]})
		if err != nil {
			return err
		}
		if len(list.Actors) == 0 {
			hint := "see what there is with: registrar list --state all"
			return cli.Errorf(cli.NotFound, hint, "no actor %q is up", args[0])
		}
		if all {
			return out.Print(cmd.OutOrStdout(), actors(list))
		}
		return out.Print(cmd.OutOrStdout(), actor(slices.MinFunc(list.Actors, func(a, b discovery.Record) int { return discovery.CompareAge(a.Entry, b.Entry) })))
	}
	return cmd
}

func askActors(ctx context.Context, a *asker, q httpapi.Query) (httpapi.Actors, error) {
	return ask(ctx, a, func(ctx context.Context, c *httpapi.Client) (httpapi.Actors, error) { return c.Actors(ctx, q) })
}

// completionTime bounds how long the shell waits for names.
const completionTime = 300 * time.Millisecond

// completeNames completes the names of the actors that are up.
func completeNames(a *asker) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		ctx, stop := context.WithTimeout(context.Background(), completionTime)
		defer stop()
		list, err := askActors(ctx, a, httpapi.Query{})
		if len(args) > 0 || err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []cobra.Completion
		for _, record := range list.Actors {
			names = append(names, record.Actor.Name)
		}
		return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
	}
}

func nodesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "nodes", Short: "List nodes, also suspect ones and those evicted lately"}
	a, out := addAsker(cmd), cli.AddOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		list, err := ask(cmd.Context(), a, func(ctx context.Context, c *httpapi.Client) (httpapi.Nodes, error) { return c.Nodes(ctx) })
		if err != nil {
			return err
		}
		return out.Print(cmd.OutOrStdout(), nodes(list))
	}
	return cmd
}

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Print how the registrar is",
		Long:  "Print how the registrar is. Exits 6 if it has lost its NATS, so that its answers may be out of date.",
	}
	a, out := addAsker(cmd), cli.AddOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := ask(cmd.Context(), a, func(ctx context.Context, c *httpapi.Client) (discovery.Status, error) { return c.Status(ctx) })
		if err != nil {
			return err
		}
		if err := out.Print(cmd.OutOrStdout(), status(s)); err != nil {
			return err
		}
		if s.BusError != "" {
			return cli.Errorf(cli.Degraded, "is its NATS running? it reconnects by itself", "registrar %s: %s", s.Name, s.BusError)
		}
		return nil
	}
	return cmd
}

// The types below are those of the API, and know what they look like in tables.
type (
	actors httpapi.Actors
	actor  discovery.Record
	nodes  httpapi.Nodes
	status discovery.Status
)

// Table lists actors, one per line.
func (l actors) Table() cli.Table {
	t := cli.Table{Header: []string{"NAME", "NODE", "STATE", "ENDPOINTS", "REGISTERED", "UUID"}}
	now := time.Now()
	for _, r := range l.Actors {
		t.Rows = append(t.Rows, []string{
			r.Actor.Name, r.Actor.Node.Name, string(r.State), endpoints(r.Endpoints), cli.Ago(now, r.Registered), r.Actor.UUID.String(),
		})
	}
	return t
}

// Table is that of a list of one.
func (a actor) Table() cli.Table {
	return actors{Actors: []discovery.Record{discovery.Record(a)}}.Table()
}

// Table lists nodes, one per line.
func (l nodes) Table() cli.Table {
	t := cli.Table{Header: []string{"NAME", "STATE", "ACTORS", "LAST SEEN", "UUID"}}
	now := time.Now()
	for _, n := range l.Nodes {
		seen := "by gossip"
		if !n.LastSeen.IsZero() {
			seen = cli.Ago(now, n.LastSeen)
		}
		t.Rows = append(t.Rows, []string{n.Node.Name, string(n.State), strconv.Itoa(n.Actors), seen, n.Node.UUID.String()})
	}
	return t
}

// Table lists the fields, one per line.
func (s status) Table() cli.Table {
	nats := "connected"
	if s.BusError != "" {
		nats = s.BusError
	}
	t := cli.Table{Rows: [][]string{
		{"registrar", fmt.Sprintf("%s, realm %s, started %s", s.Name, s.Realm, cli.Ago(time.Now(), s.Started))},
		{"nats", nats},
		{"nodes", fmt.Sprintf("%d up, %d suspect, %d evicted, %d behind", s.Nodes, s.Suspects, s.Evicted, s.Behind)},
		{"actors", strconv.Itoa(s.Actors)},
		{"events", strconv.FormatUint(s.Events, 10)},
		{"messages", fmt.Sprintf("%d dropped, %d malformed", s.Dropped, s.Malformed)},
	}}
	for _, m := range s.Members {
		t.Rows = append(t.Rows, []string{"member", m.Name + " at " + m.Addr})
	}
	return t
}

// endpoints shortens a long list to its begin.
func endpoints(names []string) string {
	const most = 3
	text := ""
	for i, name := range names {
		if i == most {
			return fmt.Sprintf("%s,+%d", text, len(names)-most)
		}
		if i > 0 {
			text += ","
		}
		text += name
	}
	return text
}
