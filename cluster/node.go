package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	actorcontext "github.com/tandem-actors/tandem/context"
	"github.com/tandem-actors/tandem/discovery"
	"github.com/tandem-actors/tandem/identity"
	"github.com/tandem-actors/tandem/telemetry"
	"github.com/tandem-actors/tandem/transport"
)

// A Node is a member of a cluster: it runs actors and opens contexts on the
// actors of all nodes. All of its methods may be called by several goroutines
// at once.
type Node struct {
	id       identity.ActorID // Of the node itself, in whose name it acts outside of actors.
	cfg      Config
	log      *slog.Logger
	tracer   trace.Tracer
	fabric   *fabric
	bus      bus
	port     *transport.Port
	registry *discovery.Client
	links    links

	running context.Context // Of all actors; done when Close begins.
	closing context.Context // Of everything that Close still needs; done when it ends.
	cancel  context.CancelCauseFunc
	stop    context.CancelCauseFunc
	tasks   sync.WaitGroup // Endpoints, and the ends of actors.
	service sync.WaitGroup // The heartbeat.

	late, malformed atomic.Uint64
	beats           atomic.Uint32 // Heartbeats so far.

	mu     sync.RWMutex // Guards what follows. Nothing waits while holding it.
	closed bool
	sides  map[sideKey]*side
	served int
	actors map[identity.UUID]*actor
	kills  map[identity.UUID]pendingKill

	closeOnce sync.Once
	closeErr  error
}

// A sideKey finds a side: on one node, both may be of the same context.
type sideKey struct {
	context identity.UUID
	which   actorcontext.Side
}

// Start starts a node and joins it to the cluster that cfg names. The caller
// closes it. ctx bounds the start only.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	uuid := identity.New()
	cfg, err := cfg.withDefaults(uuid)
	if err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	self := identity.NodeID{Name: cfg.Name, UUID: uuid}
	n := &Node{
		id:     identity.ActorID{Name: cfg.Name, UUID: uuid, Node: self},
		cfg:    cfg,
		log:    cfg.Logger.With(slog.String("node", cfg.Name)),
		tracer: cfg.TracerProvider.Tracer(telemetry.Instrumentation),
		sides:  make(map[sideKey]*side),
		actors: make(map[identity.UUID]*actor),
		kills:  make(map[identity.UUID]pendingKill),
	}
	n.links = links{
		limits: actorcontext.Limits{Silence: cfg.LinkTimeout - cfg.Heartbeat, Refusal: cfg.LinkTimeout / 4},
		peers:  make(map[identity.UUID]*peer),
	}
	n.closing, n.stop = context.WithCancelCause(context.Background())
	n.running, n.cancel = context.WithCancelCause(n.closing)
	if err := n.connect(ctx); err != nil {
		n.stop(err)
		n.disconnect()
		return nil, fmt.Errorf("start node %q: %w", cfg.Name, err)
	}
	n.service.Go(n.heartbeat)
	n.log.Info("node up", slog.String("cluster", n.fabric.String()))
	return n, nil
}

// connect joins the fabric and the registry.
func (n *Node) connect(ctx context.Context) (err error) {
	if n.fabric, err = n.cfg.fabric(ctx); err != nil {
		return err
	}
	if n.bus, err = n.fabric.attach(ctx, n.cfg, n.disconnected); err != nil {
		return err
	}
	if n.port, err = transport.Listen(n.bus, n.cfg.Realm, n.id.UUID, receiver{n}); err != nil {
		return err
	}
	n.registry, err = discovery.Join(ctx, discovery.ClientConfig{
		Bus: n.bus, Realm: n.cfg.Realm, Node: n.id.Node, Logger: n.cfg.Logger,
	})
	return err
}

// disconnect leaves the fabric, as far as connect came.
func (n *Node) disconnect() {
	ctx, cancel := context.WithTimeout(context.Background(), n.cfg.CancelGrace)
	defer cancel()
	var errs []error
	if n.port != nil {
		errs = append(errs, n.port.Close())
	}
	if n.bus != nil {
		errs = append(errs, n.bus.Close())
	}
	if n.fabric != nil {
		errs = append(errs, n.fabric.release(ctx))
	}
	n.closeErr = join(append(errs, n.closeErr)...)
}

