package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/tandem-actors/tandem/cluster"
	actorcontext "github.com/tandem-actors/tandem/context"
)

const stream = cluster.Task[int, int, string, int, string]("stream")

type (
	child  = cluster.Child[int, string, int]
	parent = cluster.Parent[string, int, string]
)

var errOwn = errors.New("own failure")

// open spawns an actor with one endpoint on node a and opens it from node b.
// It returns what Open returned, and the child's last word.
func open(w *world, serve func(ctx context.Context, c *child, arg int) (string, error), body func(ctx context.Context, c *parent, first int) error) (ret string, ended actorcontext.Snapshot, err error) {
	w.Helper()
	a, b := w.node("a"), w.node("b")
	last := make(chan actorcontext.Snapshot, 1)
	w.spawn(a, "actor", serveDouble(), stream.Serve(func(ctx context.Context, c *child, arg int) (string, error) {
		defer func() { last <- c.State() }()
		return serve(ctx, c, arg)
	}))
	p := w.find(b, "actor")
	ret, err = stream.Open(w.ctx(), p, 10, body)
	select {
	case ended = <-last:
	default:
		w.Error("Open returned before the endpoint had ended")
	}
	stillServes(w, p)
	return ret, ended, err
}

// started starts and waits for the end.
func started(ctx context.Context, c *child, _ int) (string, error) {
	if err := c.Started(ctx, 1); err != nil {
		return "", err
	}
	<-ctx.Done()
	return "", ctx.Err()
}

func TestContext_B01_happyPath(t *testing.T) {
	eachFabric(t, func(w *world) {
		ret, _, err := open(w, func(ctx context.Context, c *child, arg int) (string, error) {
			return "yo", c.Started(ctx, arg+1)
		}, func(ctx context.Context, c *parent, first int) error {
			if first != 11 {
				w.Errorf("first value %d, want 11", first)
			}
			for range 2 { // B-03
				if ret, err := c.Result(ctx); ret != "yo" || err != nil {
					w.Errorf("Result() = %q, %v", ret, err)
				}
			}
			return nil
		})
		if ret != "yo" || err != nil {
			w.Errorf("got %q, %v, want yo", ret, err)
		}
	})
}

// B-05 to B-10: what happens before the block.
func TestContext_B09_beforeStarted(t *testing.T) {
	for name, tt := range map[string]struct {
		serve func(ctx context.Context, c *child, arg int) (string, error)
		want  error
	}{
		"B08 fails":   {func(context.Context, *child, int) (string, error) { return "", cluster.ErrBusy }, cluster.ErrBusy},
		"B09 returns": {func(context.Context, *child, int) (string, error) { return "early", nil }, cluster.ErrNotStarted},
		"B07 streams": {func(ctx context.Context, c *child, _ int) (string, error) { return "", c.Send(ctx, 1) }, cluster.ErrMisuse},
	} {
		t.Run(name, func(t *testing.T) {
			eachFabric(t, func(w *world) {
				_, _, err := open(w, tt.serve, func(context.Context, *parent, int) error {
					w.Error("the block was entered")
					return nil
				})
				if r, ok := errors.AsType[*cluster.RemoteError](err); !ok || !errors.Is(err, tt.want) || r.Source.Name != "actor" {
					w.Errorf("got %v, want %v of the actor's", err, tt.want)
				}
			})
		})
	}
}

func TestContext_B06_startedTwiceIsMisuse(t *testing.T) {
	eachFabric(t, func(w *world) {
		_, _, err := open(w, func(ctx context.Context, c *child, _ int) (string, error) {
			return "", errors.Join(c.Started(ctx, 1), c.Started(ctx, 2))
		}, func(ctx context.Context, _ *parent, _ int) error { <-ctx.Done(); return ctx.Err() })
		if !errors.Is(err, cluster.ErrMisuse) {
			w.Errorf("got %v, want ErrMisuse", err)
		}
	})
}

