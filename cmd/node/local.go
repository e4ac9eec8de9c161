package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandem-actors/tandem/discovery"
	"github.com/tandem-actors/tandem/identity"
	"github.com/tandem-actors/tandem/internal/cli"
	"github.com/tandem-actors/tandem/internal/daemon"
	"github.com/tandem-actors/tandem/internal/httpapi"
	"github.com/tandem-actors/tandem/internal/process"
)

const (
	maxNodes = 64 // As many as one machine can be asked to run.

	// A canceled task may take cancelGrace to end, so a node takes a bit more
	// before it is killed. After the nodes the registrar stops; it, too, gives
	// up before it is killed. Together the graces are what Ctrl-C may take: 3
	// seconds.
	cancelGrace    = time.Second
	nodeGrace      = cancelGrace + 750*time.Millisecond
	registrarStop  = 750 * time.Millisecond
	registrarGrace = registrarStop + 500*time.Millisecond
)

// A local holds the flags of local, and what it runs.
type local struct {
	nodes             int
	http, nats, realm string

	out   *lines
	group *process.Group
}

func localCommand() *cobra.Command {
	l := new(local)
	cmd := &cobra.Command{
		Use:   "local",
		Short: "Run a whole cluster on this machine until Ctrl-C",
		Long: `Run a registrar and some nodes, each a process of its own, on the loopback
interface. One line is printed for every event. Nothing is kept: when this
command ends, however it ends, all of its processes do.`,
		Args: cli.Args(),
		RunE: l.run,
	}
	cmd.Flags().IntVar(&l.nodes, "nodes", 3, "how many nodes")
	cmd.Flags().StringVar(&l.http, "http", "127.0.0.1:0", "host:port of the registrar's HTTP API; port 0 is any free one")
	cmd.Flags().StringVar(&l.nats, "nats-listen", "127.0.0.1:0", "host:port of NATS; port 0 is any free one")
	cmd.Flags().StringVar(&l.realm, "realm", identity.DefaultRealm, "name of the cluster on its NATS")
	return cmd
}

func (l *local) run(cmd *cobra.Command, _ []string) (err error) {
	if l.nodes < 1 || l.nodes > maxNodes {
		return cli.Errorf(cli.Usage, fmt.Sprintf("give a number from 1 to %d", maxNodes), "--nodes %d: out of range", l.nodes)
	}
	for flag, addr := range map[string]string{"http": l.http, "nats-listen": l.nats} {
		if err := cli.CheckBind(flag, addr, false); err != nil {
			return err
		}
	}
	if err := cli.CheckNames("", "", l.realm); err != nil {
		return err
	}
	ctx := cmd.Context()
	l.out = newLines(cmd.OutOrStdout())
	defer l.out.close()
	l.group = process.NewGroup()
	hurry, cancel := hurried(ctx)
	defer cancel()
	defer func() { err = errors.Join(err, l.group.Close(hurry)) }()

	registrar, ready, err := l.startRegistrar(ctx)
	if err != nil {
		return startError(ctx, err)
	}
	var watch sync.WaitGroup
	defer watch.Wait()
	watching, stop := context.WithCancel(ctx)
	defer stop()
	nodes, err := l.startNodes(ctx, ready)
	defer func() { l.stop(hurry, nodes) }()
	if err != nil {
		return startError(ctx, err)
	}
	l.banner(ready, registrar, nodes)
	watch.Go(func() { l.watch(watching, ready.HTTPURL) })
	for i, n := range nodes {
		watch.Go(func() { l.report(watching, nodeName(i), n) })
	}
	select {
	case <-ctx.Done():
		l.out.say("", "stopping (Ctrl-C again to stop at once)")
		return nil
	case <-registrar.Done():
		return fmt.Errorf("the registrar ended: %w", registrar.Err())
	}
}

// startError is nil if the user stopped the start.
func startError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func nodeName(i int) string { return "node-" + strconv.Itoa(i+1) }

// startRegistrar starts the registrar's process and waits until it answers.
func (l *local) startRegistrar(ctx context.Context) (*process.Child, daemon.Ready, error) {
	var ready daemon.Ready
	c, err := l.start(ctx, "registrar", &ready, registrarGrace, "registrar", "--http", l.http, "--nats-listen", l.nats, "--realm", l.realm)
	return c, ready, err
}

