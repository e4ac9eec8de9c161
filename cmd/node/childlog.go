package main

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tandem-actors/tandem/internal/cli"
	"github.com/tandem-actors/tandem/internal/daemon"
	"github.com/tandem-actors/tandem/internal/process"
)

// childLog gets the log of a child, a line per Write, and prints what the
// registrar does not tell anyway: canceled contexts, lost links, and all that
// is a warning or worse.
type childLog struct {
	name string
	out  *lines
}

// A record is a line of a child's log.
type record struct {
	Level, Msg                                           string
	Actor, Endpoint, Canceller, Reason, Peer, Why, Error string
}

// Write prints one line of the log, or nothing. It never fails.
func (c *childLog) Write(line []byte) (int, error) {
	var r record
	switch err := json.Unmarshal(line, &r); {
	case err != nil:
		c.out.say(c.name, strings.TrimRight(string(line), "\n"))
	case r.Level != "INFO" && r.Level != "DEBUG", r.Msg == "context canceled":
		c.out.say(c.name, r.String())
	}
	return len(line), nil
}

// String returns the record as one line for people.
func (r record) String() string {
	text := r.Msg
	if r.Actor != "" {
		text += "  " + r.Actor
	}
	if r.Endpoint != "" {
		text += "/" + r.Endpoint
	}
	if r.Peer != "" {
		text += "  " + r.Peer
	}
	if r.Canceller != "" {
		text += "  by " + r.Canceller
	}
	why := slices.DeleteFunc([]string{text, r.Reason, r.Why, r.Error}, func(s string) bool { return s == "" })
	return strings.Join(why, ": ")
}

// registrarCommand is what node local runs as its registrar.
func registrarCommand() *cobra.Command {
	var cfg daemon.Config
	cmd := &cobra.Command{
		Use:    "registrar",
		Hidden: true,
		Args:   cli.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := process.Lifeline(cmd.Context())
			defer stop()
			cfg.Name, cfg.Gossip, cfg.StopGrace = "local", "127.0.0.1:0", registrarStop
			cfg.Ready = func(r daemon.Ready) error { return process.SayReady(r) }
			cfg.Logger = cli.NewLogger(cmd.ErrOrStderr(), 0)
			cfg.Version = cli.ReadVersion().Version
			return daemon.Registrar(ctx, cfg)
		},
	}
	cmd.Flags().StringVar(&cfg.HTTP, "http", "", "")
	cmd.Flags().StringVar(&cfg.NATSListen, "nats-listen", "", "")
	cmd.Flags().StringVar(&cfg.Realm, "realm", "", "")
	return cmd
}
