package discovery

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/identity"
)

func TestClient_registerReturnsWhenListed_A04(t *testing.T) {
	inBubble(t, func(w *world) {
		r, n := w.registrar(nil), w.node("n")
		bob := n.register("bob")
		records := r.List(Query{})
		if len(records) != 1 || records[0].Actor != bob || !slices.Equal(records[0].Endpoints, []string{"greet"}) || records[0].State != StateUp {
			w.Errorf("right after Register, List = %+v, want bob, up, with greet", records)
		}
		n.wantFound("bob", bob) // By its own node,
		w.node("m").wantFound("bob", bob)
	})
}

func TestClient_registerIsIdempotent_A23(t *testing.T) {
	inBubble(t, func(w *world) {
		r, n := w.registrar(nil), w.node("n")
		bob := n.register("bob")
		before := r.List(Query{})[0]
		for _, endpoints := range [][]string{{"greet"}, {"part", "greet"}, {"part"}} {
			if err := n.Register(w.Context(), bob, endpoints); err != nil {
				w.Fatal(err)
			}
		}
		records := r.List(Query{})
		if len(records) != 1 || !slices.Equal(records[0].Endpoints, []string{"greet", "part"}) {
			w.Fatalf("List = %+v, want bob once, with greet and part", records)
		}
		if !records[0].Registered.Equal(before.Registered) || records[0].Seq != before.Seq+1 {
			w.Errorf("registered %v at %d, want %v and one operation after %d", records[0].Registered, records[0].Seq, before.Registered, before.Seq)
		}
	})
}

func TestClient_deregister_A05_A24(t *testing.T) {
	inBubble(t, func(w *world) {
		r, n := w.registrar(nil), w.node("n")
		bob := n.register("bob")
		n.register("eve")
		events := r.Watch()
		defer events.Close()
		if err := n.Deregister(identity.New(), Why{})(w.Context()); err != nil {
			w.Errorf("Deregister of nobody = %v, want nil", err)
		}
		if err := n.Deregister(bob.UUID, Why{Reason: "over", Canceller: "alice"})(w.Context()); err != nil {
			w.Fatal(err)
		}
		r.wantNames("after Deregister", "eve")
		n.wantNotFound("bob")
		if e := <-events.Events(); e.Type != EventActorCanceled || e.Canceller != "alice" || e.Reason != "over" || e.Actor == nil || !e.Actor.Equal(bob) {
			w.Errorf("event %+v, want bob canceled by alice", e)
		}
		if err := n.Close(w.Context()); err != nil {
			w.Error(err)
		}
		r.wantNames("after Close")
		if got, want := eventTypes(events), []EventType{EventActorDeregistered, EventNodeLeft}; !slices.Equal(got, want) {
			w.Errorf("events of Close: %q, want %q", got, want)
		}
		if err := n.Register(w.Context(), bob, nil); !errors.Is(err, fault.ErrClosed) {
			w.Errorf("Register after Close = %v, want %v", err, fault.ErrClosed)
		}
	})
}

func TestClient_registerWithoutRegistrarFailsInTime(t *testing.T) {
	inBubble(t, func(w *world) {
		n := w.node("n")
		start := time.Now()
		err := n.Register(w.Context(), n.actor("bob"), nil)
		if !errors.Is(err, fault.ErrUnreachable) || !strings.Contains(err.Error(), "no registrar answered within 5s") {
			w.Errorf("Register = %v, want no registrar within 5s", err)
		}
		if d := time.Since(start); d > 6*time.Second {
			w.Errorf("it took %v, want 5s", d)
		}
		if _, err := n.Find(w.Context(), "bob"); !errors.Is(err, fault.ErrUnreachable) {
			w.Errorf("Find = %v, want %v", err, fault.ErrUnreachable)
		}
		r := w.registrar(nil) // It comes late, and gets no bob.
		wait(time.Second)
		r.wantNames("after a registration that failed")
		n.register("eve")
		r.wantNames("after one that did not", "eve")
	})
}

func TestClient_registerWaitsForARegistrar(t *testing.T) {
	inBubble(t, func(w *world) {
		n := w.node("n")
		time.AfterFunc(2*time.Second, func() { w.registrar(nil) })
		n.register("bob")
	})
}