// heartbeat judges the links until the node closes.
func (n *Node) heartbeat() {
	ticker := time.NewTicker(n.cfg.Heartbeat)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			n.beat(now)
		case <-n.closing.Done():
			return
		}
	}
}

// ID returns the identity in which the node acts outside of its actors. It is
// the canceller that others see when code that is in no endpoint cancels.
func (n *Node) ID() identity.ActorID { return n.id }

// Close takes the node's names out of the registry, cancels every actor, in the
// node's name and with the cause [ErrClosed], and waits for their tasks, at most
// CancelGrace. Then it leaves; openers elsewhere have been told. Contexts that
// this node has opened are canceled, too, and their openers get [ErrClosed];
// Close does not wait for them.
//
// The error is a [*TooSlow] for each actor with a task that did not end; such a
// task is abandoned. A second call waits for the first and returns the same.
func (n *Node) Close() error {
	n.closeOnce.Do(n.close)
	return n.closeErr
}

func (n *Node) close() {
	n.mu.Lock()
	n.closed = true
	actors := slices.Collect(maps.Values(n.actors))
	n.mu.Unlock()
	leave, cancel := context.WithTimeout(context.Background(), n.cfg.CancelGrace)
	defer cancel()
	if err := n.registry.Close(leave); err != nil { // Nobody finds its actors any more.
		n.log.Warn("left without telling a registrar", slog.String("error", err.Error()))
	}
	for _, a := range actors {
		n.cancelActor(a, newCancel(n.id, ErrClosed), func() {})
	}
	n.cancel(ErrClosed)
	for _, s := range n.allSides() {
		if s.which == actorcontext.Parent {
			s.interruptWith(fmt.Errorf("%w: node %v", ErrClosed, n.id))
			s.cancel(n.closing, ErrClosed)
		}
	}

	timer := time.NewTimer(n.cfg.CancelGrace)
	defer timer.Stop()
	expired := false
	for _, a := range actors {
		if !expired {
			select {
			case <-a.ended:
				continue
			case <-timer.C:
				expired = true
			}
		}
		select {
		case <-a.ended:
		default:
			n.closeErr = join(n.closeErr, &TooSlow{Actor: a.id, Grace: n.cfg.CancelGrace.String()})
		}
	}
	ctx, stop := context.WithTimeout(context.Background(), n.cfg.CancelGrace)
	defer stop()
	if err := n.port.Flush(ctx); err != nil && n.bus.Err() == nil {
		n.closeErr = join(n.closeErr, err)
	}
	for _, s := range n.allSides() {
		s.lose(fmt.Errorf("%w: node %v", ErrClosed, n.id))
	}
	n.stop(ErrClosed)
	n.service.Wait()
	n.disconnect()
	if !expired {
		n.tasks.Wait()
	}
	n.log.Info("node closed")
}

// add enters s into the tables.
func (n *Node) add(s *side) error {
	key := sideKey{s.id, s.which}
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.closed:
		return ErrClosed
	case n.sides[key] != nil: // Scenario H-21.
		return errRepeated
	case s.which == actorcontext.Child && n.served >= n.cfg.MaxTasks:
		return fmt.Errorf("%w: node %v runs %d tasks", ErrBusy, n.id, n.served)
	}
	n.sides[key] = s
	if s.which == actorcontext.Child {
		n.served++
	}
	if s.peer.Node.UUID != n.id.UUID {
		s.watched = true
		n.links.hold(s.peer.Node, s.born)
	}
	return nil
}

// unwatch ends the watch of the link on behalf of s. A second call does nothing.
func (n *Node) unwatch(s *side) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s.watched {
		s.watched = false
		n.links.release(s.peer.Node)
	}
}

// remove takes s out of the tables. A second call does nothing.
func (n *Node) remove(s *side) {
	key := sideKey{s.id, s.which}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sides[key] != s {
		return
	}
	delete(n.sides, key)
	if s.which == actorcontext.Child {
		n.served--
	}
	if s.watched {
		s.watched = false
		n.links.release(s.peer.Node)
	}
}

func (n *Node) allSides() []*side {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return slices.Collect(maps.Values(n.sides))
}

// Err returns nil while the node is in its cluster, otherwise why it is not:
// [ErrClosed], or what is wrong with its connection.
func (n *Node) Err() error {
	if n.closing.Err() != nil || n.running.Err() != nil {
		return ErrClosed
	}
	return n.bus.Err()
}
