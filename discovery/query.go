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

// maxFound is how many actors of one name an answer may hold, the newest ones.
const maxFound = 4096

// find returns the actors of exactly that name that are up, by rule 8.
func (r *registry) find(name string) []Entry {
	var found []Entry
	for at := range r.names[name] {
		if r.state(at.run) == StateUp {
			found = append(found, at.run.log.entries[at.actor])
		}
	}
	slices.SortFunc(found, compareAge)
	return found[:min(len(found), maxFound)]
}

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
	slices.SortFunc(records, func(a, b Record) int { return compareActors(a.Actor, b.Actor) })
	return records
}

func (r *registry) nodes() []NodeRecord {
	records := []NodeRecord{}
	for _, o := range r.runs {
		records = append(records, NodeRecord{o.head.Node, r.state(o), len(o.log.entries), o.heard})
	}
	slices.SortFunc(records, func(a, b NodeRecord) int {
		return cmp.Or(cmp.Compare(a.Node.Name, b.Node.Name), bytes.Compare(a.Node.UUID[:], b.Node.UUID[:]))
	})
	return records
}

// compareActors sorts for people: by name, node and uuid.
func compareActors(a, b identity.ActorID) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Node.Name, b.Node.Name), bytes.Compare(a.UUID[:], b.UUID[:]))
}

func sortedEntries(o *run) []Entry {
	return slices.SortedFunc(maps.Values(o.log.entries), func(a, b Entry) int { return compareActors(a.Actor, b.Actor) })
}
