package discovery

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/tandem-actors/tandem/identity"
	"github.com/tandem-actors/tandem/internal/sim"
)

// gossipers starts n registrars that gossip, each on a fabric of its own: what
// one knows of the nodes of another, gossip told it.
func gossipers(w *world, net *sim.Gossip, n int) []*testRegistrar {
	w.Helper()
	var seeds []string
	var all []*testRegistrar
	for range n {
		r := newWorld(w.T).registrar(&GossipConfig{Seeds: seeds, transport: net.Join()})
		seeds = append(seeds, r.GossipAddr())
		all = append(all, r)
	}
	wait(2 * time.Second)
	for _, r := range all {
		if got := len(r.Status().Members); got != n {
			w.Fatalf("%d members, want %d", got, n)
		}
	}
	return all
}

// nodeAt starts a node on the fabric of r.
func nodeAt(w *world, r *testRegistrar, name string) *testNode {
	w.Helper()
	return (&world{w.T, r.fabric}).node(name)
}

func between(a, b *testRegistrar, cutOrHeal func(from, to string)) {
	cutOrHeal(a.GossipAddr(), b.GossipAddr())
	cutOrHeal(b.GossipAddr(), a.GossipAddr())
}

func TestGossip_replicatesWithoutACommonBus(t *testing.T) {
	inBubble(t, func(w *world) {
		var net sim.Gossip
		rs := gossipers(w, &net, 3)
		n, m := nodeAt(w, rs[0], "n"), nodeAt(w, rs[1], "m")
		bob := n.register("bob")
		m.register("eve")
		wait(2 * time.Second)
		for _, r := range rs {
			r.wantNames("2s after Register", "bob", "eve")
		}
		if err := n.Deregister(bob.UUID, Why{})(w.Context()); err != nil {
			w.Fatal(err)
		}
		wait(2 * time.Second)
		for _, r := range rs {
			r.wantNames("2s after Deregister", "eve")
		}
		wait(3 * vouchedFor)
		for _, r := range rs {
			r.wantNames("long after", "eve")
		}
		m.kill()
		wait(6 * time.Second)
		for _, r := range rs {
			r.wantNames("6s after a kill")
			r.wantState("6s after a kill", m.id, StateEvicted)
		}
	})
}

func TestGossip_partitionHealsWithoutGhosts(t *testing.T) {
	inBubble(t, func(w *world) {
		var net sim.Gossip
		rs := gossipers(w, &net, 2)
		n := nodeAt(w, rs[0], "n")
		bob := n.register("bob")
		wait(2 * time.Second)
		rs[1].wantNames("before the partition", "bob")
		events := rs[0].Watch()
		defer events.Close()

		between(rs[0], rs[1], net.Cut)
		n.register("eve")
		if err := n.Deregister(bob.UUID, Why{})(w.Context()); err != nil {
			w.Fatal(err)
		}
		wait(3 * time.Minute)
		rs[1].wantNames("with nobody to vouch for the node")

		between(rs[0], rs[1], net.Heal)
		wait(15 * time.Second)
		for _, r := range rs {
			r.wantNames("15s after the heal", "eve")
		}
		got := eventTypes(events)
		if want := []EventType{EventActorRegistered, EventActorDeregistered}; !slices.Equal(got, want) {
			w.Errorf("events where the node is heard: %q, want %q", got, want)
		}
		wait(time.Minute)
		rs[1].wantNames("a minute later", "eve")
	})
}

func TestGossip_staleCopyDoesNotResurrect_A46(t *testing.T) {
	inBubble(t, func(w *world) {
		var net sim.Gossip
		rs := gossipers(w, &net, 2)
		n := nodeAt(w, rs[0], "n")
		n.register("bob")
		wait(2 * time.Second)
		between(rs[0], rs[1], net.Cut)
		rs[1].bus.cut.Store(true) // It cannot judge, and keeps its copy.
		n.kill()
		wait(2 * suspendFor)
		rs[0].wantNames("long after the kill")
		rs[1].wantNames("where nobody can know", "bob")
		events := rs[0].Watch()
		defer events.Close()
		between(rs[0], rs[1], net.Heal)
		wait(15 * time.Second)
		rs[1].wantNames("after the heal")
		if got := eventTypes(events); len(got) > 0 {
			w.Errorf("events where it was known: %q, want none", got)
		}
	})
}

func TestGossip_restartedRegistrarCatchesUp_A44(t *testing.T) {
	inBubble(t, func(w *world) {
		var net sim.Gossip
		rs := gossipers(w, &net, 2)
		nodeAt(w, rs[0], "n").register("bob")
		if err := rs[1].Close(context.Background()); err != nil {
			w.Fatal(err)
		}
		wait(time.Second)
		if got := len(rs[0].Status().Members); got != 1 {
			w.Errorf("after a leave, %d members, want 1", got)
		}
		again := newWorld(w.T).registrar(&GossipConfig{Seeds: []string{rs[0].GossipAddr()}, transport: net.Join()})
		wait(2 * time.Second)
		again.wantNames("2s after the restart", "bob")
	})
}

func TestGossip_crashedRegistrarIsForgotten(t *testing.T) {
	inBubble(t, func(w *world) {
		var net sim.Gossip
		rs := gossipers(w, &net, 3)
		n := nodeAt(w, rs[0], "n")
		bob := n.register("bob")
		between(rs[0], rs[2], net.Cut) // Which is what a crash looks like.
		between(rs[1], rs[2], net.Cut)
		wait(30 * time.Second)
		if got := len(rs[0].Status().Members); got != 2 {
			w.Errorf("30s after the crash, %d members, want 2", got)
		}
		n.wantFound("bob", bob)
		rs[1].wantNames("after the crash", "bob")
	})
}

