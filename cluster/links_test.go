package cluster_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandem-actors/tandem/cluster"
)

// inBubble runs test over the fabric in memory, in virtual time.
func inBubble(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t}
		defer w.close()
		test(w)
	})
}

// linked opens a context from b on an actor of a, calls act in its block, and
// returns how both sides ended.
func linked(w *world, a, b *cluster.Node, act func()) (parentErr, childErr error) {
	w.Helper()
	return linkedBy(w, a, b, func(*parent) { act() })
}

func linkedBy(w *world, a, b *cluster.Node, act func(c *parent)) (parentErr, childErr error) {
	w.Helper()
	ends := make(chan error, 1)
	w.spawn(a, "actor", serveDouble(), stream.Serve(func(ctx context.Context, c *child, arg int) (string, error) {
		defer func() { ends <- context.Cause(ctx) }()
		return started(ctx, c, arg)
	}))
	_, parentErr = stream.Open(w.ctx(), w.find(b, "actor"), 0, func(ctx context.Context, c *parent, _ int) error {
		act(c)
		<-ctx.Done()
		return ctx.Err()
	})
	return parentErr, within(w, "the end of the child", ends)
}

// H-19, H-20: whichever side gives the link up, and whether its word gets
// through or not, the other does not wait; and the next context works.
func TestLinks_H20_oneSideLosesTheLink(t *testing.T) {
	for name, lose := range map[string]func(a, b *cluster.Node){
		"child":  func(a, b *cluster.Node) { a.LoseLink(b) },
		"parent": func(a, b *cluster.Node) { b.LoseLink(a) },
		"both":   func(a, b *cluster.Node) { a.LoseLink(b); b.LoseLink(a) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				a, b := w.node("a"), w.node("b")
				parentErr, childErr := linked(w, a, b, func() { lose(a, b) })
				for side, err := range map[string]error{"parent": parentErr, "child": childErr} {
					if !errors.As(err, new(*cluster.LinkLost)) {
						t.Errorf("%s: %v, want LinkLost", side, err)
					}
				}
				stillServes(w, w.find(b, "actor"))
			})
		})
	}
}

// A task that outlives its link still counts, until it ends.
func TestLinks_lostTasksCountUntilTheyEnd(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.with(cluster.Config{Name: "a", MaxTasks: 1}), w.node("b")
		up, release := make(chan struct{}), make(chan struct{})
		w.spawn(a, "actor", serveDouble(), block.Serve(func(context.Context, cluster.None) (cluster.None, error) {
			close(up)
			<-release
			return cluster.None{}, nil
		}))
		p := w.find(b, "actor")
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := block.Call(w.ctx(), p, cluster.None{}); !errors.As(err, new(*cluster.LinkLost)) {
				t.Errorf("the lost call: %v", err)
			}
		})
		<-up
		a.LoseLink(b)
		b.LoseLink(a)
		wg.Wait()
		if _, err := double.Call(w.ctx(), p, 1); !errors.Is(err, cluster.ErrBusy) {
			t.Errorf("one more task: %v, want ErrBusy", err)
		}
		close(release)
	})
}

// What cannot be sent for want of room ends with an error, and nobody waits for
// it.
func TestLinks_fullControlLaneHangsNobody(t *testing.T) {
	if testing.Short() {
		t.Skip("sends hundreds of megabytes")
	}
	w := &world{T: t, url: startNATS(t)}
	a, b := w.node("a"), w.node("b")
	fail := cluster.Func[[]byte, []byte]("fail")
	serve := fail.Serve(func(context.Context, []byte) ([]byte, error) { return nil, errors.New("no") })
	w.spawn(a, "there", serve)
	w.spawn(b, "back", serve)
	there, back := w.find(b, "there"), w.find(a, "back")
	big := make([]byte, 900<<10)
	var hung, calls atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		for p, arg := range map[*cluster.Portal][]byte{there: big, back: nil} {
			wg.Go(func() {
				for range 40 {
					ctx, cancel := context.WithTimeout(w.ctx(), patience/2)
					_, err := fail.Call(ctx, p, arg)
					cancel()
					calls.Add(1)
					if errors.As(err, new(*cluster.TooSlow)) || errors.Is(err, context.DeadlineExceeded) {
						hung.Add(1)
					}
				}
			})
		}
	}
	wg.Wait()
	if n := hung.Load(); n > 0 {
		t.Errorf("%d of %d calls hung", n, calls.Load())
	}
	w.close()
}

// C-18, C-36: a cancel that comes while Open drains is bounded like any other,
// and an actor that ignores its cancel does not hold Close up for ever.
func TestLinks_C36_stubbornTasksAreBounded(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		release := make(chan struct{})
		p := w.spawn(a, "actor", stream.Serve(func(ctx context.Context, c *child, _ int) (string, error) {
			err := c.Started(ctx, 1)
			<-release
			return "", err
		}))
		_, err := stream.Open(w.ctx(), w.find(b, "actor"), 1, func(ctx context.Context, c *parent, _ int) error {
			time.AfterFunc(time.Second, func() { c.Cancel(context.WithoutCancel(ctx), nil) })
			return nil
		})
		if slow, ok := errors.AsType[*cluster.TooSlow](err); !ok || slow.Actor.Name != "actor" {
			t.Errorf("Open: %v, want TooSlow", err)
		}
		if err := p.Cancel(w.ctx(), nil); err != nil {
			t.Errorf("cancel of the actor: %v", err)
		}
		if err := a.Close(); !errors.As(err, new(*cluster.TooSlow)) {
			t.Errorf("Close: %v, want TooSlow", err)
		}
		close(release)
		w.forget(a)
	})
}

// Closing a node is not the success of what it had open.
func TestLinks_closeEndsWhatIsOpen(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		up := make(chan struct{}, 2)
		wait := func(ctx context.Context) error {
			up <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}
		w.spawn(a, "actor",
			double.Serve(func(ctx context.Context, _ int) (int, error) { return 0, wait(ctx) }),
			stream.Serve(func(ctx context.Context, c *child, _ int) (string, error) {
				return "", errors.Join(c.Started(ctx, 1), wait(ctx))
			}))
		p := w.find(b, "actor")
		errs := make(chan error, 2)
		var wg sync.WaitGroup
		wg.Go(func() { _, err := double.Call(w.ctx(), p, 1); errs <- err })
		wg.Go(func() {
			_, err := stream.Open(w.ctx(), p, 1, func(context.Context, *parent, int) error { return nil })
			errs <- err
		})
		<-up
		<-up
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		wg.Wait()
		for range 2 {
			if err := <-errs; !errors.Is(err, cluster.ErrClosed) {
				t.Errorf("got %v, want ErrClosed", err)
			}
		}
		w.forget(b)
	})
}
