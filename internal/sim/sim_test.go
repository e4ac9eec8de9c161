package sim_test

import (
	"fmt"
	"io"
	"log"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/tandem-actors/tandem/internal/sim"
)

// ring starts n members that know each other.
func ring(t *testing.T, g *sim.Gossip, n int) []*memberlist.Memberlist {
	t.Helper()
	var members []*memberlist.Memberlist
	for i := range n {
		c := memberlist.DefaultLANConfig()
		c.Name = fmt.Sprintf("n%d", i)
		c.Transport = g.Join()
		c.Logger = log.New(io.Discard, "", 0)
		m, err := memberlist.Create(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Shutdown() })
		if i > 0 {
			if _, err := m.Join([]string{members[0].LocalNode().Address()}); err != nil {
				t.Fatal(err)
			}
		}
		members = append(members, m)
	}
	time.Sleep(3 * time.Second)
	for i, m := range members {
		if got := m.NumMembers(); got != n {
			t.Fatalf("member %d sees %d members, want %d", i, got, n)
		}
	}
	return members
}

func TestGossip_crashIsNoticed(t *testing.T) {
	sim.Bubble(t, func(t *testing.T) {
		var g sim.Gossip
		members := ring(t, &g, 4)
		_ = members[3].Shutdown()
		time.Sleep(30 * time.Second)
		if got := members[0].NumMembers(); got != 3 {
			t.Errorf("30s after a crash, %d members are left, want 3", got)
		}
	})
}

func TestGossip_cutSeparatesUntilHealed(t *testing.T) {
	sim.Bubble(t, func(t *testing.T) {
		var g sim.Gossip
		members := ring(t, &g, 2)
		a, b := members[0].LocalNode().Address(), members[1].LocalNode().Address()
		g.Cut(a, b)
		g.Cut(b, a)
		time.Sleep(time.Minute)
		if x, y := members[0].NumMembers(), members[1].NumMembers(); x != 1 || y != 1 {
			t.Errorf("cut off, members see %d and %d, want 1 and 1", x, y)
		}
		if _, err := members[0].Join([]string{b}); err == nil {
			t.Error("Join over a cut succeeded")
		}
		g.Heal(a, b)
		g.Heal(b, a)
		if _, err := members[0].Join([]string{b}); err != nil {
			t.Errorf("Join after healing: %v", err)
		}
	})
}
