package discovery

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/tandem-actors/tandem/identity"
)

// A State says what a registrar thinks of a node, and so of its actors.
type State string

// The states of nodes and actors.
const (
	StateUp      State = "up"
	StateSuspect State = "suspect" // does not answer; hidden, not yet evicted
	StateEvicted State = "evicted" // kept for a while, in case it comes back
)

// A Query selects actors; all that it names must fit.
type Query struct {
	Name string // exactly; empty: any
	Node string // name or uuid of the node; empty: any
	All  bool   // also those that are not up
}

// A Record is an actor as a registrar sees it.
type Record struct {
	Entry
	State        State     `json:"state"`
	NodeLastSeen time.Time `json:"node_last_seen,omitzero"` // zero: known through gossip only
}

// A NodeRecord is one run of a node as a registrar sees it.
type NodeRecord struct {
	Node     identity.NodeID `json:"node"`
	State    State           `json:"state"`
	Actors   int             `json:"actors"`
	LastSeen time.Time       `json:"last_seen,omitzero"` // zero: known through gossip only
}

func (r *registry) state(o *run) State {
	switch {
	case r.isBuried(o.head.Node.UUID):
		return StateEvicted
	case o.strikes > 0:
		return StateSuspect
	default:
		return StateUp
	}
}

// maxAnswer is how many bytes of actors an answer may hold, the newest ones.
const maxAnswer = 256 << 10

// find returns the actors of exactly that name that are up, by rule 8, as far
// as they fit an answer.
func (r *registry) find(name string) []Entry {
	var found []Entry
	for at := range r.names[name] {
		if r.state(at.run) == StateUp {
			found = append(found, at.run.log.entries[at.actor])
		}
	}
	slices.SortFunc(found, CompareAge)
	room := maxAnswer
	for i, e := range found {
		if room -= e.foundSize(); room < 0 {
			return found[:i]
		}
	}
	return found
}

// list returns the actors that q selects, in no order: sorting is for who asks.
func (r *registry) list(q Query) []Record {
	records := []Record{}
	for _, o := range r.runs {
		state, node := r.state(o), o.head.Node
		if !q.All && state != StateUp || q.Node != "" && q.Node != node.Name && q.Node != node.UUID.String() {
			continue
		}
		for _, e := range o.log.entries {
			if q.Name == "" || q.Name == e.Actor.Name {
				records = append(records, Record{e, state, o.heard})
			}
		}
	}
	return records
}

// nodes returns all runs, in no order.
func (r *registry) nodes() []NodeRecord {
	records := []NodeRecord{}
	for _, o := range r.runs {
		records = append(records, NodeRecord{o.head.Node, r.state(o), len(o.log.entries), o.heard})
	}
	return records
}

func compareNodes(a, b identity.NodeID) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), bytes.Compare(a.UUID[:], b.UUID[:]))
}

// compareActors sorts for people: by name, node and uuid.
func compareActors(a, b identity.ActorID) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Node.Name, b.Node.Name), bytes.Compare(a.UUID[:], b.UUID[:]))
}

func sortedEntries(o *run) []Entry {
	return slices.SortedFunc(maps.Values(o.log.entries), func(a, b Entry) int { return compareActors(a.Actor, b.Actor) })
}