func TestGossip_sharedBusServesAll(t *testing.T) {
	inBubble(t, func(w *world) {
		var net sim.Gossip
		a := w.registrar(&GossipConfig{transport: net.Join()})
		b := w.registrar(&GossipConfig{transport: net.Join(), Seeds: []string{a.GossipAddr()}})
		n, m := w.node("n"), w.node("m")
		n.register("bob")
		m.register("eve")
		a.wantNames("at once", "bob", "eve")
		b.wantNames("at once", "bob", "eve")
		a.bus.frozen.Store(true) // One of them hears nobody, and must not speak for both.
		wait(time.Minute)
		b.wantNames("with a deaf registrar", "bob", "eve")
		n.kill()
		wait(2900 * time.Millisecond)
		b.wantNames("2.9s after a kill", "eve")
		a.bus.frozen.Store(false)
		wait(15 * time.Second)
		a.wantNames("when it hears again", "eve")
		b.wantNames("when all hear again", "eve")
	})
}

func TestGossip_overRealSockets(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	a := newWorld(t).registrar(&GossipConfig{Key: key})
	b := newWorld(t).registrar(&GossipConfig{Key: key, Seeds: []string{a.GossipAddr()}})
	events := b.Watch()
	defer events.Close()
	n := nodeAt(newWorld(t), a, "n")
	bob := n.register("bob")
	late := time.After(20 * time.Second)
	for {
		select {
		case e := <-events.Events():
			if e.Type != EventActorRegistered {
				continue
			}
			if e.Actor == nil || *e.Actor != bob {
				t.Errorf("event %+v, want bob", e)
			}
			return
		case <-late:
			t.Fatalf("bob did not come within 20s; members %+v", b.Status().Members)
		}
	}
}

func TestGossip_loneRegistrarQueuesNothing(t *testing.T) {
	inBubble(t, func(w *world) {
		var net sim.Gossip
		r := w.registrar(&GossipConfig{transport: net.Join()})
		for range 10 {
			if err := w.node("n").Close(w.Context()); err != nil {
				w.Error(err)
			}
		}
		if got := r.gossip.queue.NumQueued(); got != 1 {
			w.Errorf("%d broadcasts wait, want the ballast only", got)
		}
	})
}

func TestGossip_everyBroadcastFitsAPacket(t *testing.T) {
	long := strings.Repeat("n", identity.MaxName)
	node := identity.NodeID{Name: long, UUID: identity.New()}
	h := head{Node: node, Epoch: forever, Inc: forever, Seq: forever, Hash: forever}
	ob := obit{Node: node, Inc: forever, Reason: clip(strings.Repeat("x", 2*maxWhy)), By: long, At: time.Now().UnixNano()}
	for _, m := range []*message{
		{Kind: kindUpdate, Update: &update{Head: h}},
		{Kind: kindObit, Obits: []obit{ob}},
	} {
		m.From = identity.New().String()
		if got := len(m.encode()); got > maxBroadcast {
			t.Errorf("kind %d takes %d bytes, want %d at most", m.Kind, got, maxBroadcast)
		}
	}
	c := memberlist.DefaultLANConfig()
	label, encryption, headers := len("tandem-")+63+2, 45, 2+2+1
	if room := c.UDPBufferSize - label - encryption - headers; room < maxBroadcast {
		t.Errorf("a packet has room for %d bytes, want %d at least", room, maxBroadcast)
	}
}

func TestGossip_longSnapshotsLoseNoPart(t *testing.T) {
	inBubble(t, func(w *world) {
		var net sim.Gossip
		rs := gossipers(w, &net, 2)
		a := newAuthor(1)
		for range maxSends + 50 {
			a.write(op{Actor: identity.New(), Name: "bob"})
		}
		var parts []*message
		for i, u := range a.deltas {
			parts = append(parts, &message{Kind: kindUpdate, Update: &update{a.log.mark(a.head), u.Ops, i, len(a.deltas)}})
		}
		rs[0].ask(func() { rs[0].send(rs[1].id.String(), parts...) })
		wait(2 * time.Second)
		if got := len(rs[1].List(Query{})); got != len(a.deltas) {
			w.Errorf("%d entries arrived, want %d", got, len(a.deltas))
		}
	})
}

func TestGossip_slowMemberHoldsUpNoOther(t *testing.T) {
	inBubble(t, func(w *world) {
		var net sim.Gossip
		tr := &slowTransport{NodeAwareTransport: net.Join()}
		a := newWorld(w.T).registrar(&GossipConfig{transport: tr})
		seeds := []string{a.GossipAddr()}
		b := newWorld(w.T).registrar(&GossipConfig{Seeds: seeds, transport: net.Join()})
		c := newWorld(w.T).registrar(&GossipConfig{Seeds: seeds, transport: net.Join()})
		wait(2 * time.Second)
		tr.slow = c.GossipAddr()
		m := func() *message { return &message{Kind: kindUpdate, Update: &update{Head: newAuthor(1).head}} }
		a.ask(func() {
			a.send(c.id.String(), m())
			a.send(b.id.String(), m())
		})
		wait(0)
		if got := len(b.Nodes()); got != 1 {
			w.Errorf("%d nodes known at once, want 1", got)
		}
	})
}
