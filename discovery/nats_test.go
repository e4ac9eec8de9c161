package discovery

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/identity"
	"github.com/tandem-actors/tandem/transport"
	"github.com/tandem-actors/tandem/transport/broker"
)

// TestClient_overNATS holds the core promises over the real fabric, in real time.
func TestClient_overNATS(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	server, err := broker.Start(ctx, broker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	dial := func() *transport.NATS {
		t.Helper()
		bus, fail := transport.Dial(ctx, transport.DialConfig{URL: server.URL()})
		if fail != nil {
			t.Fatal(fail)
		}
		t.Cleanup(func() { _ = bus.Close() })
		return bus
	}
	join := func(name string) (*Client, *transport.NATS, identity.NodeID) {
		t.Helper()
		bus, id := dial(), identity.NodeID{Name: name, UUID: identity.New()}
		c, fail := Join(ctx, ClientConfig{Bus: bus, Node: id})
		if fail != nil {
			t.Fatal(fail)
		}
		t.Cleanup(func() { _ = c.Close(context.Background()) })
		return c, bus, id
	}
	r, err := NewRegistrar(ctx, RegistrarConfig{Bus: dial()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(context.Background()) })
	n, _, _ := join("n")
	m, bus, id := join("m")

	waited := make(chan error, 1)
	n.wg.Go(func() {
		_, err := n.WaitFor(ctx, "bob")
		waited <- err
	})
	bob := identity.ActorID{Name: "bob", UUID: identity.New(), Node: id}
	if err := m.Register(ctx, bob, nil); err != nil {
		t.Fatal(err)
	}
	if got := r.List(Query{}); len(got) != 1 || got[0].Actor != bob {
		t.Errorf("right after Register, List = %+v, want bob", got)
	}
	if err := <-waited; err != nil {
		t.Error(err)
	}
	events := r.Watch()
	defer events.Close()
	_ = bus.Close() // As a crash: no leave.
	killed := time.Now()
	if got, err := n.Find(ctx, "bob"); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("Find after the kill = %v, %v, want %v", got, err, fault.ErrNotFound)
	}
	for _, want := range []EventType{EventNodeSuspect, EventActorEvicted, EventNodeEvicted} {
		select {
		case e := <-events.Events():
			if e.Type != want {
				t.Errorf("event %+v, want %s", e, want)
			}
		case <-ctx.Done():
			t.Fatalf("no %s within %v", want, time.Since(killed))
		}
	}
	t.Log("evicted after", time.Since(killed))
}