// startNodes starts the nodes side by side and waits until all are ready.
func (l *local) startNodes(ctx context.Context, registrar daemon.Ready) ([]*process.Child, error) {
	nodes := make([]*process.Child, l.nodes)
	errs := make([]error, l.nodes)
	var wg sync.WaitGroup
	for i := range nodes {
		wg.Go(func() {
			var ready childReady
			nodes[i], errs[i] = l.start(ctx, nodeName(i), &ready, nodeGrace, "run", "--child",
				"--name", nodeName(i), "--join", registrar.NATSURL, "--realm", l.realm, "--actor", "echo,searcher",
				"--cancel-grace", cancelGrace.String())
		})
	}
	wg.Wait()
	return nodes, errors.Join(errs...)
}

// start runs this very binary with args, and decodes into ready what it says
// when it is.
func (l *local) start(ctx context.Context, name string, ready any, grace time.Duration, args ...string) (*process.Child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	output := &childLog{name: name, out: l.out}
	c, err := l.group.Start(ctx, process.Command{Path: self, Args: args, StopGrace: grace, Stdout: output, Stderr: output})
	if err != nil {
		return nil, err
	}
	line, err := c.Ready(ctx)
	if err != nil {
		return c, fmt.Errorf("start %s: %w", name, err)
	}
	return c, json.Unmarshal(line, ready)
}

// stop ends the nodes first, so that they can tell the registrar; the group's
// Close ends the rest. Both kill at once when ctx ends, by a second Ctrl-C.
func (l *local) stop(ctx context.Context, nodes []*process.Child) {
	var wg sync.WaitGroup
	for i, n := range nodes {
		if n != nil {
			wg.Go(func() {
				if err := n.Stop(ctx); err != nil {
					l.out.say(nodeName(i), err.Error())
				}
			})
		}
	}
	wg.Wait()
}

// hurried returns a context that outlives ctx until a second signal comes.
func hurried(ctx context.Context) (context.Context, context.CancelFunc) {
	hurry, cancel := context.WithCancel(context.WithoutCancel(ctx))
	abort := cli.Abort(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-abort:
			cancel()
		case <-hurry.Done():
		}
	})
	return hurry, func() { cancel(); wg.Wait() }
}

// report says when a node ends that was not told to.
func (l *local) report(ctx context.Context, name string, c *process.Child) {
	select {
	case <-ctx.Done():
	case <-c.Done():
		how := ""
		if err := c.Err(); err != nil {
			how = ": " + err.Error()
		}
		l.out.say(name, "ended"+how+"; the cluster goes on without it")
	}
}

// watch prints what the registrar sees, until ctx is done.
func (l *local) watch(ctx context.Context, url string) {
	client, err := httpapi.NewClient(url)
	if err == nil {
		defer client.Close()
		err = client.Watch(ctx, httpapi.Query{}, startTimeout, func(e httpapi.Event) error {
			if what := describe(e); what != "" {
				l.out.say(e.Node.Name, what)
			}
			return nil
		})
	}
	if err != nil && ctx.Err() == nil {
		l.out.say("registrar", "no more events: "+err.Error())
	}
}

// describe returns the line for an event, "" if it is none for people.
func describe(e httpapi.Event) string {
	if e.Node == nil {
		return ""
	}
	text := strings.ReplaceAll(e.Type, "_", " ")
	switch {
	case e.Type == httpapi.TypeSnapshot && e.Actor != nil:
		text = "actor registered"
	case e.Type == httpapi.TypeSnapshot:
		text = "node " + string(e.State)
	}
	if e.Actor != nil {
		text += "  " + e.Actor.Name
	}
	if e.Canceller != "" {
		text += "  by " + e.Canceller
	}
	if e.Reason != "" && e.Type != string(discovery.EventNodeLeft) { // Leaving is reason enough.
		text += ": " + e.Reason
	}
	return text
}

func (l *local) banner(ready daemon.Ready, registrar *process.Child, nodes []*process.Child) {
	var b strings.Builder
	fmt.Fprintf(&b, "Tandem: a cluster on this machine, nodes: %d. Nothing is kept; Ctrl-C stops it.\n\n", len(nodes))
	fmt.Fprintf(&b, "  registrar  pid %-8d %s  %s\n", registrar.PID(), ready.HTTPURL, ready.NATSURL)
	for i, n := range nodes {
		fmt.Fprintf(&b, "  %-9s  pid %-8d actors echo, searcher\n", nodeName(i), n.PID())
	}
	fmt.Fprintf(&b, `
Try next, in another terminal:

  go run ./cmd/registrar list --registrar %[1]s
  go run ./examples/search --cluster %[2]s 'func main()' "$(go env GOROOT)/src"
  go run ./cmd/node cancel --join %[2]s echo --reason "just trying"
  kill -9 %[3]d        # that is %[4]s: see what the others say

`, ready.HTTPURL, ready.NATSURL, nodes[len(nodes)-1].PID(), nodeName(len(nodes)-1))
	l.out.write(b.String())
}
