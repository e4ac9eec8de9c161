package cluster_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/tandem-actors/tandem/cluster"
)

const (
	double = cluster.Func[int, int]("double")
	echo   = cluster.Func[[]byte, []byte]("echo")
	block  = cluster.Func[cluster.None, cluster.None]("block")
)

func serveDouble() cluster.Endpoint {
	return double.Serve(func(_ context.Context, n int) (int, error) { return 2 * n, nil })
}

// stillServes checks that nothing else broke.
func stillServes(w *world, p *cluster.Portal) {
	w.Helper()
	if got, err := double.Call(w.ctx(), p, 21); got != 42 || err != nil {
		w.Errorf("afterwards double(21) = %d, %v, want 42", got, err)
	}
}

func TestCall_returnsTheResult(t *testing.T) {
	eachFabric(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		local := w.spawn(a, "math", serveDouble())
		stillServes(w, local)
		stillServes(w, w.find(b, "math"))
	})
}

// Each mistake gives a typed error that names what was wrong, and breaks
// nothing else: B-13 to B-17, B-19, H-22.
func TestCall_mistakesHaveTypedErrors(t *testing.T) {
	type point struct{ X, Y int }
	big := make([]byte, 2<<20)
	eachFabric(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		w.spawn(a, "math", serveDouble(),
			echo.Serve(func(_ context.Context, b []byte) ([]byte, error) { return b, nil }),
			cluster.Func[int, []byte]("make").Serve(func(_ context.Context, n int) ([]byte, error) { return make([]byte, n), nil }),
			cluster.Func[point, int]("sum").Serve(func(_ context.Context, p point) (int, error) { return p.X + p.Y, nil }),
			cluster.Func[int, func()]("unsendable").Serve(func(context.Context, int) (func(), error) { return func() {}, nil }),
			stream.Serve(func(context.Context, *cluster.Child[int, string, int], int) (string, error) { return "", nil }))
		p := w.find(b, "math")
		for _, tt := range []struct {
			name string
			call func(ctx context.Context) error
			want error
			text string
		}{
			{"undeclared endpoint B-14", func(ctx context.Context) error {
				_, err := cluster.Func[int, int]("triple").Call(ctx, p, 1)
				return err
			}, cluster.ErrNoEndpoint, `declares "double", "echo", "make", "stream", "sum", "unsendable", not "triple"`},
			{"call of a task B-15", func(ctx context.Context) error {
				_, err := cluster.Func[int, int]("stream").Call(ctx, p, 1)
				return err
			}, cluster.ErrWrongKind, `"stream" is opened, not called`},
			{"open of a func B-15", func(ctx context.Context) error {
				_, err := cluster.Task[int, int, int, int, int]("double").Open(ctx, p, 1, nil)
				return err
			}, cluster.ErrWrongKind, `"double" is called, not opened`},
			{"wrong type B-17", func(ctx context.Context) error {
				_, err := cluster.Func[string, int]("double").Call(ctx, p, "one")
				return err
			}, &cluster.BadMessage{}, `bad argument for endpoint "double", declared int`},
			{"unknown field B-17", func(ctx context.Context) error {
				_, err := cluster.Func[map[string]int, int]("sum").Call(ctx, p, map[string]int{"X": 1, "Z": 2})
				return err
			}, &cluster.BadMessage{}, `bad argument for endpoint "sum", declared cluster_test.point`},
			{"wrong type of result", func(ctx context.Context) error {
				_, err := cluster.Func[int, string]("double").Call(ctx, p, 1)
				return err
			}, &cluster.BadMessage{}, `bad result for endpoint "double", declared string`},
			{"unencodable argument", func(ctx context.Context) error {
				_, err := cluster.Func[func(), int]("double").Call(ctx, p, func() {})
				return err
			}, &cluster.BadMessage{}, `bad argument for endpoint "double", declared func()`},
			{"unencodable result B-19", func(ctx context.Context) error {
				_, err := cluster.Func[int, int]("unsendable").Call(ctx, p, 1)
				return err
			}, &cluster.BadMessage{}, `bad result for endpoint "unsendable", declared func()`},
			{"oversize argument H-22", func(ctx context.Context) error {
				_, err := echo.Call(ctx, p, big)
				return err
			}, &cluster.TooLarge{}, `open "echo" on math@a: message of`},
			{"oversize result", func(ctx context.Context) error {
				_, err := cluster.Func[int, []byte]("make").Call(ctx, p, len(big))
				return err
			}, &cluster.TooLarge{}, `result of "make"`},
		} {
			err := tt.call(w.ctx())
			ok := errors.Is(err, tt.want)
			switch tt.want.(type) {
			case *cluster.BadMessage:
				ok = errors.As(err, new(*cluster.BadMessage))
			case *cluster.TooLarge:
				ok = errors.As(err, new(*cluster.TooLarge))
			}
			if !ok || !strings.Contains(err.Error(), tt.text) {
				w.Errorf("%s: error %v, want a %T with %q", tt.name, err, tt.want, tt.text)
			}
			stillServes(w, p)
		}
	})
}