func TestClient_registersOnlyItsOwn_A48(t *testing.T) {
	inBubble(t, func(w *world) {
		r, n, m := w.registrar(nil), w.node("n"), w.node("m")
		if err := n.Register(w.Context(), m.actor("bob"), nil); !errors.Is(err, fault.ErrMisuse) {
			w.Errorf("Register of another node's actor = %v, want %v", err, fault.ErrMisuse)
		}
		forged := &message{Kind: kindLeave, Update: &update{Head: head{Node: m.id}}}
		if err := n.bus.Publish(n.subjects.log(n.id.UUID.String()), "", forged.encode()); err != nil {
			w.Fatal(err)
		}
		m.register("eve")
		r.wantNames("after a leave in another's name", "eve")
		if got := r.Status().Malformed; got != 1 {
			w.Errorf("%d messages malformed, want 1", got)
		}
	})
}

func TestClient_waitersWake_A11(t *testing.T) {
	inBubble(t, func(w *world) {
		w.registrar(nil)
		n := w.node("n")
		found := make(chan identity.ActorID, 2)
		for _, waiter := range []*testNode{n, w.node("m")} {
			waiter.wg.Go(func() {
				a, err := waiter.WaitFor(w.Context(), "late")
				if err != nil {
					w.Error(err)
				}
				found <- a
			})
		}
		time.Sleep(200 * time.Millisecond)
		late, start := n.register("late"), time.Now()
		for range 2 {
			if a := <-found; !a.Equal(late) {
				w.Errorf("WaitFor = %v, want %v", a, late)
			}
		}
		if d := time.Since(start); d > 0 {
			w.Errorf("waiters woke %v after Register, want at once", d)
		}
	})
}

func TestClient_canceledWaiterLeavesNothing_A12(t *testing.T) {
	inBubble(t, func(w *world) {
		w.registrar(nil)
		n, m := w.node("n"), w.node("m")
		ctx, stop := context.WithTimeout(w.Context(), 500*time.Millisecond)
		defer stop()
		if a, err := n.WaitFor(ctx, "nobody"); !errors.Is(err, context.DeadlineExceeded) {
			w.Errorf("WaitFor = %v, %v, want a deadline", a, err)
		}
		synctest.Wait()
		// Nobody listens for the name any more.
		if _, err := m.bus.Request(w.Context(), m.subjects.name("nobody"), nil); !errors.Is(err, fault.ErrUnreachable) {
			w.Errorf("request to waiters = %v, want %v", err, fault.ErrUnreachable)
		}
	})
}

func TestClient_waitEndsWithTheClient(t *testing.T) {
	inBubble(t, func(w *world) {
		w.registrar(nil)
		n := w.node("n")
		time.AfterFunc(time.Minute, func() { _ = n.Close(context.Background()) })
		if _, err := n.WaitFor(w.Context(), "nobody"); !errors.Is(err, fault.ErrClosed) {
			w.Errorf("WaitFor = %v, want %v", err, fault.ErrClosed)
		}
	})
}

func TestClient_newestNamesakeIsFound_A14_A15(t *testing.T) {
	inBubble(t, func(w *world) {
		r, n, m := w.registrar(nil), w.node("n"), w.node("m")
		first := n.register("bob")
		time.Sleep(time.Millisecond)
		second := m.register("bob")
		r.wantNames("with two bobs", "bob", "bob")
		for _, who := range []*testNode{n, m} {
			who.wantFound("bob", second)
			if got, err := who.WaitFor(w.Context(), "bob"); err != nil || got != second {
				w.Errorf("WaitFor = %v, %v, want %v", got, err, second)
			}
			if got, err := who.FindAll(w.Context(), "bob"); err != nil || !slices.Equal(got, []identity.ActorID{second, first}) {
				w.Errorf("FindAll = %v, %v, want both, the newest first", got, err)
			}
		}
	})
}

func TestClient_uuidIsNoName_A16(t *testing.T) {
	inBubble(t, func(w *world) {
		w.registrar(nil)
		n := w.node("n")
		bob := n.register("bob")
		n.wantNotFound(bob.UUID.String())
		n.wantNotFound("bo")
		n.wantNotFound("bobo")
		n.wantNotFound("Bob")
	})
}

func TestClient_findsTheLiveNamesake_A19(t *testing.T) {
	inBubble(t, func(w *world) {
		r, n, m, o := w.registrar(nil), w.node("n"), w.node("m"), w.node("o")
		living := n.register("bob")
		time.Sleep(time.Millisecond)
		m.register("bob") // The newest, found first.
		m.kill()
		start := time.Now()
		o.wantFound("bob", living)
		if d := time.Since(start); d > 0 {
			w.Errorf("Find took %v, want no wait", d)
		}
		r.wantNames("after Find", "bob") // Reported, and hidden at once.
		r.wantState("after Find", m.id, StateSuspect)
		wait(1500 * time.Millisecond)
		r.wantState("a while later", m.id, StateEvicted)
	})
}

