package discovery

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/tandem-actors/tandem/internal/sim"
)

// A slowTransport reaches nobody at one address, and takes long to find out.
type slowTransport struct {
	memberlist.NodeAwareTransport
	slow string
}

func (s *slowTransport) DialAddressTimeout(a memberlist.Address, patience time.Duration) (net.Conn, error) {
	if a.Addr == s.slow {
		time.Sleep(patience)
		return nil, errors.New("nobody answers")
	}
	return s.NodeAwareTransport.DialAddressTimeout(a, patience)
}

func TestGossip_deadSeedHoldsUpNoOther(t *testing.T) {
	inBubble(t, func(w *world) {
		var ring sim.Gossip
		a := newWorld(w.T).registrar(&GossipConfig{transport: ring.Join()})
		tr := &slowTransport{NodeAwareTransport: ring.Join(), slow: "1.0.0.1:1"}
		b := newWorld(w.T).registrar(&GossipConfig{Seeds: []string{tr.slow, a.GossipAddr()}, transport: tr})
		wait(time.Second)
		if got := len(b.Status().Members); got != 2 {
			w.Errorf("%d members a second after the start, want 2", got)
		}
	})
}

func TestGossip_forgetsAddressesThatStayDead(t *testing.T) {
	inBubble(t, func(w *world) {
		var ring sim.Gossip
		rs := gossipers(w, &ring, 2)
		between(rs[0], rs[1], ring.Cut)
		wait(2 * maxFailures * rejoinEvery)
		if got := rs[0].gossip.known(); len(got) != 0 {
			w.Errorf("addresses to try: %q, want none", got)
		}
		if got := rs[1].gossip.known(); !slices.Equal(got, []string{rs[0].GossipAddr()}) {
			w.Errorf("addresses to try: %q, want the seed", got)
		}
	})
}

func TestGossip_doesNotJoinItself(t *testing.T) {
	r := newWorld(t).registrar(&GossipConfig{})
	_, port, err := net.SplitHostPort(r.GossipAddr())
	if err != nil {
		t.Fatal(err)
	}
	if got := r.gossip.absent(t.Context(), fmt.Sprint("localhost:", port)); slices.Contains(got, r.GossipAddr()) {
		t.Errorf("it would join %q, and is one of them", got)
	}
}

func TestNewRegistrar_refusesASeedWithoutPort(t *testing.T) {
	_, err := NewRegistrar(t.Context(), RegistrarConfig{Bus: newWorld(t).attach(), Gossip: &GossipConfig{Seeds: []string{"localhost"}}})
	if err == nil || !strings.Contains(err.Error(), "seed: address localhost: missing port") {
		t.Errorf("NewRegistrar = %v, want something about the port of the seed", err)
	}
}
