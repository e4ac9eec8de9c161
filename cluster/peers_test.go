package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/tandem-actors/tandem/cluster"
)

// common is the setup X of group D: root opens sleeper, just_caller and
// canceller; just_caller streams from sleeper; canceller cancels sleeper.
type common struct {
	*world
	root                            *cluster.Node
	sleeper, justCaller, canceller  *cluster.Portal
	sleeperCause, callerErr, killed chan error
	callerState                     chan *parent
}

func newCommon(w *world) *common {
	x := &common{
		world: w, root: w.node("root"),
		sleeperCause: make(chan error, 2), callerErr: make(chan error, 1), killed: make(chan error, 1),
		callerState: make(chan *parent, 1),
	}
	n1, n2, n3 := w.node("n1"), w.node("n2"), w.node("n3")
	count := cluster.Task[int, int, string, int, string]("count")
	w.spawn(n1, "sleeper",
		stream.Serve(func(ctx context.Context, c *child, arg int) (string, error) {
			defer func() { x.sleeperCause <- context.Cause(ctx) }()
			return started(ctx, c, arg)
		}),
		count.Serve(func(ctx context.Context, c *child, _ int) (string, error) {
			defer func() { x.sleeperCause <- context.Cause(ctx) }()
			if err := c.Started(ctx, 0); err != nil {
				return "", err
			}
			for range c.All(ctx) {
				if err := c.Send(ctx, 1); err != nil {
					return "", err
				}
			}
			return "", ctx.Err()
		}))
	w.spawn(n2, "just_caller", stream.Serve(func(ctx context.Context, c *child, _ int) (string, error) {
		p, err := n2.Find(ctx, "sleeper")
		if err != nil {
			return "", err
		}
		_, err = count.Open(ctx, p, 0, func(ctx context.Context, down *parent, _ int) error {
			x.callerState <- down
			if err := errors.Join(down.Send(ctx, "x"), c.Started(ctx, 0)); err != nil {
				return err
			}
			for _, err := range down.All(ctx) {
				if err == nil {
					err = down.Send(ctx, "x")
				}
				if err != nil {
					return err
				}
			}
			return errors.New("the stream ended without an error")
		})
		x.callerErr <- err
		return "", err
	}))
	w.spawn(n3, "canceller", stream.Serve(func(ctx context.Context, c *child, _ int) (string, error) {
		if err := c.Started(ctx, 0); err != nil {
			return "", err
		}
		for _, err := range c.All(ctx) { // Root says when.
			if err != nil {
				return "", err
			}
			p, err := n3.Find(ctx, "sleeper")
			if err != nil {
				return "", err
			}
			x.killed <- p.Cancel(ctx, cluster.ErrBusy)
		}
		<-ctx.Done()
		return "", ctx.Err()
	}))
	x.sleeper, x.justCaller, x.canceller = w.find(x.root, "sleeper"), w.find(x.root, "just_caller"), w.find(x.root, "canceller")
	return x
}

// run opens the three contexts from root, and calls handle with the error of
// the wait for the first.
func (x *common) run(handle func(error) error) (ctx1, ctx2, ctx3 *parent, err error) {
	_, err = stream.Open(x.ctx(), x.sleeper, 0, func(ctx context.Context, c *parent, _ int) error {
		ctx1 = c
		_, err := stream.Open(ctx, x.justCaller, 0, func(ctx context.Context, c *parent, _ int) error {
			ctx2 = c
			_, err := stream.Open(ctx, x.canceller, 0, func(ctx context.Context, c *parent, _ int) error {
				ctx3 = c
				if err := c.Send(ctx, "now"); err != nil {
					return err
				}
				_, err := ctx1.Result(x.ctx()) // Of ctx1, whichever of them ends first.
				return handle(err)
			})
			return err
		})
		return err
	})
	return ctx1, ctx2, ctx3, err
}

