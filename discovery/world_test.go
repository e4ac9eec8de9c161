package discovery

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/identity"
	"github.com/tandem-actors/tandem/internal/sim"
	"github.com/tandem-actors/tandem/transport"
)

// A world is a fabric with registrars and nodes on it, in a bubble.
type world struct {
	*testing.T
	fabric *transport.Memory
}

func inBubble(t *testing.T, f func(w *world)) {
	t.Helper()
	sim.Bubble(t, func(t *testing.T) { f(newWorld(t)) })
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{t, transport.NewMemory()}
}

// A fabricBus is a bus that can fail in ways that the fabric in memory cannot.
type fabricBus struct {
	*transport.MemoryBus
	frozen  atomic.Bool // Its process is stopped: it neither hears nor says anything.
	cut     atomic.Bool // The connection is gone, and the bus knows.
	silent  atomic.Bool // The connection carries nothing, and the bus does not know yet.
	stalled atomic.Bool // The connection takes long to take what is published.
}

// How long a bus keeps a publisher waiting.
const (
	whileCut     = time.Second // NATS dials.
	whileStalled = 2 * time.Second
)

func (b *fabricBus) Publish(subject, reply string, data []byte) error {
	if b.cut.Load() {
		time.Sleep(whileCut)
		return transport.ErrDisconnected
	}
	if b.stalled.Load() {
		time.Sleep(whileStalled)
	}
	if b.frozen.Load() || b.silent.Load() {
		return nil
	}
	return b.MemoryBus.Publish(subject, reply, data)
}

func (b *fabricBus) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	if b.cut.Load() {
		return nil, transport.ErrDisconnected
	}
	if b.silent.Load() {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return b.MemoryBus.Request(ctx, subject, data)
}

func (b *fabricBus) Flush(ctx context.Context) error {
	if b.silent.Load() {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return b.MemoryBus.Flush(ctx)
}

func (b *fabricBus) Subscribe(subject, queue string, handle func(subject, reply string, data []byte)) (func(), error) {
	return b.MemoryBus.Subscribe(subject, queue, func(subject, reply string, data []byte) {
		if !b.frozen.Load() && !b.cut.Load() && !b.silent.Load() {
			handle(subject, reply, data)
		}
	})
}

func (b *fabricBus) Err() error {
	if b.cut.Load() {
		return transport.ErrDisconnected
	}
	return b.MemoryBus.Err()
}

func (w *world) attach() *fabricBus {
	bus := &fabricBus{MemoryBus: w.fabric.Attach()}
	w.Cleanup(func() { _ = bus.Close() })
	return bus
}

// A testRegistrar is a registrar and its connection.
type testRegistrar struct {
	*Registrar
	t      *testing.T
	bus    *fabricBus
	fabric *transport.Memory
}

func (w *world) registrar(gossip *GossipConfig) *testRegistrar {
	w.Helper()
	bus := w.attach()
	r, err := NewRegistrar(w.Context(), RegistrarConfig{Bus: bus, Gossip: gossip})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil {
			w.Error(err)
		}
	})
	return &testRegistrar{r, w.T, bus, w.fabric}
}

// names returns the names of the actors that are up.
func (r *testRegistrar) names() []string {
	var names []string
	for _, record := range r.List(Query{}) {
		names = append(names, record.Actor.Name)
	}
	return names
}

func (r *testRegistrar) wantNames(when string, want ...string) {
	r.t.Helper()
	synctest.Wait()
	if got := r.names(); !slices.Equal(got, want) {
		r.t.Errorf("%s: List has %q, want %q", when, got, want)
	}
}

func (r *testRegistrar) wantState(when string, node identity.NodeID, want State) {
	r.t.Helper()
	synctest.Wait()
	for _, n := range r.Nodes() {
		if n.Node == node && n.State != want {
			r.t.Errorf("%s: %v is %s, want %s", when, node, n.State, want)
		}
	}
}

// A testNode is a client and its connection.
type testNode struct {
	*Client
	t   *testing.T
	bus *fabricBus
	id  identity.NodeID
}

func (w *world) node(name string) *testNode {
	w.Helper()
	bus := w.attach()
	id := identity.NodeID{Name: name, UUID: identity.New()}
	c, err := Join(w.Context(), ClientConfig{Bus: bus, Node: id})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = c.Close(context.Background()) }) // Nobody may be there to hear it.
	return &testNode{c, w.T, bus, id}
}

func (n *testNode) actor(name string) identity.ActorID {
	return identity.ActorID{Name: name, UUID: identity.New(), Node: n.id}
}

func (n *testNode) register(name string) identity.ActorID {
	n.t.Helper()
	a := n.actor(name)
	if err := n.Register(n.t.Context(), a, []string{"greet"}); err != nil {
		n.t.Fatal(err)
	}
	return a
}

// kill ends the node as SIGKILL does.
func (n *testNode) kill() { _ = n.bus.Close() }

func (n *testNode) wantFound(name string, want identity.ActorID) {
	n.t.Helper()
	if got, err := n.Find(n.t.Context(), name); err != nil || !got.Equal(want) {
		n.t.Errorf("Find(%q) = %v, %v, want %v", name, got, err, want)
	}
}

func (n *testNode) wantNotFound(name string) {
	n.t.Helper()
	if got, err := n.Find(n.t.Context(), name); !errors.Is(err, fault.ErrNotFound) {
		n.t.Errorf("Find(%q) = %v, %v, want %v", name, got, err, fault.ErrNotFound)
	}
}

// eventTypes drains w.
func eventTypes(w *Watcher) []EventType {
	var types []EventType
	for {
		select {
		case e := <-w.Events():
			types = append(types, e.Type)
		default:
			return types
		}
	}
}

func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
