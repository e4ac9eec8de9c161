package main

import (
	"testing"
	"time"

	"github.com/tandem-actors/tandem/discovery"
	"github.com/tandem-actors/tandem/identity"
	"github.com/tandem-actors/tandem/internal/httpapi"
)

func TestDescribe_isForPeople(t *testing.T) {
	n, a := &identity.NodeID{Name: "node-1"}, &identity.ActorID{Name: "echo"}
	for _, tt := range []struct {
		e    httpapi.Event
		want string
	}{
		{httpapi.Event{Type: "snapshot_end"}, ""},
		{httpapi.Event{Type: "snapshot", Node: n, State: discovery.StateUp}, "node up"},
		{httpapi.Event{Type: "snapshot", Node: n, State: discovery.StateSuspect}, "node suspect"},
		{httpapi.Event{Type: "snapshot", Node: n, Actor: a}, "actor registered  echo"},
		{httpapi.Event{Type: "node_suspect", Node: n, Reason: "it is silent"}, "node suspect: it is silent"},
		{httpapi.Event{Type: "node_left", Node: n, Reason: "it said so"}, "node left"},
		{httpapi.Event{Type: "node_evicted", Node: n, Reason: "it is silent"}, "node evicted: it is silent"},
		{httpapi.Event{Type: "actor_canceled", Node: n, Actor: a, Canceller: "alice", Reason: "too expensive"}, "actor canceled  echo  by alice: too expensive"},
	} {
		if got := describe(tt.e); got != tt.want {
			t.Errorf("%+v is described as %q, want %q", tt.e, got, tt.want)
		}
	}
}

// Tasks have time to end before their node is killed, and all of it is short.
func TestLocal_gracesFit(t *testing.T) {
	if nodeGrace <= cancelGrace || registrarGrace <= registrarStop || nodeGrace+registrarGrace > 3*time.Second {
		t.Errorf("node %v for tasks of %v, registrar %v for %v", nodeGrace, cancelGrace, registrarGrace, registrarStop)
	}
}
