package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	actorcontext "github.com/tandem-actors/tandem/context"
	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/identity"
	"github.com/tandem-actors/tandem/telemetry"
)

// call opens a context that carries only a result, and waits for it.
func (p *Portal) call(ctx context.Context, endpoint string, arg []byte) ([]byte, error) {
	s, err := p.dial(ctx, actorcontext.Call, endpoint, arg)
	if err != nil {
		return nil, err
	}
	return s.leave(ctx, ctx, nil)
}

// open opens a context, waits until the child has started, runs body, and
// leaves. It returns the payload of the result, nil if there is none.
func (p *Portal) open(outer context.Context, endpoint string, arg []byte, body func(context.Context, *side) error) (result []byte, err error) {
	s, err := p.dial(outer, actorcontext.Open, endpoint, arg)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancelCause(outer)
	defer stop(nil)
	s.interruptBy(stop)

	returned := false
	defer func() {
		if !returned { // body panicked or exited: the child must not outlive it.
			_, _ = s.leave(outer, ctx, fmt.Errorf("%w: the opener's block did not return", ErrClosed))
		}
	}()
	if err = s.enter(ctx); err == nil {
		err = fault.Sane(body(ctx, s))
	}
	returned = true
	return s.leave(outer, ctx, err)
}

// dial sends the first message of a context.
func (p *Portal) dial(ctx context.Context, kind actorcontext.Kind, endpoint string, arg []byte) (*side, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	n := p.node
	s := newSide(n, actorcontext.Parent, identity.New(), n.self(ctx), p.id, endpoint)
	msg := actorcontext.Message{Kind: kind, Target: p.id.UUID, Caller: s.me, Endpoint: endpoint, Payload: arg}
	if deadline, ok := ctx.Deadline(); ok {
		msg.Timeout = max(1, time.Until(deadline))
	}
	msg.Trace = s.startOpen(ctx)
	frame := s.frame(msg)
	err := n.add(s)
	if err == nil {
		s.mu.Lock()
		s.m.Sent(kind)
		s.mu.Unlock()
		if err = n.send(ctx, s.peer.Node.UUID, kind, frame); err != nil {
			n.remove(s)
		}
	}
	if err != nil {
		s.endOpen(err)
		return nil, fmt.Errorf("open %q on %v: %w", endpoint, p.id, err)
	}
	return s, nil
}

// interruptBy sets how to end the local task, and does it if that was due.
func (s *side) interruptBy(stop context.CancelCauseFunc) {
	s.mu.Lock()
	s.stop = stop
	cause := s.m.Cause()
	s.mu.Unlock()
	if cause != nil {
		stop(cause)
	}
}

// enter waits until the child has started.
func (s *side) enter(ctx context.Context) (err error) {
	defer func() { s.endOpen(err) }()
	timer := time.NewTimer(s.node.cfg.OpenTimeout)
	defer timer.Stop()
	select {
	case <-s.opened:
		return nil
	case <-s.done:
	case <-ctx.Done():
	case <-timer.C:
		return fmt.Errorf("open %q on %v: not started after %v: %w", s.endpoint, s.peer, s.node.cfg.OpenTimeout, context.DeadlineExceeded)
	}
	select {
	case <-s.opened: // And failed since, which the body will see.
		return nil
	default:
	}
	if _, failure := s.ended(); failure != nil {
		return failure
	}
	return context.Cause(ctx)
}

func (s *side) ended() (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m.Ended()
}

// outcome returns the result's payload, or why there is none. It must not be
// called before done is closed.
func (s *side) outcome() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, failure := s.m.Ended()
	return s.result, failure
}

