package discovery

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"github.com/tandem-actors/tandem/identity"
)

// An Entry is one registered actor.
type Entry struct {
	Actor      identity.ActorID `json:"actor"`
	Endpoints  []string         `json:"endpoints"`
	Seq        uint64           `json:"seq"`        // in the log of its node
	Registered time.Time        `json:"registered"` // by the clock of its node
}

// CompareAge sorts actors of one name as [Client.Find] tries them: the newest
// first (rule 8).
func CompareAge(a, b Entry) int {
	return cmp.Or(b.Registered.Compare(a.Registered), bytes.Compare(b.Actor.UUID[:], a.Actor.UUID[:]))
}

// A Why says why an actor ended. An actor that was canceled has a Canceller.
type Why struct {
	Reason    string `json:"reason,omitempty" cbor:"1,keyasint,omitempty"`
	Canceller string `json:"canceller,omitempty" cbor:"2,keyasint,omitempty"`
}

// A head says how far the log of a run has come.
type head struct {
	Node  identity.NodeID `cbor:"1,keyasint"`
	Epoch uint64          `cbor:"2,keyasint"` // rises with each run of a name
	Inc   uint64          `cbor:"3,keyasint"` // raised by the run to refute an obit
	Seq   uint64          `cbor:"4,keyasint"` // of the last operation
	Hash  uint64          `cbor:"5,keyasint"` // over the actors there are
}

// An op is one operation of a log: an actor came or, with Gone, went.
type op struct {
	Seq        uint64        `cbor:"1,keyasint"`
	Actor      identity.UUID `cbor:"2,keyasint"`
	Name       string        `cbor:"3,keyasint,omitempty"`
	Endpoints  []string      `cbor:"4,keyasint,omitempty"`
	Registered int64         `cbor:"5,keyasint,omitempty"` // Unix nanoseconds
	Gone       *Why          `cbor:"6,keyasint,omitempty"`
}

// An update carries a head and what led there: consecutive operations or, if
// Parts is not zero, one part of a snapshot, sorted by sequence.
type update struct {
	Head  head `cbor:"1,keyasint"`
	Ops   []op `cbor:"2,keyasint,omitempty"`
	Part  int  `cbor:"3,keyasint,omitempty"`
	Parts int  `cbor:"4,keyasint,omitempty"`
}

// entry returns what o registers. Whose log it stands in says on which node.
func (o op) entry(node identity.NodeID) Entry {
	return Entry{
		Actor:      identity.ActorID{Name: o.Name, UUID: o.Actor, Node: node},
		Endpoints:  o.Endpoints,
		Seq:        o.Seq,
		Registered: time.Unix(0, o.Registered).UTC(),
	}
}

// op undoes entry.
func (e Entry) op() op {
	return op{Seq: e.Seq, Actor: e.Actor.UUID, Name: e.Actor.Name, Endpoints: e.Endpoints, Registered: e.Registered.UnixNano()}
}

// foundSize is about what e takes in an answer, rather more than less.
func (e Entry) foundSize() int { return 96 + len(e.Actor.Name) + len(e.Actor.Node.Name) }

// size is about what o takes on the wire.
func (o op) size() int {
	n := 64 + len(o.Name)
	for _, e := range o.Endpoints {
		n += 3 + len(e)
	}
	return n
}

// A nodeLog is the log of one run, folded: what is left when the operations up
// to seq have been applied.
type nodeLog struct {
	seq     uint64
	hash    uint64 // Of all entries; the order does not matter.
	entries map[identity.UUID]Entry
}

func newNodeLog() nodeLog { return nodeLog{entries: make(map[identity.UUID]Entry)} }

// put adds e in place of an entry with its uuid.
func (l *nodeLog) put(e Entry) {
	l.drop(e.Actor.UUID)
	l.entries[e.Actor.UUID] = e
	l.hash ^= mix(e)
}

// drop removes an entry, if there is one.
func (l *nodeLog) drop(actor identity.UUID) (Entry, bool) {
	e, ok := l.entries[actor]
	if ok {
		delete(l.entries, actor)
		l.hash ^= mix(e)
	}
	return e, ok
}

// mix hashes what tells versions of an entry apart.
func mix(e Entry) uint64 {
	var b [24]byte
	copy(b[:], e.Actor.UUID[:])
	binary.BigEndian.PutUint64(b[16:], e.Seq)
	h := fnv.New64a()
	_, _ = h.Write(b[:]) // It never fails.
	return h.Sum64()
}

// mark returns h with how far l has come.
func (l *nodeLog) mark(h head) head {
	h.Seq, h.Hash = l.seq, l.hash
	return h
}

// partSize is about how large one part of a snapshot is.
const partSize = 256 << 10

// snapshot returns the parts that make a copy of l, at least one.
func (l *nodeLog) snapshot(h head) []update {
	parts := []update{{Head: l.mark(h)}}
	room := partSize
	bySeq := func(a, b Entry) int { return cmp.Compare(a.Seq, b.Seq) }
	for _, e := range slices.SortedFunc(maps.Values(l.entries), bySeq) {
		o := e.op()
		if room -= o.size(); room < 0 {
			parts = append(parts, update{Head: l.mark(h), Part: len(parts)})
			room = partSize - o.size()
		}
		last := &parts[len(parts)-1]
		last.Ops = append(last.Ops, o)
	}
	for i := range parts {
		parts[i].Parts = len(parts)
	}
	return parts
}
