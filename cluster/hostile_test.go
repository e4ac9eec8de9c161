package cluster_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tandem-actors/tandem/cluster"
	actorcontext "github.com/tandem-actors/tandem/context"
	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/identity"
)

// Errors as careless programs make them.
type (
	nilError   struct{ text string } // Its methods panic on a nil pointer.
	sliceError []string              // It cannot be compared.
	falseLabel struct{ C chan int }  // It claims a label of ours, and cannot be encoded.
	panicIs    struct{}
)

func (e *nilError) Error() string     { return e.text }
func (e *nilError) String() string    { return e.text }
func (e sliceError) Error() string    { return strings.Join(e, ",") }
func (*falseLabel) Error() string     { return "mine" }
func (*falseLabel) ErrorType() string { return "overrun" }
func (*panicIs) Error() string        { return "x" }
func (*panicIs) Is(error) bool        { panic("ouch") }

// I-13, I-15, H-17: whatever an endpoint, a body or a canceller comes up with
// arrives as an error, and the node lives on.
func TestHostile_errors(t *testing.T) {
	var none *nilError
	for name, bad := range map[string]error{
		"nil pointer": none, "cannot be compared": sliceError{"a"}, "false label": &falseLabel{}, "panicking Is": &panicIs{},
		"no UTF-8": errors.New("open caf\xe9"), "long": errors.New("x" + strings.Repeat("é", 40<<10)),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				a, b := w.node("a"), w.node("b")
				w.spawn(a, "actor", serveDouble(), stream.Serve(started),
					cluster.Func[int, int]("return").Serve(func(context.Context, int) (int, error) { return 0, bad }),
					cluster.Func[int, int]("panic").Serve(func(context.Context, int) (int, error) { panic(bad) }))
				p := w.find(b, "actor")
				for _, endpoint := range []string{"return", "panic"} {
					if _, err := cluster.Func[int, int](endpoint).Call(w.ctx(), p, 1); !errors.As(err, new(*cluster.RemoteError)) {
						t.Errorf("%s: %v, want a RemoteError", endpoint, err)
					}
				}
				for what, body := range map[string]func(ctx context.Context, c *parent, _ int) error{
					"body":   func(context.Context, *parent, int) error { return bad },
					"cancel": func(ctx context.Context, c *parent, _ int) error { c.Cancel(ctx, bad); return nil },
				} {
					if _, err := stream.Open(w.ctx(), p, 1, body); (err == nil) != (what == "cancel") {
						t.Errorf("%s: %v", what, err)
					}
				}
				err := a.Nursery(w.ctx(), func(ctx context.Context, nursery *cluster.Nursery) error {
					nursery.Go(func(context.Context) error { return bad })
					<-ctx.Done()
					return bad
				})
				if err == nil {
					t.Error("nursery: no error")
				}
				stillServes(w, p)
				if err := p.Cancel(w.ctx(), bad); err != nil {
					t.Errorf("cancel of the actor: %v", err)
				}
			})
		})
	}
}

// A-42, B-23: names that could not be passed on are refused.
func TestHostile_names(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b, stranger := w.node("a"), w.node("b"), w.node("stranger")
		w.spawn(a, "actor", serveDouble())
		p := w.find(b, "actor")
		for _, caller := range []identity.ActorID{
			{Name: "\xff", UUID: identity.New(), Node: stranger.ID().Node},
			{Name: "b", UUID: b.ID().UUID, Node: b.ID().Node},
			{},
		} {
			stranger.Raw(a, &actorcontext.Message{
				Kind: actorcontext.Kill, Context: identity.New(), Target: p.ID().UUID, Caller: caller,
				Payload: fault.Marshal(&cluster.Canceled{Canceller: stranger.ID()}, stranger.ID()),
			})
		}
		time.Sleep(time.Second)
		stillServes(w, p)
	})
}

// K-09: nobody cancels in another's name.
func TestHostile_K09_cancelInAnothersName(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b, victim := w.node("a"), w.node("b"), w.node("victim")
		_, childErr := linkedBy(w, a, b, func(c *parent) {
			b.Raw(a, &actorcontext.Message{
				Kind: actorcontext.Cancel, Context: c.ContextID(),
				Payload: fault.Marshal(&cluster.Canceled{Canceller: victim.ID()}, victim.ID()),
			})
		})
		if c, ok := errors.AsType[*cluster.Canceled](childErr); !ok || !c.Canceller.Equal(b.ID()) {
			t.Errorf("the child was canceled by %v, want by b", childErr)
		}
	})
}

