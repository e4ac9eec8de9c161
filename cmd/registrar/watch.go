package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/tandem-actors/tandem/internal/cli"
	"github.com/tandem-actors/tandem/internal/httpapi"
)

func watchCommand() *cobra.Command {
	var q httpapi.Query
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Print what there is, then what changes, until Ctrl-C",
		Long: `Print the nodes and actors that there are, then what changes, until Ctrl-C.

Every event is one line. Those of type snapshot tell what there is, snapshot_end
that what follows is new, reset that events were missed and another snapshot
follows. A change right after a snapshot may be part of it already.`,
	}
	cmd.Flags().StringVar(&q.Name, "name", "", "only actors of this name, and no nodes")
	cmd.Flags().StringVar(&q.Node, "node", "", "only the node with this name or uuid, and its actors")
	a, out := addAsker(cmd), cli.AddOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := a.client()
		if err != nil {
			return err
		}
		defer c.Close()
		err = c.Watch(cmd.Context(), q, a.timeout, func(e httpapi.Event) error {
			if e.Type == httpapi.TypeHeartbeat {
				return nil
			}
			return out.Next(cmd.OutOrStdout(), event(e))
		})
		return explain(err)
	}
	return cmd
}

// event is that of the API, and knows what it looks like in a table.
type event httpapi.Event

// Table is the event on one line.
func (e event) Table() cli.Table {
	row := []string{e.Time.Local().Format(time.TimeOnly), e.Type, "", "", e.Reason}
	if e.Node != nil {
		row[2] = e.Node.Name
	}
	if e.Actor != nil {
		row[3] = e.Actor.Name
	}
	if e.Type == httpapi.TypeSnapshot {
		row[4] = string(e.State)
	}
	if e.Canceller != "" {
		row[4] = "by " + e.Canceller + ": " + e.Reason
	}
	return cli.Table{Header: []string{"TIME", "EVENT", "NODE", "ACTOR", "WHY"}, Rows: [][]string{row}}
}
