package cluster

import (
	"context"
	"iter"

	actorcontext "github.com/tandem-actors/tandem/context"
	"github.com/tandem-actors/tandem/identity"
)

// stream is what both ends of a context can do: Out goes, In comes.
type stream[Out, In any] struct{ s *side }

// Send sends v to the peer. It returns when v is on its way, which says
// nothing about its arrival: order is kept, and what cannot be delivered ends
// the context with an error. It waits while too much is under way, until ctx is
// done.
//
// The error is a [*BadMessage] or [*TooLarge] if v cannot be sent; the context
// goes on. After the end of the context it is what ended it, after CloseSend
// [ErrClosed]. Send may be called by several goroutines at once.
func (c stream[Out, In]) Send(ctx context.Context, v Out) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	payload, err := encode(v, "message", c.s.endpoint)
	if err != nil {
		return err
	}
	return c.s.send(ctx, actorcontext.Yield, payload)
}

// CloseSend ends this direction of the stream: the peer's All ends once it has
// read everything. A second call does nothing.
func (c stream[Out, In]) CloseSend(ctx context.Context) error {
	err := c.s.send(ctx, actorcontext.Stop, nil)
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.s.m.Stopped() {
		return nil
	}
	return err
}

// All returns what the peer sends, in order, without gaps or repetitions. It
// ends silently when the peer called CloseSend or returned its result; any
// other end is a last pair of the zero value and the error. When ctx is done
// that error comes at once; the usual ctx is that of the body or endpoint,
// which is done as soon as the context fails.
//
// All may be called again to read on, and by several goroutines at once, which
// then share the messages.
func (c stream[Out, In]) All(ctx context.Context) iter.Seq2[In, error] {
	return func(yield func(In, error) bool) {
		for {
			payload, ok, err := c.s.next(ctx)
			if !ok && err == nil {
				return
			}
			var v In
			if err == nil {
				v, err = decode[In](payload, "message", c.s.endpoint)
			}
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// Peer returns the actor on the other side.
func (c stream[Out, In]) Peer() identity.ActorID { return c.s.peer }

// Canceller returns whose ending ended this context: who canceled it, or the
// peer whose failure arrived. ok is false while neither has happened.
func (c stream[Out, In]) Canceller() (by identity.ActorID, ok bool) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	by = c.s.m.Canceller()
	return by, !by.IsZero()
}

// State returns all that this side knows of the context, for tests and logs.
func (c stream[Out, In]) State() actorcontext.Snapshot {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.s.m.Snapshot()
}

// A Parent is the opener's end of a context. After the body that got it has
// returned, only Cancel, State and Canceller make sense.
type Parent[Down, Up, Ret any] struct{ stream[Down, Up] }

// Cancel asks the child to end, because of cause, which may be nil. It does not
// wait. The child's ctx is done with a [*Canceled] that names this actor; when
// the child has ended, the ctx of the body is done too, and Open swallows the
// cancel. A second call does nothing, nor does one after the end.
func (c *Parent[Down, Up, Ret]) Cancel(ctx context.Context, cause error) { c.s.cancel(ctx, cause) }

// Result waits for the end of the child and returns its result, now and on
// every later call. If there is none, the error says why; if the child was
// canceled by this side, it is that [*Canceled] (scenario C-02).
func (c *Parent[Down, Up, Ret]) Result(ctx context.Context) (ret Ret, err error) {
	select {
	case <-c.s.done:
	default:
		select {
		case <-c.s.done:
		case <-ctx.Done():
			return ret, context.Cause(ctx)
		}
	}
	payload, err := c.s.outcome()
	if err != nil {
		return ret, err
	}
	return decode[Ret](payload, "result", c.s.endpoint)
}

// A Child is the endpoint's end of a context. It must not be used after the
// endpoint has returned.
type Child[First, Down, Up any] struct{ stream[Up, Down] }

// Started tells the parent that the endpoint is up, and gives it the first
// value. Only then may the stream be used. It is called once; a second call is
// an [ErrMisuse].
func (c *Child[First, Down, Up]) Started(ctx context.Context, first First) error {
	payload, err := encode(first, "first value", c.s.endpoint)
	if err != nil {
		return err
	}
	return c.s.send(ctx, actorcontext.Started, payload)
}