// C-01, C-02, C-14: my own cancel is absorbed, and known on both sides.
func TestContext_C01_ownCancelIsAbsorbed(t *testing.T) {
	eachFabric(t, func(w *world) {
		var p *parent
		causes := make(chan error, 1)
		ret, ended, err := open(w, func(ctx context.Context, c *child, arg int) (string, error) {
			defer func() { causes <- context.Cause(ctx) }()
			return started(ctx, c, arg)
		}, func(ctx context.Context, c *parent, _ int) error {
			p = c
			c.Cancel(ctx, errOwn)
			c.Cancel(ctx, nil) // C-09
			_, err := c.Result(context.WithoutCancel(ctx))
			if canceled, ok := errors.AsType[*cluster.Canceled](err); !ok || canceled.Canceller.Name != "b" || canceled.Source.Name != "actor" {
				w.Errorf("C-02: Result: %v, want the cancel as a value", err)
			}
			return nil
		})
		if ret != "" || err != nil {
			w.Errorf("got %q, %v, want nothing", ret, err)
		}
		if s := p.State(); !s.CancelCalled || !s.CancelAcked || s.Canceller.Name != "b" || s.Returned {
			w.Errorf("parent: %+v", s)
		}
		if ended.Canceller.Name != "b" || ended.CancelCalled || ended.Failure != nil {
			w.Errorf("child: %+v", ended)
		}
		cause := <-causes
		if c, ok := errors.AsType[*cluster.Canceled](cause); !ok || c.Canceller.Name != "b" || c.Reason() != errOwn.Error() {
			w.Errorf("the child's cause is %v", cause)
		}
	})
}

// C-04: a cancel after the end changes nothing.
func TestContext_C04_cancelAfterTheEnd(t *testing.T) {
	eachFabric(t, func(w *world) {
		ret, _, err := open(w, func(ctx context.Context, c *child, _ int) (string, error) {
			return "yo", c.Started(ctx, 1)
		}, func(ctx context.Context, c *parent, _ int) error {
			_, err := c.Result(ctx)
			c.Cancel(ctx, nil)
			return err
		})
		if ret != "yo" || err != nil {
			w.Errorf("got %q, %v, want yo", ret, err)
		}
	})
}

// C-05, C-08: canceling the whole actor is not the same as canceling the
// context, even by the same task.
func TestContext_C05_actorCancelIsRaised(t *testing.T) {
	eachFabric(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		w.spawn(a, "actor", stream.Serve(started))
		p := w.find(b, "actor")
		var handle *parent
		_, err := stream.Open(w.ctx(), p, 1, func(ctx context.Context, c *parent, _ int) error {
			handle = c
			if err := p.Cancel(ctx, nil); err != nil {
				w.Errorf("cancel: %v", err)
			}
			<-ctx.Done()
			return ctx.Err()
		})
		c, ok := errors.AsType[*cluster.Canceled](err)
		if !ok || !c.Canceller.Equal(b.ID()) || handle.State().CancelCalled || handle.State().CancelAcked {
			w.Errorf("got %v, %+v, want my own cancel raised", err, handle.State())
		}
		// C-32, A-05
		if err := p.Cancel(w.ctx(), nil); !errors.Is(err, cluster.ErrNotFound) {
			w.Errorf("second cancel: %v, want ErrNotFound", err)
		}
		if _, err := b.Find(w.ctx(), "actor"); !errors.Is(err, cluster.ErrNotFound) {
			w.Errorf("find: %v, want ErrNotFound", err)
		}
	})
}

// C-13, C-07: a cancel by another task of mine interrupts the block.
func TestContext_C07_outOfBandCancel(t *testing.T) {
	eachFabric(t, func(w *world) {
		_, _, err := open(w, started, func(ctx context.Context, c *parent, _ int) error {
			go c.Cancel(ctx, nil)
			for range c.All(ctx) {
			}
			<-ctx.Done()
			return context.Cause(ctx)
		})
		if err != nil {
			w.Errorf("got %v, want nothing", err)
		}
	})
}

// C-20: an error beats an ack. C-23: mine and theirs are both in what I get.
func TestContext_C23_bothFailures(t *testing.T) {
	for _, own := range []error{nil, errOwn} {
		eachFabric(t, func(w *world) {
			_, _, err := open(w, func(ctx context.Context, c *child, arg int) (string, error) {
				_, _ = started(ctx, c, arg)
				return "", cluster.ErrBusy
			}, func(ctx context.Context, c *parent, _ int) error {
				c.Cancel(ctx, nil)
				return own
			})
			if !errors.Is(err, cluster.ErrBusy) || (own != nil && !errors.Is(err, own)) {
				w.Errorf("got %v, want %v and ErrBusy", err, own)
			}
		})
	}
}