// C-20, C-21, R10: a failure is not lost for being joined with a cancel.
func TestHostile_C21_joinedFailures(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b, c := w.node("a"), w.node("b"), w.node("c")
		w.spawn(a, "actor", stream.Serve(func(ctx context.Context, c *child, arg int) (string, error) {
			_, err := started(ctx, c, arg)
			return "", errors.Join(err, context.Cause(ctx), cluster.ErrBusy)
		}))
		w.spawn(b, "relay", stream.Serve(func(ctx context.Context, c *child, _ int) (string, error) {
			p, err := b.Find(ctx, "actor")
			if err != nil {
				return "", err
			}
			_, err = stream.Open(ctx, p, 1, func(ctx context.Context, _ *parent, _ int) error {
				if err := c.Started(ctx, 1); err != nil {
					return err
				}
				<-ctx.Done()
				return ctx.Err()
			})
			return "", err
		}))
		for _, name := range []string{"actor", "relay"} {
			_, err := stream.Open(w.ctx(), w.find(c, name), 1, func(ctx context.Context, c *parent, _ int) error {
				c.Cancel(ctx, nil)
				_, err := c.Result(context.WithoutCancel(ctx))
				return errors.Join(errOwn, err)
			})
			if !errors.Is(err, cluster.ErrBusy) || !errors.Is(err, errOwn) {
				t.Errorf("%s: %v, want ErrBusy and my own failure", name, err)
			}
		}
	})
}

// B-11, C-26: my deadline is plain, though the child had it, too.
func TestCall_C26_deadlineIsPlain(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		w.spawn(a, "actor", double.Serve(func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, ctx.Err() }))
		p := w.find(b, "actor")
		for range 20 {
			ctx, cancel := context.WithTimeout(w.ctx(), time.Second)
			if _, err := double.Call(ctx, p, 1); err != context.DeadlineExceeded {
				t.Errorf("got %v, want only the deadline", err)
			}
			cancel()
		}
	})
}

// F-04: an overrun is not lost with the result that comes after it; but what
// comes when the block has ended is for nobody (E-15).
func TestStream_F04_overrunBeforeTheResult(t *testing.T) {
	for _, late := range []bool{false, true} {
		inBubble(t, func(w *world) {
			ret, err := openFlood(w, late)
			if overrun := errors.As(err, new(*cluster.Overrun)); overrun == late || (late && ret != "yo") {
				t.Errorf("after the block %v: got %q, %v", late, ret, err)
			}
		})
	}
}

func openFlood(w *world, late bool) (string, error) {
	a, b := w.node("a"), w.node("b")
	w.spawn(a, "actor", stream.Serve(func(ctx context.Context, c *child, _ int) (string, error) {
		err := c.Started(ctx, 1)
		if late {
			time.Sleep(time.Second)
		}
		for i := range 200 {
			err = errors.Join(err, c.Send(ctx, i))
		}
		return "yo", err
	}))
	return stream.Open(w.ctx(), w.find(b, "actor"), 1, func(context.Context, *parent, int) error {
		if !late {
			time.Sleep(time.Second)
		}
		return nil
	})
}

// A reader that outlives its scope is woken by a cancel.
func TestStream_cancelWakesEveryReader(t *testing.T) {
	inBubble(t, func(w *world) {
		_, _, err := open(w, func(ctx context.Context, c *child, _ int) (string, error) {
			err := c.Started(ctx, 1)
			for _, e := range c.All(context.WithoutCancel(ctx)) {
				err = errors.Join(err, e)
			}
			return "", err
		}, func(ctx context.Context, c *parent, _ int) error {
			time.Sleep(time.Second)
			c.Cancel(ctx, nil)
			return nil
		})
		if err != nil {
			t.Errorf("got %v, want my own cancel absorbed", err)
		}
	})
}

// E-01: an answer may overtake the note that what it answers was sent.
func TestStream_E01_answerRacesStarted(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		w.spawn(a, "actor", stream.Serve(func(ctx context.Context, c *child, _ int) (string, error) {
			err := c.Started(ctx, 0)
			for _, e := range c.All(ctx) {
				err = errors.Join(err, e)
			}
			return "", err
		}))
		for _, n := range []*cluster.Node{a, b} {
			p := w.find(n, "actor")
			for range 500 {
				_, err := stream.Open(w.ctx(), p, 1, func(ctx context.Context, c *parent, _ int) error {
					return errors.Join(c.Send(ctx, "x"), c.CloseSend(ctx))
				})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