// D-01, D-03, D-04, D-05, C-34, K-08: a third party cancels an actor, and each
// who is linked to it knows by whom and why.
func TestPeers_D01_horizontalCancel(t *testing.T) {
	eachFabric(t, func(w *world) {
		x := newCommon(w)
		var waited, caller error
		ctx1, ctx2, ctx3, err := x.run(func(err error) error {
			waited, caller = err, within(w, "the end of just_caller", x.callerErr)
			return err
		})

		e, ok := errors.AsType[*cluster.Canceled](waited)
		if !ok || e.Canceller.Name != "canceller" || e.Source.Name != "sleeper" || !errors.Is(e, cluster.ErrBusy) {
			t.Errorf("D-01: root's wait raised %v", waited)
		}
		if !errors.Is(err, e) {
			t.Errorf("D-01: root ended with %v, want %v", err, e)
		}
		if s := ctx1.State(); s.Canceller.Name != "sleeper" || s.CancelCalled || s.CancelAcked || s.Failure != error(e) {
			t.Errorf("D-01: context with sleeper: %+v", s)
		}
		for name, c := range map[string]*parent{"just_caller": ctx2, "canceller": ctx3} {
			if s := c.State(); s.Failure == nil || (name == "canceller" && !s.CancelCalled) { // The other may have ended by the same wave.
				t.Errorf("C-34: context with %s: %+v, want it canceled and ended", name, s)
			}
		}

		if e, ok := errors.AsType[*cluster.Canceled](caller); !ok || e.Canceller.Name != "canceller" || e.Source.Name != "sleeper" || !errors.Is(e, cluster.ErrBusy) {
			t.Errorf("D-03: just_caller got %v", caller)
		}
		if s := (<-x.callerState).State(); s.CancelCalled || s.CancelAcked || s.Canceller.Name != "sleeper" {
			t.Errorf("D-03: just_caller's context: %+v", s)
		}
		for range 2 {
			if c, ok := errors.AsType[*cluster.Canceled](within(w, "the end of sleeper", x.sleeperCause)); !ok || c.Canceller.Name != "canceller" {
				t.Errorf("D-04: a task of sleeper has cause %v", c)
			}
		}
		if err := within(w, "the cancel", x.killed); err != nil {
			t.Errorf("D-05: the canceller's cancel: %v", err)
		}
	})
}

// D-02: root fails while it handles that.
func TestPeers_D02_rootFails(t *testing.T) {
	eachFabric(t, func(w *world) {
		ctx1, _, ctx3, err := newCommon(w).run(func(error) error { return errOwn })
		if !errors.Is(err, errOwn) || errors.As(err, new(*cluster.Canceled)) {
			t.Errorf("root ended with %v, want only its own failure", err)
		}
		if s := ctx1.State(); s.Canceller.Name != "sleeper" || s.CancelAcked {
			t.Errorf("context with sleeper: %+v", s)
		}
		if c, ok := errors.AsType[*cluster.Canceled](ctx3.State().Failure); !ok || c.Canceller.Name != "root" {
			t.Errorf("context with canceller: %+v", ctx3.State())
		}
	})
}

// chain opens root → mid → leaf, and calls act when all are up.
func chain(w *world, act func(ctx context.Context, c *parent, leaf, mid *cluster.Portal) error) (rootErr, midErr error, mid, leafCause error) {
	root, n1, n2 := w.node("root"), w.node("n1"), w.node("n2")
	leafEnd, midEnd, midCause := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	w.spawn(n2, "leaf", stream.Serve(func(ctx context.Context, c *child, arg int) (string, error) {
		defer func() { leafEnd <- context.Cause(ctx) }()
		return started(ctx, c, arg)
	}))
	w.spawn(n1, "mid", stream.Serve(func(ctx context.Context, c *child, _ int) (string, error) {
		p, err := n1.Find(ctx, "leaf")
		if err != nil {
			return "", err
		}
		_, err = stream.Open(ctx, p, 0, func(ctx context.Context, down *parent, _ int) error {
			if err := c.Started(ctx, 0); err != nil {
				return err
			}
			_, err := down.Result(ctx)
			return err
		})
		midEnd <- err
		midCause <- context.Cause(ctx)
		return "", err
	}))
	pMid := w.find(root, "mid")
	_, rootErr = stream.Open(w.ctx(), pMid, 0, func(ctx context.Context, c *parent, _ int) error {
		return act(ctx, c, w.find(root, "leaf"), pMid)
	})
	return rootErr, within(w, "the end of mid", midEnd), within(w, "mid's cause", midCause), within(w, "the end of leaf", leafEnd)
}