// C-22: my failure cancels the child and is raised unchanged.
func TestContext_C22_myFailure(t *testing.T) {
	eachFabric(t, func(w *world) {
		var p *parent
		_, ended, err := open(w, started, func(_ context.Context, c *parent, _ int) error { p = c; return errOwn })
		if err != errOwn {
			w.Errorf("got %v, want it unchanged", err)
		}
		if s := p.State(); !s.CancelCalled || !s.CancelAcked || ended.Canceller.Name != "b" {
			w.Errorf("parent %+v, child %+v", s, ended)
		}
	})
}

// C-37: the parent's scope ends while Open drains.
func TestContext_C37_scopeEndsInTheDrain(t *testing.T) {
	eachFabric(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		w.spawn(a, "actor", stream.Serve(started))
		p := w.find(b, "actor")
		ctx, cancel := context.WithCancelCause(w.ctx())
		var handle *parent
		_, err := stream.Open(ctx, p, 1, func(_ context.Context, c *parent, _ int) error {
			handle = c
			cancel(errOwn)
			return nil
		})
		if err != errOwn || !handle.State().CancelAcked {
			w.Errorf("got %v, %+v, want the scope's cause and an acked cancel", err, handle.State())
		}
	})
}

// A body that panics leaves no child behind.
func TestContext_panicInTheBodyEndsTheChild(t *testing.T) {
	eachFabric(t, func(w *world) {
		defer func() {
			if v := recover(); v != "ouch" {
				w.Errorf("recovered %v, want the body's panic", v)
			}
		}()
		_, _, _ = open(w, started, func(context.Context, *parent, int) error { panic("ouch") })
	})
}

// E-01, E-03, E-10: a dialog, graceful ends, everything delivered in order.
func TestStream_E01_pingPong(t *testing.T) {
	eachFabric(t, func(w *world) {
		ret, _, err := open(w, func(ctx context.Context, c *child, _ int) (string, error) {
			if err := c.Started(ctx, 0); err != nil {
				return "", err
			}
			n := 0
			for s, err := range c.All(ctx) {
				if err != nil {
					return "", err
				}
				n += len(s)
				if err := c.Send(ctx, n); err != nil {
					return "", err
				}
			}
			return fmt.Sprint(n), nil
		}, func(ctx context.Context, c *parent, _ int) error {
			for i := range 100 {
				if err := c.Send(ctx, "x"); err != nil {
					return err
				}
				for got, err := range c.All(ctx) {
					if got != i+1 || err != nil {
						return fmt.Errorf("round %d: got %d, %w", i, got, err)
					}
					break
				}
			}
			if err := errors.Join(c.CloseSend(ctx), c.CloseSend(ctx)); err != nil { // E-05
				return err
			}
			if err := c.Send(ctx, "x"); !errors.Is(err, cluster.ErrClosed) {
				return fmt.Errorf("send after the close: %w", err)
			}
			return nil
		})
		if ret != "100" || err != nil {
			w.Errorf("got %q, %v, want 100", ret, err)
		}
	})
}

// E-10, E-12: what was sent before an end is delivered to who can still read.
func TestStream_E12_dataBeforeTheError(t *testing.T) {
	for _, failure := range []error{nil, cluster.ErrBusy} {
		eachFabric(t, func(w *world) {
			var got []int
			_, _, err := open(w, func(ctx context.Context, c *child, _ int) (string, error) {
				err := c.Started(ctx, 0)
				for range c.All(ctx) { // The parent is in its block.
					break
				}
				for i := range 50 {
					err = errors.Join(err, c.Send(ctx, i))
				}
				return "", errors.Join(err, failure)
			}, func(ctx context.Context, c *parent, _ int) error {
				if err := c.Send(ctx, "go"); err != nil {
					return err
				}
				_, _ = c.Result(context.WithoutCancel(ctx))
				for i, err := range c.All(context.WithoutCancel(ctx)) {
					if err != nil {
						return err
					}
					got = append(got, i)
				}
				return nil
			})
			if !errors.Is(err, failure) || len(got) != 50 || !slices.IsSorted(got) {
				w.Errorf("got %d values, then %v, want 50, then %v", len(got), err, failure)
			}
		})
	}
}

