package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	actorcontext "github.com/tandem-actors/tandem/context"
	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/identity"
	"github.com/tandem-actors/tandem/telemetry"
	"github.com/tandem-actors/tandem/transport"
)

// send hands a frame to the fabric, or to this node itself. Data waits for
// room until ctx is done; control does not wait.
func (n *Node) send(ctx context.Context, to identity.UUID, kind actorcontext.Kind, frame []byte) error {
	if to == n.id.UUID {
		if limit := n.port.MaxFrame(); len(frame) > limit {
			return &TooLarge{Size: len(frame), Limit: limit}
		}
		n.receive(to, frame)
		return nil
	}
	return n.port.Send(ctx, to, classOf(kind), frame)
}

func classOf(kind actorcontext.Kind) transport.Class {
	if kind.Data() {
		return transport.Data
	}
	return transport.Control
}

// receiver is how the port sees a node.
type receiver struct{ node *Node }

// Receive implements [transport.Receiver].
func (r receiver) Receive(from identity.UUID, _ transport.Class, frame []byte) {
	r.node.receive(from, frame)
}

// Unreachable implements [transport.Receiver].
func (r receiver) Unreachable(node identity.UUID) { r.node.unreachable(node) }

// Lost implements [transport.Receiver].
func (r receiver) Lost(node identity.UUID, err error) { r.node.undelivered(node, err) }

// receive takes one frame from the fabric. It runs on the reader of the link:
// it looks at the head of the frame, finds whom it is for, and never waits.
func (n *Node) receive(from identity.UUID, frame []byte) {
	msg, err := actorcontext.ParseMessage(frame)
	if err != nil {
		if n.malformed.Add(1) == 1 { // One is news; more are only counted.
			n.log.Warn("frame refused", slog.String("from", from.String()), slog.String("error", err.Error()))
		}
		return
	}
	switch msg.Kind {
	case actorcontext.Open, actorcontext.Call:
		n.accept(from, &msg)
	case actorcontext.Ping:
		n.control(from, &actorcontext.Message{Kind: actorcontext.Pong})
	case actorcontext.Pong:
		n.links.heard(from, time.Now())
	case actorcontext.Kill:
		n.killed(from, &msg)
	case actorcontext.Killed:
		n.killAnswered(from, &msg)
	default:
		n.deliver(from, &msg)
	}
}

// control sends a control message to a node.
func (n *Node) control(to identity.UUID, msg *actorcontext.Message) {
	n.sendControl(to, msg.Kind, actorcontext.AppendMessage(nil, msg))
}

// sendControl sends a control frame to a node. It does not wait. If there is no
// room even for that, or no port any more, the link is as good as lost: every
// context with the node ends, rather than one waits for what was not sent.
func (n *Node) sendControl(to identity.UUID, kind actorcontext.Kind, frame []byte) {
	if err := n.send(doneContext, to, kind, frame); err != nil {
		n.undelivered(to, err)
	}
}

// doneContext is for sends that must not wait.
var doneContext = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// deliver gives a message to the side it is for. What is for nobody is counted
// (scenario B-29), but a cancel is acknowledged: what it asks for holds.
func (n *Node) deliver(from identity.UUID, msg *actorcontext.Message) {
	n.mu.RLock()
	s := n.sides[sideKey{msg.Context, msg.From.Peer()}]
	n.mu.RUnlock()
	known := s != nil && s.peer.Node.UUID == from
	switch {
	case msg.Kind == actorcontext.Check:
		if !known || s.isLost() {
			n.checked(from, msg)
		}
	case !known:
		n.late.Add(1)
		if msg.Kind == actorcontext.Cancel {
			n.control(from, &actorcontext.Message{Kind: actorcontext.Ack, From: actorcontext.Child, Context: msg.Context})
		}
	case msg.Kind == actorcontext.Unknown:
		s.doubt()
	case msg.Kind == actorcontext.Error || msg.Kind == actorcontext.Cancel:
		if msg.Err = s.unbox(msg); msg.Err != nil {
			s.receive(msg)
		}
	default:
		s.receive(msg)
	}
}

// unbox returns the error that msg carries, as it concerns s.
func (s *side) unbox(msg *actorcontext.Message) error {
	boxed, err := fault.Unmarshal(msg.Payload)
	if err != nil { // Neither side may wait for the other.
		s.lose(&LinkLost{Peer: s.peer.Node, Why: err.Error()})
		s.giveUp(err)
		return nil
	}
	c, canceled := boxed.(*Canceled) //nolint:errorlint // Of this very box.
	switch {
	case msg.Kind == actorcontext.Cancel:
		if !canceled {
			c = &Canceled{Canceller: s.peer, Cause: boxed, Wave: identity.New(), Hop: 1}
		}
		c.Canceller = s.peer // Nobody cancels in another's name.
		c.Source, c.Path = s.me, nil
		if s.interrupted() {
			return c // Only its ack matters.
		}
		s.node.apply(c, s.me, telemetry.RelationForeign, s)
		s.node.log.Info("context canceled", slog.String("actor", s.me.Name), slog.String("endpoint", s.endpoint), slog.String("canceller", c.Canceller.String()), slog.String("reason", c.Reason()))
		return c
	case canceled && !c.Canceller.Equal(s.me):
		s.node.apply(c, s.me, telemetry.RelationForeign, s)
	}
	return boxed
}

// killed cancels an actor of this node for another.
func (n *Node) killed(from identity.UUID, msg *actorcontext.Message) {
	n.mu.RLock()
	a := n.actors[msg.Target]
	n.mu.RUnlock()
	answer := func(served uint64) {
		n.control(from, &actorcontext.Message{Kind: actorcontext.Killed, Context: msg.Context, Seq: served})
	}
	boxed, err := fault.Unmarshal(msg.Payload)
	c, ok := boxed.(*Canceled) //nolint:errorlint // Of this very box.
	if err != nil || !ok || checkCaller(from, msg.Caller) != nil {
		n.malformed.Add(1)
		answer(0)
		return
	}
	c.Canceller = msg.Caller // Nobody cancels in another's name.
	if a == nil || !n.cancelActor(a, c, func() { answer(1) }) {
		answer(0)
	}
}

// killAnswered resolves a request to cancel an actor.
func (n *Node) killAnswered(from identity.UUID, msg *actorcontext.Message) {
	n.mu.RLock()
	pending, ok := n.kills[msg.Context]
	n.mu.RUnlock()
	switch {
	case !ok || pending.node != from:
		n.late.Add(1)
	case msg.Seq == 0:
		pending.resolve(fmt.Errorf("%w: it has ended already", ErrNotFound))
	default:
		pending.resolve(nil)
	}
}