// leave ends the parent's side. err is what the block returned; ctx is the
// block's, outer its parent's. It waits until the child has ended, and cancels
// it first if the block failed or outer is done. It gives up CancelGrace after
// the cancel, or at once when the link is lost (scenarios C-18, C-37).
func (s *side) leave(outer, ctx context.Context, err error) ([]byte, error) {
	if err != nil && ctx.Err() != nil && fault.IsCancellation(err, ctx.Err()) {
		err = context.Cause(ctx) // Say who, not just that.
	}
	if err != nil {
		s.cancel(ctx, err)
	}
	s.mu.Lock()
	s.leaving = true
	s.mu.Unlock()
	err = join(err, s.await(outer))

	s.mu.Lock()
	ended, failure := s.m.Ended()
	result := s.result
	if isPast(outer) && errors.Is(failure, context.DeadlineExceeded) { // It is mine, come back.
		err = cmp.Or(err, context.Cause(outer), context.DeadlineExceeded)
	} else {
		err = s.m.Leave(err)
	}
	s.mu.Unlock()
	if ended {
		s.node.remove(s)
	}
	s.endOpen(err)
	if err != nil {
		return nil, err
	}
	return result, nil
}

// isPast reports whether the deadline of ctx is over, though ctx may not have
// noticed yet.
func isPast(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && !time.Now().Before(deadline)
}

// await waits for the end of the child. If outer is done first, it cancels the
// child and returns outer's cause; once canceled by whomever, the child has
// CancelGrace.
func (s *side) await(outer context.Context) (err error) {
	select {
	case <-s.done:
		return nil
	case <-s.asked: // Whether outer is done, too, does not matter any more.
	default:
		select {
		case <-s.done:
			return nil
		case <-s.asked:
		case <-outer.Done(): // The same as within the block.
			err = context.Cause(outer)
			s.cancel(outer, err)
		}
	}
	timer := time.NewTimer(s.node.cfg.CancelGrace)
	defer timer.Stop()
	select {
	case <-s.done:
		return err
	case <-timer.C:
		s.abandon()
		return join(err, &TooSlow{Actor: s.peer, Grace: s.node.cfg.CancelGrace.String()})
	}
}

// abandon leaves the record of a child that did not end in time in the tables,
// so that its end is noticed when it comes; the loss of the link is one.
func (s *side) abandon() {
	s.node.log.Warn("canceled task did not end in time", slog.String("actor", s.peer.String()), slog.String("endpoint", s.endpoint), slog.String("context", s.id.String()))
	s.mu.Lock()
	s.abandoned = true
	ended, _ := s.m.Ended()
	s.mu.Unlock()
	if ended { // Meanwhile.
		s.node.remove(s)
	}
}

// cancel asks the child to end, once.
func (s *side) cancel(ctx context.Context, cause error) {
	c := newCancel(s.me, cause)
	s.mu.Lock()
	_, err := s.m.MaySend(actorcontext.Cancel)
	if err != nil || s.m.CancelCalled() {
		s.mu.Unlock()
		return
	}
	s.m.Sent(actorcontext.Cancel)
	close(s.asked)
	s.mu.Unlock()

	w := s.node.startWave(ctx, c, telemetry.ScopeContext, s.peer)
	w.frame = s.frame(actorcontext.Message{Kind: actorcontext.Cancel, Payload: fault.Marshal(c, s.me)})
	s.mu.Lock()
	ended, failure := s.m.Ended()
	if !ended {
		s.wave = w
	}
	s.mu.Unlock()
	if ended { // Meanwhile.
		w.end(failure, telemetry.AckAlreadyDone)
		return
	}
	s.node.sendControl(s.peer.Node.UUID, actorcontext.Cancel, w.frame)
}

// newCancel returns the cancel that by asks for because of cause. If by was
// itself canceled, it is the next hop of the same wave.
func newCancel(by identity.ActorID, cause error) *Canceled {
	cause = fault.Sane(cause)
	c := &Canceled{Canceller: by, Cause: cause, Wave: identity.New(), Hop: 1}
	if up, ok := errors.AsType[*Canceled](cause); ok {
		c.Wave, c.Hop, c.Span = up.Wave, up.Hop+1, up.Span
	}
	return c
}
