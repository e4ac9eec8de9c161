package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/tandem-actors/tandem/discovery"
	"github.com/tandem-actors/tandem/identity"
)

// An actor is what is addressed: a name, a uuid and endpoints.
type actor struct {
	id        identity.ActorID
	endpoints map[string]Endpoint
	ctx       context.Context // Of all its tasks; its cause says who canceled the actor.
	stop      context.CancelCauseFunc
	ended     chan struct{} // Closed when it is canceled, deregistered and its tasks have ended.

	mu      sync.Mutex // Guards stopped, and Add against Wait.
	stopped bool
	tasks   sync.WaitGroup
}

// begin reports whether the actor takes one more task, and counts it.
func (a *actor) begin() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.stopped {
		a.tasks.Add(1)
	}
	return !a.stopped
}

// names lists the actor's endpoints for an error.
func (a *actor) names() string {
	if len(a.endpoints) == 0 {
		return "none"
	}
	return `"` + strings.Join(slices.Sorted(maps.Keys(a.endpoints)), `", "`) + `"`
}

// Spawn starts an actor on this node and registers its name. When it returns,
// the actor can be found from every node (scenario A-04). The actor lives until
// it is canceled or the node closes. Names may repeat.
func (n *Node) Spawn(ctx context.Context, name string, endpoints ...Endpoint) (*Portal, error) {
	a, err := n.spawn(ctx, name, endpoints)
	if err != nil {
		return nil, fmt.Errorf("spawn %q: %w", name, err)
	}
	return &Portal{n, a.id}, nil
}

func (n *Node) spawn(ctx context.Context, name string, endpoints []Endpoint) (*actor, error) {
	if err := identity.CheckName(name); err != nil {
		return nil, err
	}
	a := &actor{
		id:        identity.ActorID{Name: name, UUID: identity.New(), Node: n.id.Node},
		endpoints: make(map[string]Endpoint, len(endpoints)),
		ended:     make(chan struct{}),
	}
	for _, e := range endpoints {
		if err := identity.CheckName(e.name); err != nil {
			return nil, fmt.Errorf("endpoint: %w", err)
		}
		if _, twice := a.endpoints[e.name]; twice {
			return nil, fmt.Errorf("%w: endpoint %q is declared twice", ErrMisuse, e.name)
		}
		a.endpoints[e.name] = e
	}
	a.ctx, a.stop = context.WithCancelCause(n.running)

	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		a.stop(ErrClosed)
		return nil, ErrClosed
	}
	n.actors[a.id.UUID] = a
	n.mu.Unlock()
	if err := n.registry.Register(ctx, a.id, slices.Sorted(maps.Keys(a.endpoints))); err != nil {
		n.cancelActor(a, newCancel(n.id, err), func() {})
		return nil, err
	}
	n.log.Info("actor registered", slog.String("actor", name))
	return a, nil
}

// cancelActor ends a and all of its tasks; it reports whether it was the first
// to do so. It does not wait: told is called when every task has been told and
// nobody finds the actor any more, and a.ended is closed when all have ended.
func (n *Node) cancelActor(a *actor, c *Canceled, told func()) bool {
	a.mu.Lock()
	first := !a.stopped
	a.stopped = true
	a.mu.Unlock()
	if !first {
		return false
	}
	c.Source, c.Path = a.id, nil
	n.applyToActor(a, c)
	a.stop(c)
	n.log.Info("actor canceled", slog.String("actor", a.id.Name), slog.String("canceller", c.Canceller.String()), slog.String("reason", c.Reason()))
	n.tasks.Go(func() {
		defer close(a.ended)
		settled := n.registry.Deregister(a.id.UUID, discovery.Why{Canceller: c.Canceller.String(), Reason: c.Reason()})
		told()
		ctx, cancel := context.WithTimeout(n.closing, n.cfg.CancelGrace)
		defer cancel()
		if err := settled(ctx); err != nil && n.running.Err() == nil {
			n.log.Warn("actor not deregistered", slog.String("actor", a.id.Name), slog.String("error", err.Error()))
		}
		a.tasks.Wait()
		n.mu.Lock()
		delete(n.actors, a.id.UUID)
		n.mu.Unlock()
	})
	return true
}

// selfKey is the key of the actor whose endpoint a context belongs to.
type selfKey struct{}

func withSelf(ctx context.Context, a *actor) context.Context {
	return context.WithValue(ctx, selfKey{}, a)
}

// Self returns the actor whose endpoint ctx belongs to. ok is false outside of
// endpoints; there, the node acts in its own name, see [Node.ID].
func Self(ctx context.Context) (id identity.ActorID, ok bool) {
	a, ok := ctx.Value(selfKey{}).(*actor)
	if !ok {
		return id, false
	}
	return a.id, true
}

// self returns in whose name code that runs in ctx acts on this node.
func (n *Node) self(ctx context.Context) identity.ActorID {
	if id, ok := Self(ctx); ok && id.Node == n.id.Node {
		return id
	}
	return n.id
}

// canceledBy returns who canceled a, if anybody has.
func (a *actor) canceledBy() (*Canceled, bool) {
	return errors.AsType[*Canceled](context.Cause(a.ctx))
}
