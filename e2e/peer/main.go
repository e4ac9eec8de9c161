// Command peer is a node process with the actors of the scenarios D-01 to D-05.
// It prints, as JSON lines, how each of their tasks ended.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/tandem-actors/tandem/cluster"
	"github.com/tandem-actors/tandem/internal/otelsetup"
)

// The endpoints. The test that opens them declares the same.
const (
	sleep = cluster.Task[cluster.None, string, cluster.None, cluster.None, cluster.None]("sleep")
	count = cluster.Task[cluster.None, cluster.None, int, int, cluster.None]("count")
	visit = cluster.Task[cluster.None, cluster.None, cluster.None, cluster.None, cluster.None]("visit")
	obey  = cluster.Task[cluster.None, cluster.None, string, string, cluster.None]("obey")
)

func main() {
	join := flag.String("join", "", "URL of the cluster")
	name := flag.String("name", "", "name of the node")
	actor := flag.String("actor", "", "sleeper, just_caller or canceller")
	flag.Parse()
	if err := run(*join, *name, *actor); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

func run(join, name, actor string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	shutdown, err := otelsetup.Start(ctx, name, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	defer shutdown(ctx)
	n, err := cluster.Start(ctx, cluster.Config{Name: name, Join: join})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	p := &peer{node: n, out: json.NewEncoder(os.Stdout)}
	endpoints := map[string][]cluster.Endpoint{
		"sleeper":     {sleep.Serve(p.sleep), count.Serve(p.count)},
		"just_caller": {visit.Serve(p.visit)},
		"canceller":   {obey.Serve(p.obey)},
	}[actor]
	if _, err := n.Spawn(ctx, actor, endpoints...); err != nil {
		return err
	}
	p.report(end{Task: "ready"})
	<-ctx.Done()
	return nil
}

// An end is how a task ended.
type end struct {
	Task         string `json:"task"`
	Err          string `json:"err,omitempty"`
	Canceller    string `json:"canceller,omitempty"`
	Reason       string `json:"reason,omitempty"`
	Source       string `json:"source,omitempty"`
	CancelCalled bool   `json:"cancel_called,omitempty"`
	By           string `json:"by,omitempty"` // Canceller of the handle.
}

// of fills in who canceled, if err says so.
func (e end) of(err error) end {
	if err == nil {
		return e
	}
	e.Err = err.Error()
	if c, ok := errors.AsType[*cluster.Canceled](err); ok {
		e.Canceller, e.Reason, e.Source = c.Canceller.Name, c.Reason(), c.Source.Name
	}
	return e
}

// A peer reports what happens to the tasks of its node.
type peer struct {
	node *cluster.Node

	mu  sync.Mutex // Guards out.
	out *json.Encoder
}

func (p *peer) report(e end) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.out.Encode(e); err != nil {
		fmt.Fprintln(os.Stderr, "peer: report:", err)
	}
}

// sleep starts and waits to be canceled.
func (p *peer) sleep(ctx context.Context, c *cluster.Child[string, cluster.None, cluster.None], _ cluster.None) (none cluster.None, err error) {
	defer func() { p.report(end{Task: "sleep", CancelCalled: c.State().CancelCalled}.of(context.Cause(ctx))) }()
	if err := c.Started(ctx, "asleep"); err != nil {
		return none, err
	}
	<-ctx.Done()
	return none, ctx.Err()
}

// count answers each number with the next.
func (p *peer) count(ctx context.Context, c *cluster.Child[cluster.None, int, int], _ cluster.None) (none cluster.None, err error) {
	defer func() { p.report(end{Task: "count", CancelCalled: c.State().CancelCalled}.of(context.Cause(ctx))) }()
	if err := c.Started(ctx, none); err != nil {
		return none, err
	}
	for n, err := range c.All(ctx) {
		if err != nil {
			return none, err
		}
		if err := c.Send(ctx, n+1); err != nil {
			return none, err
		}
	}
	return none, errors.New("the parent ended its stream")
}

// visit streams with the sleeper until that ends.
func (p *peer) visit(ctx context.Context, c *cluster.Child[cluster.None, cluster.None, cluster.None], _ cluster.None) (none cluster.None, err error) {
	sleeper, err := p.node.Find(ctx, "sleeper")
	if err != nil {
		return none, err
	}
	var handle *cluster.Parent[int, int, cluster.None]
	_, err = count.Open(ctx, sleeper, none, func(ctx context.Context, down *cluster.Parent[int, int, cluster.None], _ cluster.None) error {
		handle = down
		if err := errors.Join(down.Send(ctx, 0), c.Started(ctx, none)); err != nil {
			return err
		}
		for n, err := range down.All(ctx) {
			if err == nil {
				err = down.Send(ctx, n)
			}
			if err != nil {
				return err
			}
		}
		return errors.New("the sleeper ended its stream")
	})
	state := handle.State()
	up, _ := c.Canceller()
	p.report(end{Task: "visit", CancelCalled: state.CancelCalled || c.State().CancelCalled, By: state.Canceller.Name + up.Name}.of(err))
	return none, err
}

// obey cancels the actors that it is told to.
func (p *peer) obey(ctx context.Context, c *cluster.Child[cluster.None, string, string], _ cluster.None) (none cluster.None, err error) {
	defer func() { p.report(end{Task: "obey"}.of(context.Cause(ctx))) }()
	if err := c.Started(ctx, none); err != nil {
		return none, err
	}
	for name, err := range c.All(ctx) {
		if err != nil {
			return none, err
		}
		victim, err := p.node.Find(ctx, name)
		if err != nil {
			return none, err
		}
		err = victim.Cancel(ctx, errors.New("budget spent"))
		p.report(end{Task: "cancel"}.of(err))
		if err := c.Send(ctx, name); err != nil {
			return none, err
		}
	}
	return none, errors.New("the parent ended its stream")
}