// B-24, I-01: an endpoint that dies gives an error, and its node lives on.
func TestCall_B24_panicsAndExits(t *testing.T) {
	eachFabric(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		w.spawn(a, "math", serveDouble(),
			cluster.Func[int, int]("panic").Serve(func(context.Context, int) (int, error) { panic("ouch") }),
			cluster.Func[int, int]("nil").Serve(func(context.Context, int) (int, error) { panic(nil) }), //nolint:govet // On purpose.
			cluster.Func[int, int]("exit").Serve(func(context.Context, int) (int, error) { runtime.Goexit(); return 0, nil }))
		p := w.find(b, "math")
		for _, tt := range []struct{ name, text string }{{"panic", "ouch"}, {"nil", "nil"}, {"exit", "Goexit"}} {
			_, err := cluster.Func[int, int](tt.name).Call(w.ctx(), p, 1)
			r, ok := errors.AsType[*cluster.RemoteError](err)
			if !ok || r.Type != "panic" || !strings.Contains(r.Message, tt.text) || !strings.Contains(r.Stack, "call_test.go") || !r.Source.Equal(p.ID()) {
				w.Errorf("%s: got %v (%+v)", tt.name, err, r)
			}
			stillServes(w, p)
		}
	})
}

// I-04 to I-06: an error names its source through relays.
func TestCall_I06_relayedErrorsKeepTheirSource(t *testing.T) {
	const hop = cluster.Func[[]string, int]("hop")
	eachFabric(t, func(w *world) {
		nodes := []*cluster.Node{w.node("a"), w.node("b"), w.node("c")}
		for i, n := range nodes {
			w.spawn(n, n.ID().Name+"-relay", hop.Serve(func(ctx context.Context, rest []string) (int, error) {
				if len(rest) == 0 {
					return 0, errors.New("disk on fire")
				}
				p, err := nodes[i].Find(ctx, rest[0])
				if err != nil {
					return 0, err
				}
				return hop.Call(ctx, p, rest[1:])
			}))
		}
		route := []string{"b-relay", "c-relay", "a-relay", "b-relay", "c-relay"}
		_, err := hop.Call(w.ctx(), w.find(nodes[0], "a-relay"), route)
		r, ok := errors.AsType[*cluster.RemoteError](err)
		if !ok || r.Message != "disk on fire" || r.Source.Name != "c-relay" || len(r.Path) != 6 || r.Path[5].Name != "a-relay" {
			w.Errorf("got %v (%+v)", err, r)
		}
	})
}

// C-26, C-18: a deadline ends the callee, and the call does not return before.
func TestCall_C26_deadlineEndsTheCallee(t *testing.T) {
	eachFabric(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		causes := make(chan error, 1)
		w.spawn(a, "blocker", block.Serve(func(ctx context.Context, _ cluster.None) (cluster.None, error) {
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return cluster.None{}, ctx.Err()
		}))
		p := w.find(b, "blocker")
		ctx, cancel := context.WithCancelCause(w.ctx())
		go func() {
			w.eventually(func() error {
				if contexts, _, _ := a.Tables(); contexts == 0 {
					return errors.New("the callee has not begun")
				}
				return nil
			})
			cancel(errors.New("had enough"))
		}()
		if _, err := block.Call(ctx, p, cluster.None{}); err == nil || err.Error() != "had enough" {
			w.Errorf("call: %v, want the cause of its ctx", err)
		}
		select {
		case cause := <-causes:
			c, ok := errors.AsType[*cluster.Canceled](cause)
			if !ok || !c.Canceller.Equal(b.ID()) || c.Reason() != "had enough" {
				w.Errorf("the callee's cause is %v", cause)
			}
		default:
			w.Error("the call returned before its callee had ended")
		}
	})
}

// C-18: a callee that ignores its cancel is given up, with an error that says
// so, and its record is kept until it ends.
func TestCall_C18_tooSlow(t *testing.T) {
	eachFabric(t, func(w *world) {
		a := w.node("a")
		b := w.with(cluster.Config{Name: "b", CancelGrace: 1e7})
		release := make(chan struct{})
		w.spawn(a, "stubborn", block.Serve(func(context.Context, cluster.None) (cluster.None, error) {
			<-release
			return cluster.None{}, nil
		}))
		ctx, cancel := context.WithTimeout(w.ctx(), 1e7)
		defer cancel()
		_, err := block.Call(ctx, w.find(b, "stubborn"), cluster.None{})
		if !errors.As(err, new(*cluster.TooSlow)) || !errors.Is(err, context.DeadlineExceeded) {
			w.Errorf("got %v, want TooSlow and the deadline", err)
		}
		if contexts, _, _ := b.Tables(); contexts != 1 {
			w.Errorf("%d contexts on record, want 1", contexts)
		}
		close(release)
	})
}

// H-23: nobody there is an error at once.
func TestCall_H23_nobodyThere(t *testing.T) {
	eachFabric(t, func(w *world) {
		a, b := w.node("a"), w.node("b")
		w.spawn(a, "math", serveDouble())
		p := w.find(b, "math")
		w.crash(a)
		_, err := double.Call(w.ctx(), p, 1)
		if l, ok := errors.AsType[*cluster.LinkLost](err); !ok || l.Peer.Name != "a" {
			w.Errorf("got %v, want LinkLost", err)
		}
		if _, err := b.Find(w.ctx(), "math"); !errors.Is(err, cluster.ErrNotFound) {
			w.Errorf("find: %v, want ErrNotFound", err)
		}
	})
}
