package discovery

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandem-actors/tandem/identity"
	"github.com/tandem-actors/tandem/internal/sim"
	"github.com/tandem-actors/tandem/transport"
)

func TestRegistrar_killedNodeDisappears_A20(t *testing.T) {
	inBubble(t, func(w *world) {
		r, n := w.registrar(nil), w.node("n")
		n.register("bob")
		wait(10 * time.Second)
		r.wantNames("after 10s of heartbeats", "bob")
		events := r.Watch()
		defer events.Close()
		n.kill()
		wait(2 * time.Second)
		r.wantNames("2s after the kill")
		wait(1500 * time.Millisecond)
		r.wantState("3.5s after the kill", n.id, StateEvicted)
		if got, want := eventTypes(events), []EventType{EventNodeSuspect, EventActorEvicted, EventNodeEvicted}; !slices.Equal(got, want) {
			w.Errorf("events %q, want %q", got, want)
		}
		if got := r.List(Query{All: true}); len(got) != 1 || got[0].State != StateEvicted {
			w.Errorf("List of all = %+v, want bob, evicted", got)
		}
		wait(2 * suspendFor)
		if got := r.Nodes(); len(got) > 0 {
			w.Errorf("long after, Nodes = %+v, want none", got)
		}
	})
}

func TestRegistrar_frozenNodeDisappearsInTimeAndComesBack(t *testing.T) {
	inBubble(t, func(w *world) {
		r, n, m := w.registrar(nil), w.node("n"), w.node("m")
		bob := n.register("bob")
		wait(10 * time.Second)
		n.bus.frozen.Store(true)
		wait(2900 * time.Millisecond)
		r.wantNames("2.9s after the freeze")
		wait(5 * time.Second)
		r.wantState("8s after the freeze", n.id, StateEvicted)
		n.bus.frozen.Store(false)
		wait(600 * time.Millisecond)
		r.wantNames("a heartbeat after the thaw", "bob")
		m.wantFound("bob", bob)
		if n.head.Inc == 0 {
			w.Error("the node came back without a new incarnation")
		}
	})
}

func TestRegistrar_slowNodeKeepsItsEntries_A45(t *testing.T) {
	inBubble(t, func(w *world) {
		r, n := w.registrar(nil), w.node("n")
		n.register("bob")
		wait(10 * time.Second)
		n.bus.frozen.Store(true)
		wait(2500 * time.Millisecond)
		n.bus.frozen.Store(false)
		wait(time.Second)
		r.wantNames("after 2.5s of silence", "bob")
		if n.head.Inc != 0 {
			w.Error("the node was evicted")
		}
	})
}

func TestRegistrar_evictsNobodyWhileItsBusFails(t *testing.T) {
	inBubble(t, func(w *world) {
		r, n := w.registrar(nil), w.node("n")
		n.register("bob")
		wait(10 * time.Second)
		r.bus.cut.Store(true)
		wait(time.Minute)
		r.wantNames("after a minute without a bus", "bob")
		if got := r.Status(); got.BusError == "" {
			w.Errorf("Status = %+v, want an error of the bus", got)
		}
		n.bus.cut.Store(true) // The bus comes back; the node's takes longer.
		r.bus.cut.Store(false)
		wait(2 * time.Second)
		n.bus.cut.Store(false)
		wait(10 * time.Second)
		r.wantNames("after all are back", "bob")
		if n.head.Inc != 0 {
			w.Error("the node was evicted")
		}
	})
}

func TestRegistrar_restartLearnsFromNodes_A47(t *testing.T) {
	inBubble(t, func(w *world) {
		r, n := w.registrar(nil), w.node("n")
		n.register("bob")
		n.register("eve")
		if err := r.Close(w.Context()); err != nil {
			w.Fatal(err)
		}
		if got := r.names(); len(got) > 0 {
			w.Errorf("List of a closed registrar = %q, want none", got)
		}
		r = w.registrar(nil)
		wait(600 * time.Millisecond)
		r.wantNames("a heartbeat after the restart", "bob", "eve")
	})
}

func TestRegistrar_restartedNodeReplacesItsLastRun_A44(t *testing.T) {
	inBubble(t, func(w *world) {
		r, n := w.registrar(nil), w.node("n")
		n.register("bob")
		wait(2 * time.Second)
		n.kill()
		again := w.node("n")
		bob := again.register("bob")
		wait(200 * time.Millisecond)
		r.wantState("after the restart", n.id, StateSuspect)
		if got := r.List(Query{}); len(got) != 1 || got[0].Actor != bob {
			w.Errorf("List = %+v, want the new bob", got)
		}
		wait(1200 * time.Millisecond)
		r.wantState("a second later", n.id, StateEvicted)
	})
}

func TestRegistrar_livingNamesakesCoexist(t *testing.T) {
	inBubble(t, func(w *world) {
		r := w.registrar(nil)
		w.node("n").register("bob")
		w.node("n").register("eve")
		wait(time.Minute)
		r.wantNames("with two nodes of one name", "bob", "eve")
	})
}

func TestRegistrar_largeLogsCrossInParts(t *testing.T) {
	inBubble(t, func(w *world) {
		n := w.node("n")
		n.mu.Lock()
		for range 10_000 {
			n.log.seq++
			n.log.put(op{Seq: n.log.seq, Actor: identity.New(), Name: "bob", Endpoints: []string{"greet"}, Registered: 1}.entry(n.id))
		}
		n.mu.Unlock()
		r := w.registrar(nil)
		wait(2 * time.Second)
		if got := r.Status(); got.Actors != 10_000 || got.Behind != 0 {
			w.Errorf("Status = %+v, want 10000 actors", got)
		}
		if got, err := w.node("m").FindAll(w.Context(), "bob"); err != nil || len(got) < 2000 {
			w.Errorf("FindAll found %d, %v, want 2000 at least", len(got), err)
		}
	})
}

