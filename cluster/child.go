package cluster

import (
	"context"
	"errors"
	"fmt"

	actorcontext "github.com/tandem-actors/tandem/context"
	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/identity"
)

// accept runs the endpoint that msg opens, or refuses with a typed error that
// names what was wrong. It runs on the reader of the link and does not wait.
func (n *Node) accept(from identity.UUID, msg *actorcontext.Message) {
	e, a, err := n.endpoint(from, msg)
	if err != nil {
		n.refuse(from, msg, err)
		return
	}
	s := newSide(n, actorcontext.Child, msg.Context, a.id, msg.Caller, msg.Endpoint)
	s.actor = a
	if _, err := s.m.Receive(msg); err != nil {
		n.refuse(from, msg, err)
		return
	}
	if !a.begin() {
		n.refuse(from, msg, gone(msg.Target))
		return
	}
	ctx, cancel := s.taskContext(msg)
	if err := n.add(s); err != nil {
		cancel()
		a.tasks.Done()
		s.endRun(err)
		n.refuse(from, msg, err)
		return
	}
	payload := msg.Payload
	n.tasks.Go(func() {
		defer a.tasks.Done()
		defer cancel()
		e.guard(ctx, s, payload, func(result []byte, err error) { s.finish(ctx, result, err) })
	})
}

// endpoint finds what msg asks for.
func (n *Node) endpoint(from identity.UUID, msg *actorcontext.Message) (e Endpoint, a *actor, err error) {
	if err := checkCaller(from, msg.Caller); err != nil {
		return e, nil, err
	}
	n.mu.RLock()
	a = n.actors[msg.Target]
	n.mu.RUnlock()
	if a == nil {
		return e, nil, gone(msg.Target)
	}
	e, ok := a.endpoints[msg.Endpoint]
	switch {
	case !ok:
		return e, nil, fmt.Errorf("%w: actor %q declares %s, not %q", ErrNoEndpoint, a.id.Name, a.names(), msg.Endpoint)
	case e.call && msg.Kind == actorcontext.Open:
		return e, nil, fmt.Errorf("%w: %q is called, not opened", ErrWrongKind, msg.Endpoint)
	case !e.call && msg.Kind == actorcontext.Call:
		return e, nil, fmt.Errorf("%w: %q is opened, not called", ErrWrongKind, msg.Endpoint)
	}
	return e, a, nil
}

// checkCaller refuses a caller that is not of the node that sent the message
// (scenario B-23), or whose names could not be passed on.
func checkCaller(from identity.UUID, caller identity.ActorID) error {
	switch {
	case caller.IsZero() || caller.Node.UUID != from:
		return fmt.Errorf("%w: the caller is not of the node that asks", ErrMisuse)
	case caller.UUID == from:
		return identity.CheckName(caller.Name)
	}
	return join(identity.CheckName(caller.Name), identity.CheckName(caller.Node.Name))
}

func gone(actor identity.UUID) error {
	return fmt.Errorf("%w: %v is not, or not any more, on this node", ErrNotFound, actor)
}

// refuse ends a context that was not begun. A repeated message is no more than
// counted: its context goes on.
func (n *Node) refuse(to identity.UUID, msg *actorcontext.Message, err error) {
	if errors.Is(err, errRepeated) {
		n.late.Add(1)
		return
	}
	me := identity.ActorID{Name: n.id.Name, UUID: msg.Target, Node: n.id.Node}
	n.control(to, &actorcontext.Message{
		Kind: actorcontext.Error, From: actorcontext.Child, Context: msg.Context, Payload: fault.Marshal(err, me),
	})
}

// taskContext returns the context in which the endpoint runs. It is done when
// the actor is canceled, the opener cancels, the opener's deadline passes, or
// the link is lost; its cause says which.
func (s *side) taskContext(msg *actorcontext.Message) (context.Context, func()) {
	ctx, stop := context.WithCancelCause(s.actor.ctx)
	cancel := func() { stop(nil) }
	s.stop = stop
	if msg.Timeout > 0 {
		limited, release := context.WithTimeout(ctx, msg.Timeout)
		ctx, cancel = limited, func() { release(); stop(nil) }
	}
	return s.startRun(withSelf(ctx, s.actor), msg.Trace), cancel
}

// finish sends what the endpoint ended with. ctx is the endpoint's.
func (s *side) finish(ctx context.Context, result []byte, err error) {
	s.mu.Lock()
	if cause := context.Cause(ctx); cause != nil {
		s.m.Interrupt(cause) // The actor's cancel or the deadline, if it came first.
	}
	if limit := s.node.port.MaxFrame() - actorcontext.Overhead; err == nil && len(result) > limit {
		err = fmt.Errorf("result of %q: %w", s.endpoint, &TooLarge{Size: len(result), Limit: limit})
	}
	lost, _ := s.m.Ended()
	kind, out := s.m.End(err)
	s.mu.Unlock()
	switch {
	case lost: // Nobody is left to tell.
	case kind == actorcontext.Return:
		out = s.sendResult(result)
	default:
		s.sendError(out)
	}
	s.endRun(out)
	s.node.remove(s)
}

// sendResult sends the result behind the data before it. It waits for room,
// until the link is lost or the node closes; if the peer asked to end
// meanwhile, the cancel is the end.
func (s *side) sendResult(result []byte) error {
	ctx, stop := context.WithCancelCause(s.node.closing)
	defer stop(nil)
	s.interruptBy(stop)
	err := s.send(ctx, actorcontext.Return, result)
	if err != nil {
		s.mu.Lock()
		_, err = s.m.End(err)
		s.mu.Unlock()
		s.sendError(err)
	}
	return err
}

// sendError ends the context with err.
func (s *side) sendError(err error) {
	if c, ok := fault.Cancellation(err); ok {
		if c == nil { // Nobody asked but the task itself (scenario C-16).
			c = newCancel(s.me, nil)
		}
		err = s.tellOpener(c)
	}
	s.mu.Lock()
	seq, misuse := s.m.MaySend(actorcontext.Error)
	if misuse == nil {
		s.m.Sent(actorcontext.Error)
	}
	s.mu.Unlock()
	if misuse == nil {
		s.control(actorcontext.Message{Kind: actorcontext.Error, Seq: seq, Payload: fault.Marshal(err, s.me)})
	}
}

// errRepeated says that a context with this ID has been opened before.
var errRepeated = errors.New("opened before")