func TestClient_frozenNodeIsPassedOver_A18(t *testing.T) {
	inBubble(t, func(w *world) {
		r, n, m := w.registrar(nil), w.node("n"), w.node("m")
		m.register("bob")
		m.bus.frozen.Store(true)
		start := time.Now()
		n.wantNotFound("bob")
		if d := time.Since(start); d != probeTries*probeWait {
			w.Errorf("Find took %v, want two tries", d)
		}
		wait(probeTries * probeWait)
		r.wantNames("after the client's evidence")
		start = time.Now()
		n.wantNotFound("bob")
		if d := time.Since(start); d > 0 {
			w.Errorf("Find of a suspect took %v, want no wait", d)
		}
	})
}

func TestClient_suspectIsHiddenAtOnceAndAcquitted(t *testing.T) {
	inBubble(t, func(w *world) {
		r, n, m := w.registrar(nil), w.node("n"), w.node("m")
		bob := m.register("bob")
		synctest.Wait()
		events := r.Watch()
		defer events.Close()
		n.Suspect(m.id.UUID, "connection reset")
		n.wantNotFound("bob")
		wait(time.Second)
		r.wantNames("after false evidence", "bob")
		if got := eventTypes(events); len(got) > 0 {
			w.Errorf("false evidence made events %q, want none", got)
		}
		wait(suspectFor)
		n.wantFound("bob", bob)
	})
}

func TestClient_actorThatItsNodeDoesNotHaveIsDropped(t *testing.T) {
	inBubble(t, func(w *world) {
		r, n, m := w.registrar(nil), w.node("n"), w.node("m")
		bob := m.register("bob")
		m.mu.Lock()
		m.log.drop(bob.UUID) // Without telling.
		m.mu.Unlock()
		n.wantNotFound("bob")
		wait(pullEvery)
		r.wantNames("after the node denied it")
	})
}

func TestJoin_refusesBadConfig(t *testing.T) {
	_, err := Join(t.Context(), ClientConfig{Realm: "A b", Heartbeat: 1})
	for _, want := range []string{"realm", "uuid", "heartbeat", "no bus"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Join = %v, want something about %q", err, want)
		}
	}
}

func TestClient_silentBusAccusesNobody(t *testing.T) {
	inBubble(t, func(w *world) {
		w.registrar(nil)
		n, m := w.node("n"), w.node("m")
		bob := m.register("bob")
		n.bus.silent.Store(true)
		if lives, err := n.verify(w.Context(), bob); lives || err == nil {
			w.Errorf("verify = %t, %v, want that it cannot be asked", lives, err)
		}
		if n.isSuspect(m.id.UUID) {
			w.Error("the silence of our own connection made a suspect")
		}
	})
}

func TestClient_findsItsOwnWithoutABus(t *testing.T) {
	inBubble(t, func(w *world) {
		w.registrar(nil)
		n := w.node("n")
		bob := n.register("bob")
		n.bus.cut.Store(true)
		n.wantFound("bob", bob)
	})
}

func TestClient_stalledBusHoldsUpNobody(t *testing.T) {
	inBubble(t, func(w *world) {
		r := w.registrar(nil)
		n, m := w.node("n"), w.node("m")
		bob := n.register("bob")
		n.register("eve")
		n.bus.stalled.Store(true)
		start := time.Now()
		n.Deregister(bob.UUID, Why{Reason: "over"})
		n.Suspect(m.id.UUID, "connection reset")
		if d := time.Since(start); d > 0 {
			w.Errorf("Deregister and Suspect took %v, want no wait", d)
		}
		wait(2 * whileStalled)
		r.wantNames("when the bus took it", "eve")
		n.bus.stalled.Store(false)
	})
}

func TestClient_endpointsStayWithoutARegistrar(t *testing.T) {
	inBubble(t, func(w *world) {
		r, n := w.registrar(nil), w.node("n")
		bob := n.register("bob")
		if err := r.Close(w.Context()); err != nil {
			w.Fatal(err)
		}
		if err := n.Register(w.Context(), bob, []string{"part"}); !errors.Is(err, fault.ErrUnreachable) {
			w.Errorf("Register = %v, want %v", err, fault.ErrUnreachable)
		}
		r = w.registrar(nil)
		wait(time.Second)
		if got := r.List(Query{}); len(got) != 1 || !slices.Equal(got[0].Endpoints, []string{"greet", "part"}) {
			w.Errorf("List = %+v, want bob with greet and part", got)
		}
	})
}
