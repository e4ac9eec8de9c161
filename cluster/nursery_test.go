package cluster_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tandem-actors/tandem/cluster"
)

// G-01, G-02: the first failure cancels the rest, and is raised as it is.
func TestNursery_G02_firstFailureCancelsTheRest(t *testing.T) {
	eachFabric(t, func(w *world) {
		n, other := w.node("a"), w.node("b")
		var p *cluster.Portal
		ended := make(chan error, 1)
		err := n.Nursery(w.ctx(), func(ctx context.Context, nursery *cluster.Nursery) (err error) {
			p, err = nursery.Spawn(ctx, "actor", stream.Serve(func(ctx context.Context, c *child, arg int) (string, error) {
				defer func() { ended <- context.Cause(ctx) }()
				return started(ctx, c, arg)
			}))
			if err != nil {
				return err
			}
			up := make(chan struct{})
			nursery.Go(func(ctx context.Context) error {
				_, err := stream.Open(ctx, p, 0, func(ctx context.Context, _ *parent, _ int) error { close(up); <-ctx.Done(); return ctx.Err() })
				return err
			})
			nursery.Go(func(context.Context) error { within(w, "the open", up); return errOwn })
			return nil
		})
		if err != errOwn {
			w.Errorf("got %v, want only %v", err, errOwn)
		}
		if c, ok := errors.AsType[*cluster.Canceled](within(w, "the end of the task", ended)); !ok || c.Canceller.Name != "a" || c.Reason() != errOwn.Error() {
			w.Errorf("the task's cause is %v", c)
		}
		if _, err := other.Find(w.ctx(), "actor"); !errors.Is(err, cluster.ErrNotFound) {
			w.Errorf("the actor is still there: %v", err)
		}
	})
}

// G-03: one failure is reported once; two are joined.
func TestNursery_G03_failuresAreJoinedOnce(t *testing.T) {
	eachFabric(t, func(w *world) {
		n := w.node("a")
		second := errors.New("second")
		err := n.Nursery(w.ctx(), func(ctx context.Context, nursery *cluster.Nursery) error {
			nursery.Go(func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) })
			nursery.Go(func(ctx context.Context) error { <-ctx.Done(); return second })
			return errOwn
		})
		if !errors.Is(err, errOwn) || !errors.Is(err, second) || err.Error() != "own failure\nsecond" {
			w.Errorf("got %v, want both, each once", err)
		}
	})
}

// G-07, G-08: an actor lasts until it is canceled; my own cancel is absorbed.
func TestNursery_G08_ownCancelIsAbsorbed(t *testing.T) {
	eachFabric(t, func(w *world) {
		n := w.node("a")
		err := n.Nursery(w.ctx(), func(ctx context.Context, nursery *cluster.Nursery) error {
			p, err := nursery.Spawn(ctx, "actor", serveDouble())
			if err != nil {
				return err
			}
			stillServes(w, p)
			nursery.Cancel(nil)
			return nil
		})
		if err != nil {
			w.Errorf("got %v, want nothing", err)
		}
		err = n.Nursery(w.ctx(), func(ctx context.Context, nursery *cluster.Nursery) error {
			p, err := nursery.Spawn(ctx, "actor", serveDouble())
			if err != nil {
				return err
			}
			return p.Cancel(ctx, nil)
		})
		if err != nil {
			w.Errorf("the actor canceled by its owner: %v, want nothing", err)
		}
	})
}

// Absorption, for actors: somebody else's cancel is raised.
func TestNursery_anothersCancelIsRaised(t *testing.T) {
	eachFabric(t, func(w *world) {
		n, other := w.node("a"), w.node("b")
		err := n.Nursery(w.ctx(), func(ctx context.Context, nursery *cluster.Nursery) error {
			if _, err := nursery.Spawn(ctx, "actor", serveDouble()); err != nil {
				return err
			}
			return w.find(other, "actor").Cancel(ctx, errOwn)
		})
		if c, ok := errors.AsType[*cluster.Canceled](err); !ok || !c.Canceller.Equal(other.ID()) || c.Reason() != errOwn.Error() {
			w.Errorf("got %v, want the cancel by b", err)
		}
	})
}

// The scope's own ctx ends it, and says why.
func TestNursery_scopeEnds(t *testing.T) {
	eachFabric(t, func(w *world) {
		n := w.node("a")
		ctx, cancel := context.WithCancelCause(w.ctx())
		err := n.Nursery(ctx, func(ctx context.Context, nursery *cluster.Nursery) error {
			_, err := nursery.Spawn(ctx, "actor", serveDouble())
			cancel(errOwn)
			return err
		})
		if err != errOwn {
			w.Errorf("got %v, want the cause of the scope's ctx", err)
		}
	})
}

// A body that panics leaves nothing behind.
func TestNursery_panicEndsAll(t *testing.T) {
	eachFabric(t, func(w *world) {
		n := w.node("a")
		func() {
			defer func() { _ = recover() }()
			_ = n.Nursery(w.ctx(), func(ctx context.Context, nursery *cluster.Nursery) error {
				if _, err := nursery.Spawn(ctx, "actor", serveDouble()); err != nil {
					return err
				}
				panic("ouch")
			})
		}()
		if _, actors, _ := n.Tables(); actors != 0 {
			w.Errorf("%d actors are left", actors)
		}
	})
}