func TestRegistrar_statusCounts(t *testing.T) {
	inBubble(t, func(w *world) {
		r, n := w.registrar(nil), w.node("n")
		n.register("bob")
		if got := r.Status(); got.Events != 2 || got.Nodes != 1 || got.Actors != 1 || got.Realm != "default" {
			w.Errorf("Status = %+v, want one node, one actor, two events", got)
		}
	})
}

func TestRegistrar_evictsNobodyOverASilentBus(t *testing.T) {
	inBubble(t, func(w *world) {
		r, n := w.registrar(nil), w.node("n")
		n.register("bob")
		wait(10 * time.Second)
		r.bus.silent.Store(true)
		wait(time.Minute)
		r.wantNames("after a minute of silence on its own connection", "bob")
		r.bus.silent.Store(false)
		wait(10 * time.Second)
		r.wantNames("after the connection is back", "bob")
		if n.head.Inc != 0 {
			w.Error("the node was evicted")
		}
	})
}

func TestRegistrar_deniesNobodyBeforeItIsWarm(t *testing.T) {
	inBubble(t, func(w *world) {
		old := w.registrar(nil)
		n, m := w.node("n"), w.node("m")
		bob := n.register("bob")
		wait(2 * time.Second)
		if err := old.Close(w.Context()); err != nil {
			w.Fatal(err)
		}
		r := w.registrar(nil)
		if err := r.Ready(); err == nil {
			w.Error("Ready = nil right after the start, want an error")
		}
		m.wantFound("bob", bob)
		m.wantNotFound("eve")
		if err := r.Ready(); err != nil {
			w.Errorf("Ready = %v when it denies, want nil", err)
		}
		r.bus.cut.Store(true)
		if err := r.Ready(); !errors.Is(err, transport.ErrDisconnected) {
			w.Errorf("Ready = %v without a bus, want %v", err, transport.ErrDisconnected)
		}
		wait(time.Second)
		r.bus.cut.Store(false)
		if err := r.Ready(); err == nil {
			w.Error("Ready = nil right after an outage, want an error")
		}
	})
}

func TestRegistrar_findsAtOnceWhoCameWhileItWarmsUp(t *testing.T) {
	inBubble(t, func(w *world) {
		w.registrar(nil)
		n, m := w.node("n"), w.node("m")
		bob := n.register("bob")
		start := time.Now()
		m.wantFound("bob", bob)
		if d := time.Since(start); d > 0 {
			w.Errorf("Find took %v, want no wait", d)
		}
		time.AfterFunc(100*time.Millisecond, func() { n.register("eve") })
		if _, err := m.Find(w.Context(), "eve"); err != nil || time.Since(start) != 100*time.Millisecond {
			w.Errorf("Find = %v after %v, want eve when she came", err, time.Since(start))
		}
		wait(time.Second) // Until she knows that she is registered.
	})
}

func TestRegistrar_loopDoesNotWaitForALostBus(t *testing.T) {
	inBubble(t, func(w *world) {
		var net sim.Gossip
		rs := gossipers(w, &net, 2)
		n := nodeAt(w, rs[0], "n")
		rs[1].bus.cut.Store(true)
		for range 50 {
			n.register("bob") // Gossip tells the other, who would tell its nodes.
		}
		wait(2 * time.Second)
		start := time.Now()
		if got := len(rs[1].List(Query{})); got != 50 {
			w.Errorf("List has %d actors, want 50", got)
		}
		if d := time.Since(start); d > 0 {
			w.Errorf("List took %v, want no wait", d)
		}
	})
}

func TestRegistrar_answersFitAMessage(t *testing.T) {
	inBubble(t, func(w *world) {
		w.registrar(nil)
		name := strings.Repeat("a", identity.MaxName)
		n := w.node(name)
		for range 5000 {
			if _, _, err := n.admit(op{Actor: identity.New(), Name: name}); err != nil {
				w.Fatal(err)
			}
		}
		wait(2 * time.Second)
		m := w.node("m")
		got, err := m.FindAll(w.Context(), name)
		if err != nil || len(got) == 0 {
			w.Fatalf("FindAll found %d, %v, want many", len(got), err)
		}
		m.wantFound(name, got[0])
		newest := slices.MaxFunc(slices.Collect(maps.Values(n.log.entries)), func(a, b Entry) int { return CompareAge(b, a) })
		if got[0] != newest.Actor {
			w.Errorf("FindAll has %v first, want the newest, %v", got[0].UUID, newest.Actor.UUID)
		}
	})
}

func TestRegistrar_closeEndsWithItsContext(t *testing.T) {
	inBubble(t, func(w *world) {
		var net sim.Gossip
		tr := &slowTransport{NodeAwareTransport: net.Join(), slow: "10.0.9.9:1"}
		r, err := NewRegistrar(w.Context(), RegistrarConfig{Bus: w.attach(), Gossip: &GossipConfig{Seeds: []string{tr.slow}, transport: tr}})
		if err != nil {
			w.Fatal(err)
		}
		synctest.Wait()
		ctx, stop := context.WithTimeout(w.Context(), time.Second)
		defer stop()
		start := time.Now()
		if err := r.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			w.Errorf("Close = %v after %v, want that a connection is left after 1s", err, time.Since(start))
		}
	})
}