// E-11: an error interrupts who is busy with something else.
func TestStream_E11_errorInterruptsTheBlock(t *testing.T) {
	eachFabric(t, func(w *world) {
		_, _, err := open(w, func(ctx context.Context, c *child, _ int) (string, error) {
			return "", errors.Join(c.Started(ctx, 0), c.Send(ctx, 1), cluster.ErrBusy)
		}, func(ctx context.Context, c *parent, _ int) error {
			<-ctx.Done()
			for _, err := range c.All(ctx) {
				if !errors.Is(err, cluster.ErrBusy) {
					w.Errorf("read after the error: %v", err)
				}
			}
			return ctx.Err()
		})
		if !errors.Is(err, cluster.ErrBusy) {
			w.Errorf("got %v, want ErrBusy", err)
		}
	})
}

// E-17: a consumer's cancel is not a clean end to the producer's peer.
func TestStream_E17_cancelIsNotACleanEnd(t *testing.T) {
	eachFabric(t, func(w *world) {
		ends := make(chan error, 1)
		_, _, err := open(w, func(ctx context.Context, c *child, _ int) (string, error) {
			if err := c.Started(ctx, 0); err != nil {
				return "", err
			}
			for _, err := range c.All(ctx) {
				ends <- err
				return "", err
			}
			ends <- nil
			return "", nil
		}, func(ctx context.Context, c *parent, _ int) error { c.Cancel(ctx, nil); return nil })
		if end := within(w, "the end of the stream", ends); err != nil || !errors.As(end, new(*cluster.Canceled)) {
			w.Errorf("the child's stream ended with %v, Open with %v", end, err)
		}
	})
}

// E-28, H-22: a value that does not fit its type, or the fabric.
func TestStream_E28_badMessages(t *testing.T) {
	eachFabric(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		wrong := cluster.Task[int, int, int, int, string](stream)
		w.spawn(a, "actor", stream.Serve(func(ctx context.Context, c *child, _ int) (string, error) {
			if err := c.Started(ctx, 0); err != nil {
				return "", err
			}
			for _, err := range c.All(ctx) {
				if err != nil {
					return "", err
				}
			}
			return "", nil
		}))
		p := w.find(b, "actor")
		_, err := wrong.Open(w.ctx(), p, 1, func(ctx context.Context, c *cluster.Parent[int, int, string], _ int) error {
			return c.Send(ctx, 5)
		})
		if bad, ok := errors.AsType[*cluster.BadMessage](err); !ok || bad.What != "message" || bad.Want != "string" {
			w.Errorf("wrong type: %v", err)
		}
		_, err = stream.Open(w.ctx(), p, 1, func(ctx context.Context, c *parent, _ int) error {
			if err := c.Send(ctx, string(make([]byte, 2<<20))); !errors.As(err, new(*cluster.TooLarge)) {
				w.Errorf("oversize: %v", err)
			}
			return errors.Join(c.Send(ctx, "the context goes on"), c.CloseSend(ctx))
		})
		if err != nil {
			w.Errorf("after the oversize message: %v", err)
		}
	})
}

// F-01, F-02, F-14: too much for the reader's buffer is one Overrun, which
// names both sides, and the endpoint has ended.
func TestStream_F01_overrun(t *testing.T) {
	flood := func(send func(i int) error) error {
		for i := range 10_000 {
			if err := send(i); err != nil {
				return err
			}
		}
		return nil
	}
	for _, up := range []bool{false, true} {
		eachFabric(t, func(w *world) {
			_, _, err := open(w, func(ctx context.Context, c *child, _ int) (string, error) {
				if err := c.Started(ctx, 0); err != nil {
					return "", err
				}
				if up {
					if err := flood(func(i int) error { return c.Send(ctx, i) }); err != nil {
						return "", err
					}
				}
				<-ctx.Done()
				return "", context.Cause(ctx)
			}, func(ctx context.Context, c *parent, _ int) error {
				if !up {
					if err := flood(func(int) error { return c.Send(ctx, "x") }); err != nil {
						return err
					}
				}
				<-ctx.Done()
				return context.Cause(ctx)
			})
			o, ok := errors.AsType[*cluster.Overrun](err)
			if !ok || o.Capacity != 64 || o.Endpoint != "stream" || (o.Sender.Name == "actor") != up {
				w.Errorf("got %v, want an Overrun", err)
			}
		})
	}
}
