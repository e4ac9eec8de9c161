// Command node runs a node of a Tandem cluster, or a whole cluster on this
// machine.
package main

import (
	"github.com/spf13/cobra"

	"github.com/tandem-actors/tandem/internal/cli"
)

func main() { cli.Main(root()) }

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Run a node of a Tandem cluster, or a whole cluster on this machine",
		Example: `  node local                                            # a cluster of three nodes, until Ctrl-C
  node run --join nats://10.0.0.5:4222 --actor searcher   # one node of a real one
  node cancel --join nats://10.0.0.5:4222 searcher --reason "too expensive"`,
	}
	cmd.AddCommand(localCommand(), runCommand(), cancelCommand(), registrarCommand(), cli.VersionCommand())
	return cmd
}
