package discovery

import (
	"slices"
	"testing"
	"time"

	"github.com/tandem-actors/tandem/identity"
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
		if got, err := w.node("m").FindAll(w.Context(), "bob"); err != nil || len(got) != maxFound {
			w.Errorf("FindAll found %d, %v, want %d", len(got), err, maxFound)
		}
	})
}

func TestRegistrar_eventsCanBeReplayed(t *testing.T) {
	inBubble(t, func(w *world) {
		r, n := w.registrar(nil), w.node("n")
		n.register("bob")
		events, all := r.Events(0)
		if !all || len(events) != 2 || events[0].Type != EventNodeUp || events[1].Type != EventActorRegistered {
			w.Errorf("Events = %+v, %t, want a node and an actor", events, all)
		}
		if got := r.Status(); got.Events != events[1].Index || got.Nodes != 1 || got.Actors != 1 || got.Realm != "default" {
			w.Errorf("Status = %+v, want one node, one actor, two events", got)
		}
	})
}