// D-06: attribution through a relay, with the source kept.
func TestPeers_D06_attributionThroughARelay(t *testing.T) {
	eachFabric(t, func(w *world) {
		killer := w.node("killer")
		err, mid, _, leaf := chain(w, func(ctx context.Context, _ *parent, _, _ *cluster.Portal) error {
			if err := w.find(killer, "leaf").Cancel(ctx, nil); err != nil {
				w.Errorf("cancel: %v", err)
			}
			<-ctx.Done()
			return ctx.Err()
		})
		for name, tt := range map[string]struct {
			err  error
			path string
		}{"root": {err, "[leaf@n2 mid@n1]"}, "mid": {mid, "[leaf@n2]"}, "leaf": {leaf, "[]"}} {
			c, ok := errors.AsType[*cluster.Canceled](tt.err)
			if !ok || !c.Canceller.Equal(killer.ID()) || c.Source.Name != "leaf" || fmt.Sprint(c.Path) != tt.path {
				t.Errorf("%s: %v (%+v), want killer as the canceller and path %s", name, tt.err, c, tt.path)
			}
		}
	})
}

// D-07: a cancel flows down a chain, one canceller for each hop.
func TestPeers_D07_cancelFlowsDown(t *testing.T) {
	eachFabric(t, func(w *world) {
		err, _, mid, leaf := chain(w, func(ctx context.Context, c *parent, _, _ *cluster.Portal) error {
			c.Cancel(ctx, errOwn)
			return nil
		})
		if err != nil {
			t.Errorf("root: %v, want its own cancel absorbed", err)
		}
		if c, ok := errors.AsType[*cluster.Canceled](mid); !ok || c.Canceller.Name != "root" || c.Hop != 1 {
			t.Errorf("mid: %v (%+v)", mid, c)
		}
		c, ok := errors.AsType[*cluster.Canceled](leaf)
		if !ok || c.Canceller.Name != "mid" || c.Hop != 2 {
			t.Fatalf("leaf: %v (%+v)", leaf, c)
		}
		if up, ok := errors.AsType[*cluster.Canceled](c.Cause); !ok || up.Canceller.Name != "root" || up.Reason() != errOwn.Error() || up.Wave != c.Wave {
			t.Errorf("leaf's root cause is %v, want root's", c.Cause)
		}
	})
}

