package cluster

import (
	"context"
	"fmt"
	"time"

	actorcontext "github.com/tandem-actors/tandem/context"
	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/identity"
	"github.com/tandem-actors/tandem/telemetry"
)

// A Portal is a handle on an actor, wherever it runs. It holds nothing open and
// needs no closing. The actor may end at any time; what is done through the
// portal then fails with [ErrNotFound], [ErrUnreachable] or a [*LinkLost].
//
// Use it with a [Func] or a [Task].
type Portal struct {
	node *Node
	id   identity.ActorID
}

// ID returns the actor's identity.
func (p *Portal) ID() identity.ActorID { return p.id }

// String returns the actor's name and node.
func (p *Portal) String() string { return p.id.String() }

// Cancel cancels the whole actor because of cause, which may be nil. Each of
// its tasks ends with a [*Canceled] that names who called Cancel, and so does
// every context that anybody has open on it; its name is removed.
//
// Cancel returns nil once the actor's node has acknowledged, which it does when
// every task has been told, not when they have ended. It is [ErrNotFound] or
// [ErrUnreachable] if there is nothing left to cancel, and [*TooSlow] if the
// node does not acknowledge within CancelGrace. It does not end early when ctx is
// done: the request must go out even then (scenario K-05).
func (p *Portal) Cancel(ctx context.Context, cause error) error {
	n := p.node
	me := n.self(ctx)
	c := newCancel(me, cause)
	w := n.startWave(ctx, c, telemetry.ScopeActor, p.id)
	err := n.kill(ctx, p.id, me, c)
	w.end(err, telemetry.AckAcked)
	if err != nil {
		return fmt.Errorf("cancel %v: %w", p.id, err)
	}
	return nil
}

// kill asks the node of target to cancel it.
func (n *Node) kill(ctx context.Context, target, me identity.ActorID, c *Canceled) error {
	request, answer := identity.New(), make(chan error, 1)
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return ErrClosed
	}
	n.kills[request] = pendingKill{target.Node.UUID, answer}
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		delete(n.kills, request)
		n.mu.Unlock()
	}()
	frame := actorcontext.AppendMessage(nil, &actorcontext.Message{
		Kind: actorcontext.Kill, Context: request, Target: target.UUID, Caller: me, Payload: fault.Marshal(c, me),
	})
	if err := n.send(context.WithoutCancel(ctx), target.Node.UUID, actorcontext.Kill, frame); err != nil {
		return err
	}
	timer := time.NewTimer(n.cfg.CancelGrace)
	defer timer.Stop()
	select {
	case err := <-answer:
		return err
	case <-timer.C:
		return &TooSlow{Actor: target, Grace: n.cfg.CancelGrace.String()}
	}
}

// A pendingKill is a request to cancel an actor that has no answer yet.
type pendingKill struct {
	node   identity.UUID
	answer chan<- error // Has room for one; further answers are dropped.
}

func (k pendingKill) resolve(err error) {
	select {
	case k.answer <- err:
	default:
	}
}

// Find returns the live actor of that name. If there are several it is the one
// that registered last. The error matches [ErrNotFound] if there is none.
func (n *Node) Find(ctx context.Context, name string) (*Portal, error) {
	id, err := n.registry.Find(ctx, name)
	if err != nil {
		return nil, err
	}
	return &Portal{n, id}, nil
}

// FindAll returns every live actor of that name, the last registered first. The
// error matches [ErrNotFound] if there is none.
func (n *Node) FindAll(ctx context.Context, name string) ([]*Portal, error) {
	ids, err := n.registry.FindAll(ctx, name)
	if err != nil {
		return nil, err
	}
	portals := make([]*Portal, len(ids))
	for i, id := range ids {
		portals[i] = &Portal{n, id}
	}
	return portals, nil
}

// WaitFor returns a live actor of that name, and waits until there is one or
// ctx is done.
func (n *Node) WaitFor(ctx context.Context, name string) (*Portal, error) {
	id, err := n.registry.WaitFor(ctx, name)
	if err != nil {
		return nil, err
	}
	return &Portal{n, id}, nil
}
