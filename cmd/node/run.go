package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandem-actors/tandem/builtin/echo"
	"github.com/tandem-actors/tandem/builtin/search"
	"github.com/tandem-actors/tandem/cluster"
	"github.com/tandem-actors/tandem/identity"
	"github.com/tandem-actors/tandem/internal/cli"
	"github.com/tandem-actors/tandem/internal/otelsetup"
	"github.com/tandem-actors/tandem/internal/process"
)

// actors are those that this binary carries. A node runs only what its own
// command line names.
var actors = map[string]func() cluster.Endpoint{
	echo.Name:   echo.Endpoint,
	search.Name: search.Endpoint,
}

const defaultNATS = "nats://127.0.0.1:4222"

const (
	startTimeout = 15 * time.Second // of a process of node local
	joinTimeout  = 5 * time.Second  // until the cluster answers
)

// A member holds the flags of commands that join a cluster.
type member struct {
	join, realm, name string
	grace             time.Duration // If zero, the default of a node.
}

func addMember(cmd *cobra.Command) *member {
	m := new(member)
	cmd.Flags().StringVar(&m.join, "join", cmp.Or(os.Getenv("TANDEM_CLUSTER"), defaultNATS),
		"URL of the cluster's NATS, also $TANDEM_CLUSTER")
	cmd.Flags().StringVar(&m.realm, "realm", identity.DefaultRealm, "which of the clusters on that NATS")
	return m
}

// start joins the cluster.
func (m *member) start(ctx context.Context, log *slog.Logger) (*cluster.Node, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	n, err := cluster.Start(ctx, cluster.Config{Name: m.name, Join: m.join, Realm: m.realm, CancelGrace: m.grace, Logger: log})
	if err != nil {
		return nil, cli.Errorf(cli.Unreachable, "start a registrar with: registrar serve; or say where the cluster is with --join or $TANDEM_CLUSTER", "%w", err)
	}
	return n, nil
}

// A runner holds the flags of run.
type runner struct {
	*member
	actors   []string
	http     string
	insecure bool
	child    bool
	level    slog.Level
}

func runCommand() *cobra.Command {
	r := new(runner)
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run a node until Ctrl-C",
		Long: `Run a node: join the cluster, run the actors that --actor names, and serve
/livez and /readyz if --http says where.

SIGINT, SIGTERM or SIGHUP cancels the actors, tells their openers and leaves in
order; a second one leaves at once.`,
		Args: cli.Args(),
		RunE: r.run,
	}
	r.member = addMember(cmd)
	known := strings.Join(slices.Sorted(maps.Keys(actors)), ", ")
	cmd.Flags().StringVar(&r.name, "name", "", "name of the node, for people (default: made up)")
	cmd.Flags().DurationVar(&r.grace, "cancel-grace", 3*time.Second, "how long canceled tasks may take to end")
	cmd.Flags().StringSliceVar(&r.actors, "actor", nil, "actors to run: "+known)
	cmd.Flags().StringVar(&r.http, "http", "", "host:port of /livez and /readyz (default: none)")
	cmd.Flags().BoolVar(&r.insecure, "insecure", false, "allow --http on addresses that others can reach")
	cmd.Flags().TextVar(&r.level, "log-level", slog.LevelInfo, "debug, info, warn or error")
	cmd.Flags().BoolVar(&r.child, "child", false, "end when standard input does; say on descriptor 3 when ready")
	_ = cmd.Flags().MarkHidden("child") // It exists.
	return cmd
}

func (r *runner) run(cmd *cobra.Command, _ []string) error {
	if err := r.check(); err != nil {
		return err
	}
	ctx := cmd.Context()
	if r.child {
		lifeline, stop := process.Lifeline(ctx)
		defer stop()
		ctx = lifeline
	}
	log := cli.NewLogger(cmd.ErrOrStderr(), r.level)
	shutdown, err := otelsetup.Start(ctx, "node", log)
	if err != nil {
		return cli.Errorf(cli.Usage, "the OTEL_ environment variables say where telemetry goes", "%w", err)
	}
	defer shutdown(ctx)

	h, err := newHealth(r.http, log)
	if err != nil {
		return err
	}
	defer h.close()
	n, err := r.start(ctx, log)
	if err != nil {
		return err
	}
	return r.serve(ctx, n, h, cli.Abort(cmd.Context()))
}

// serve runs the actors until ctx is done, then leaves; abort leaves at once.
func (r *runner) serve(ctx context.Context, n *cluster.Node, h *health, abort <-chan struct{}) error {
	err := r.spawn(ctx, n)
	if err == nil {
		h.ready(n)
		<-ctx.Done()
		h.ready(nil)
	}
	closed := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { closed <- n.Close() }) // After abort, the process ends with it.
	select {
	case e := <-closed:
		return errors.Join(err, e)
	case <-abort:
		return errors.Join(err, errors.New("left at once, without telling the cluster"))
	}
}

// spawn starts the actors and says that the node is ready.
func (r *runner) spawn(ctx context.Context, n *cluster.Node) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, name := range r.actors {
		if _, err := n.Spawn(ctx, name, actors[name]()); err != nil {
			return err
		}
	}
	if r.child {
		return process.SayReady(childReady{Name: n.ID().Name, PID: os.Getpid()})
	}
	return nil
}

// childReady is what a node of node local says when it is ready.
type childReady struct {
	Name string `json:"name"`
	PID  int    `json:"pid"`
}

// check refuses flags that cannot work, before anything starts.
func (r *runner) check() error {
	if err := cli.CheckNames("--name", r.name, r.realm); err != nil {
		return err
	}
	if r.grace <= 0 {
		return cli.Errorf(cli.Usage, "give a duration, like 500ms or 10s", "--cancel-grace %v: not positive", r.grace)
	}
	for _, name := range r.actors {
		if actors[name] == nil {
			return cli.Errorf(cli.Usage, "this binary carries "+strings.Join(slices.Sorted(maps.Keys(actors)), " and "), "--actor %q: no such actor", name)
		}
	}
	if r.http == "" {
		return nil
	}
	return cli.CheckBind("http", r.http, r.insecure)
}
