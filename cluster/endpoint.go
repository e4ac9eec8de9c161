package cluster

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/tandem-actors/tandem/fault"
)

// None is the type of a value that an endpoint does not have.
type None = struct{}

// A Func names an endpoint that is called: an argument goes over, a result
// comes back. The same value, usually a constant in a package that both sides
// import, declares the endpoint where it is served and calls it elsewhere:
//
//	const Double = cluster.Func[int, int]("double")
type Func[Arg, Ret any] string

// Serve declares f as the endpoint. f may run many times at once. Its ctx is
// done when the call is canceled, and [context.Cause] then says by whom; what
// it returns after that is not used, unless it is a failure of its own.
func (f Func[Arg, Ret]) Serve(serve func(ctx context.Context, arg Arg) (Ret, error)) Endpoint {
	name := string(f)
	return Endpoint{name: name, call: true, run: func(ctx context.Context, _ *side, payload []byte) ([]byte, error) {
		arg, err := decode[Arg](payload, "argument", name)
		if err != nil {
			return nil, err
		}
		ret, err := serve(ctx, arg)
		if err != nil {
			return nil, err
		}
		return encode(ret, "result", name)
	}}
}

// Call runs the endpoint on the actor of p and waits for its result. The error
// is a [*RemoteError] if the endpoint failed, a [*Canceled] if somebody
// canceled it, a [*LinkLost] if its node is gone.
//
// When ctx is done, Call cancels the endpoint, waits until it has ended, for
// at most CancelGrace, and returns the cause of ctx. A deadline of ctx ends
// the endpoint also if this node is gone by then.
func (f Func[Arg, Ret]) Call(ctx context.Context, p *Portal, arg Arg) (ret Ret, err error) {
	payload, err := encode(arg, "argument", string(f))
	if err != nil {
		return ret, err
	}
	payload, err = p.call(ctx, string(f), payload)
	if err != nil {
		return ret, err
	}
	return decode[Ret](payload, "result", string(f))
}

// A Task names an endpoint that is opened: it runs as a task linked with the
// opener's. Arg goes over, First comes back once it is up, then values of Down
// travel from parent to child and values of Up from child to parent, until Ret
// ends it. [None] stands for what an endpoint does not have.
type Task[Arg, First, Down, Up, Ret any] string

// Serve declares f as the endpoint. It must call Started once, before it uses
// the stream. See [Func.Serve] for cancellation.
func (t Task[Arg, First, Down, Up, Ret]) Serve(serve func(ctx context.Context, c *Child[First, Down, Up], arg Arg) (Ret, error)) Endpoint {
	name := string(t)
	return Endpoint{name: name, run: func(ctx context.Context, s *side, payload []byte) ([]byte, error) {
		arg, err := decode[Arg](payload, "argument", name)
		if err != nil {
			return nil, err
		}
		ret, err := serve(ctx, &Child[First, Down, Up]{stream[Up, Down]{s}}, arg)
		if err != nil {
			return nil, err
		}
		return encode(ret, "result", name)
	}}
}

// Open runs the endpoint on the actor of p, waits until it has started, and
// runs body with its first value. It returns when body has returned and the
// endpoint has ended: nothing outlives Open. If body returns nil, Open waits
// for the result; if it fails, Open cancels the endpoint with that failure as
// the cause and returns it, joined with the endpoint's own failure if it has
// one.
//
// The ctx of body is done when ctx is, and also when the endpoint fails, is
// canceled by somebody or is lost; [context.Cause] then says which, and Open
// returns that error. Only the cancel that body itself asked for, with
// [Parent.Cancel], is not an error: Open then returns the zero Ret and nil.
//
// If the endpoint does not end within CancelGrace of its cancel, Open gives up
// on it and says so with a [*TooSlow].
func (t Task[Arg, First, Down, Up, Ret]) Open(ctx context.Context, p *Portal, arg Arg, body func(ctx context.Context, c *Parent[Down, Up, Ret], first First) error) (ret Ret, err error) {
	payload, err := encode(arg, "argument", string(t))
	if err != nil {
		return ret, err
	}
	payload, err = p.open(ctx, string(t), payload, func(ctx context.Context, s *side) error {
		first, err := decode[First](s.first, "first value", string(t))
		if err != nil {
			return err
		}
		return body(ctx, &Parent[Down, Up, Ret]{stream[Down, Up]{s}}, first)
	})
	if err != nil || payload == nil {
		return ret, err
	}
	return decode[Ret](payload, "result", string(t))
}

// An Endpoint is a function that an actor exports under a name. Only declared
// endpoints can be reached; see [Func.Serve] and [Task.Serve].
type Endpoint struct {
	name string
	call bool
	run  func(ctx context.Context, s *side, arg []byte) ([]byte, error)
}

// guard runs the endpoint and turns a panic, or an exit of its goroutine, into
// a [*fault.Panic] (scenario B-24). It calls end in any case, on the way out.
func (e Endpoint) guard(ctx context.Context, s *side, arg []byte, end func(result []byte, err error)) {
	returned := false
	var result []byte
	var err error
	defer func() {
		if returned {
			end(result, fault.Sane(err))
			return
		}
		value := "the goroutine exited (runtime.Goexit)"
		if v := recover(); v != nil {
			value = fmt.Sprint(v) // Which survives a String method that panics.
		}
		end(nil, &fault.Panic{Value: value, Stack: string(debug.Stack())})
	}()
	result, err = e.run(ctx, s, arg)
	returned = true
}