// D-08: the same by canceling the whole actor in the middle; root did not ask
// for that on its context, so it is raised.
func TestPeers_D08_actorCancelFlowsDown(t *testing.T) {
	eachFabric(t, func(w *world) {
		err, _, _, leaf := chain(w, func(ctx context.Context, _ *parent, _, mid *cluster.Portal) error {
			if err := mid.Cancel(ctx, nil); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if c, ok := errors.AsType[*cluster.Canceled](err); !ok || c.Canceller.Name != "root" || c.Source.Name != "mid" {
			t.Errorf("root: %v", err)
		}
		if c, ok := errors.AsType[*cluster.Canceled](leaf); !ok || c.Canceller.Name != "mid" {
			t.Errorf("leaf: %v", leaf)
		}
	})
}

// D-14, D-17: an actor that cancels itself does not wait for itself, and every
// opener is told.
func TestPeers_D17_actorCancelsItself(t *testing.T) {
	eachFabric(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		w.spawn(a, "actor", stream.Serve(func(ctx context.Context, c *child, arg int) (string, error) {
			p, err := a.Find(ctx, "actor")
			if err != nil {
				return "", err
			}
			if err := errors.Join(c.Started(ctx, 1), p.Cancel(ctx, nil)); err != nil {
				return "", err
			}
			<-ctx.Done()
			return "", ctx.Err()
		}))
		_, err := stream.Open(w.ctx(), w.find(b, "actor"), 0, func(ctx context.Context, _ *parent, _ int) error { <-ctx.Done(); return ctx.Err() })
		if c, ok := errors.AsType[*cluster.Canceled](err); !ok || c.Canceller.Name != "actor" {
			t.Errorf("got %v, want it canceled by itself", err)
		}
	})
}

// D-16, D-12: fifty openers, two cancellers: one wins, and all are told the
// same.
func TestPeers_D16_allOpenersAreTold(t *testing.T) {
	eachFabric(t, func(w *world) {
		a, b, c := w.node("a"), w.node("b"), w.node("c")
		w.spawn(a, "actor", stream.Serve(started))
		var up, all sync.WaitGroup
		errs := make(chan error, 50)
		for i := range 50 {
			p := w.find([]*cluster.Node{b, c}[i%2], "actor")
			up.Add(1)
			all.Go(func() {
				_, err := stream.Open(w.ctx(), p, 0, func(ctx context.Context, _ *parent, _ int) error {
					up.Done()
					<-ctx.Done()
					return ctx.Err()
				})
				errs <- err
			})
		}
		up.Wait()
		cancels := make(chan error, 2)
		for _, p := range []*cluster.Portal{w.find(b, "actor"), w.find(c, "actor")} {
			all.Go(func() { cancels <- p.Cancel(w.ctx(), nil) })
		}
		all.Wait()
		var by string
		for range 50 {
			canceled, ok := errors.AsType[*cluster.Canceled](<-errs)
			if !ok {
				t.Fatal("an opener was not told of the cancel")
			}
			if by == "" {
				by = canceled.Canceller.Name
			}
			if canceled.Canceller.Name != by {
				t.Errorf("openers were told of %q and of %q", by, canceled.Canceller.Name)
			}
		}
		if one, two := <-cancels, <-cancels; (one == nil) == (two == nil) {
			t.Errorf("the cancels returned %v and %v, want exactly one to be first", one, two)
		}
	})
}

// H-02 to H-09: a node vanishes while its peers wait, read, sleep or send, in
// both roles.
func TestPeers_H02_nodeVanishes(t *testing.T) {
	for name, wait := range map[string]func(ctx context.Context, c *parent) error{
		"H02 in result": func(ctx context.Context, c *parent) error { _, err := c.Result(ctx); return err },
		"H03 in read": func(ctx context.Context, c *parent) error {
			for _, err := range c.All(ctx) {
				return err
			}
			return errors.New("a clean end")
		},
		"H04 in a sleep": func(ctx context.Context, _ *parent) error { <-ctx.Done(); return context.Cause(ctx) },
		"H06 in send": func(ctx context.Context, c *parent) error {
			for {
				if err := c.Send(ctx, "x"); err != nil {
					return err
				}
				for _, err := range c.All(ctx) {
					if err != nil {
						return err
					}
					break
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachFabric(t, func(w *world) {
				a, b := w.node("a"), w.node("b")
				w.spawn(a, "actor", stream.Serve(func(ctx context.Context, c *child, _ int) (string, error) {
					if err := c.Started(ctx, 0); err != nil {
						return "", err
					}
					for range c.All(ctx) {
						if err := c.Send(ctx, 1); err != nil {
							return "", err
						}
					}
					return "", ctx.Err()
				}))
				_, err := stream.Open(w.ctx(), w.find(b, "actor"), 0, func(ctx context.Context, c *parent, _ int) error {
					w.crash(a)
					return wait(ctx, c)
				})
				if l, ok := errors.AsType[*cluster.LinkLost](err); !ok || l.Peer.Name != "a" || errors.Is(err, context.Canceled) {
					t.Errorf("got %v, want LinkLost", err)
				}
			})
		})
	}
}

// H-07, H-08: the opener's node vanishes: the task ends with LinkLost, and the
// actor serves others.
func TestPeers_H07_openerVanishes(t *testing.T) {
	eachFabric(t, func(w *world) {
		a, b, c := w.node("a"), w.node("b"), w.node("c")
		ends := make(chan error, 1)
		w.spawn(a, "actor", serveDouble(), stream.Serve(func(ctx context.Context, c *child, _ int) (string, error) {
			err := c.Started(ctx, 0)
			for _, e := range c.All(ctx) {
				err = e
			}
			ends <- err
			return "", err
		}))
		_, err := stream.Open(w.ctx(), w.find(b, "actor"), 0, func(context.Context, *parent, int) error {
			w.crash(b)
			if l, ok := errors.AsType[*cluster.LinkLost](within(w, "the end of the task", ends)); !ok || l.Peer.Name != "b" {
				t.Errorf("the task's stream ended with %v, want LinkLost", l)
			}
			return nil
		})
		if err == nil {
			t.Error("the opener on the lost node was told nothing")
		}
		stillServes(w, w.find(c, "actor"))
	})
}
