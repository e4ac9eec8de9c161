package discovery

import (
	"cmp"
	"slices"
	"time"

	"github.com/tandem-actors/tandem/identity"
)

// Bounds of a registry. What is above them is not taken in.
const (
	maxRuns    = 64 << 10  // runs, the suspended ones included
	maxEntries = 256 << 10 // actors of one run
	maxAhead   = 1024      // operations of one run that wait for a gap to close
	maxObits   = 64 << 10  // then the oldest are dropped
)

const (
	suspendFor = 5 * time.Minute // that the copy of an evicted run is kept for its return
	partialFor = 5 * time.Second // that a snapshot waits for its next part
)

// A registry is one replica of all logs. It is pure: time is an argument, what
// others must hear is in events, which the driver drains. It is not safe for
// concurrent use.
type registry struct {
	beat   time.Duration // between two heartbeats of a run
	runs   map[identity.UUID]*run
	obits  map[identity.UUID]obit // those in force: the run's incarnation is not above it
	names  map[string]map[ref]bool
	events []Event
	hold   time.Time // nobody is judged before
}

// A ref finds an entry.
type ref struct {
	run   *run
	actor identity.UUID
}

// A run is the copy of one run's log, and what is known of its life.
type run struct {
	head  head // the furthest that anybody knows of; log may be behind
	log   nodeLog
	ahead map[uint64]op // operations after a gap; a snapshot closes it
	torn  bool          // the copy differs from its owner's at the same sequence

	partial partial // the snapshot that is coming in
	judged
	source string    // the member of the gossip that told last
	pulled time.Time // when a snapshot was last asked for, or a part of one came
	spread head      // what gossip was told last
}

// A partial is a snapshot of which some parts have come, in any order.
type partial struct {
	head    head
	parts   int          // how many there are
	ops     map[int][]op // those that have come
	entries int          // in ops
	touched time.Time    // when the last one came
}

func newRegistry(beat time.Duration) *registry {
	return &registry{
		beat:  beat,
		runs:  make(map[identity.UUID]*run),
		obits: make(map[identity.UUID]obit),
		names: make(map[string]map[ref]bool),
	}
}

// view is the head of the copy.
func (o *run) view() head { return o.log.mark(o.head) }

// isBehind reports whether something is missing from the copy.
func (o *run) isBehind() bool { return o.torn || o.log.seq < o.head.Seq }

// isBuried reports whether an obit covers the run.
func (r *registry) isBuried(id identity.UUID) bool {
	_, ok := r.obits[id]
	return ok
}

func (r *registry) emit(now time.Time, e Event) {
	e.Time = now
	r.events = append(r.events, e)
}

func (r *registry) emitActor(now time.Time, t EventType, e Entry, why Why) {
	r.emit(now, Event{Type: t, Node: e.Actor.Node, Actor: &e.Actor, Reason: why.Reason, Canceller: why.Canceller})
}

// merge takes u in, which is heard from its owner or comes by gossip, and
// returns the run; nil if that has left for good or there are too many.
func (r *registry) merge(now time.Time, u update, heard bool) *run {
	o := r.observe(now, u.Head, heard)
	switch {
	case o == nil:
	case u.Parts > 0:
		r.assemble(now, o, u)
	default:
		for _, step := range u.Ops {
			if step.Seq > o.log.seq && len(o.ahead) < maxAhead {
				o.ahead[step.Seq] = step
			}
		}
		r.advance(now, o)
	}
	return o
}

// observe takes in that the run of h has come as far as h says.
func (r *registry) observe(now time.Time, h head, heard bool) *run {
	id := h.Node.UUID
	if ob, ok := r.obits[id]; ok && ob.isFinal() {
		return nil
	}
	o := r.runs[id]
	if o == nil {
		if len(r.runs) >= maxRuns {
			return nil
		}
		o = r.add(now, h)
	}
	if h.Epoch != o.head.Epoch {
		return nil // Not the run that it says it is.
	}
	o.head.Inc = max(o.head.Inc, h.Inc)
	if ob, ok := r.obits[id]; ok && ob.Inc < o.head.Inc {
		r.exhume(now, o, heard)
	}
	o.head.Seq = max(o.head.Seq, h.Seq)
	if h.Seq == o.log.seq && h.Hash != o.log.hash {
		o.torn = true
	}
	if heard {
		r.hear(now, o)
	}
	return o
}

func (r *registry) add(now time.Time, h head) *run {
	o := &run{head: h, log: newNodeLog(), ahead: make(map[uint64]op), judged: judged{since: now}}
	for _, other := range r.runs {
		if other.head.Node.Name == h.Node.Name && other.head.Epoch < h.Epoch {
			other.accused = true // Rule 3.
		}
	}
	r.runs[h.Node.UUID] = o
	if !r.isBuried(h.Node.UUID) {
		r.emit(now, Event{Type: EventNodeUp, Node: h.Node})
	}
	return o
}

// advance applies what has no gap before it.
func (r *registry) advance(now time.Time, o *run) {
	for seq := range o.ahead {
		if seq <= o.log.seq {
			delete(o.ahead, seq)
		}
	}
	for {
		step, ok := o.ahead[o.log.seq+1]
		if !ok {
			break
		}
		delete(o.ahead, step.Seq)
		o.log.seq = step.Seq
		if step.Gone != nil {
			r.drop(now, o, step.Actor, *step.Gone)
		} else {
			r.put(now, o, step)
		}
	}
	o.head.Seq = max(o.head.Seq, o.log.seq)
}

// assemble collects the parts of a snapshot and replaces the copy when they are
// complete, unless the copy has come further. What is missing is pulled again.
func (r *registry) assemble(now time.Time, o *run, u update) {
	p := &o.partial
	if now.Sub(p.touched) > partialFor {
		*p = partial{}
	}
	if u.Head.Seq < max(o.log.seq, p.head.Seq) {
		return
	}
	if u.Head != p.head || u.Parts != p.parts {
		*p = partial{head: u.Head, parts: u.Parts, ops: make(map[int][]op)}
	}
	p.touched, o.pulled = now, now
	if _, known := p.ops[u.Part]; known || p.entries+len(u.Ops) > maxEntries {
		return
	}
	p.ops[u.Part] = u.Ops
	p.entries += len(u.Ops)
	if len(p.ops) < p.parts {
		return
	}
	steps := make([]op, 0, p.entries)
	for part := range p.parts {
		steps = append(steps, p.ops[part]...)
	}
	*p = partial{}
	stays := make(map[identity.UUID]bool, len(steps))
	for _, step := range steps {
		stays[step.Actor] = true
	}
	for id := range o.log.entries {
		if !stays[id] {
			r.drop(now, o, id, Why{Reason: "not in its node's log any more"})
		}
	}
	for _, step := range steps {
		if e, ok := o.log.entries[step.Actor]; !ok || e.Seq != step.Seq {
			r.put(now, o, step)
		}
	}
	o.log.seq = u.Head.Seq
	o.torn = o.log.hash != u.Head.Hash
	r.advance(now, o)
}

func (r *registry) put(now time.Time, o *run, step op) {
	if len(o.log.entries) >= maxEntries {
		return
	}
	e := step.entry(o.head.Node)
	if old, ok := o.log.entries[step.Actor]; ok {
		r.unname(o, old)
	}
	o.log.put(e)
	if r.names[e.Actor.Name] == nil {
		r.names[e.Actor.Name] = make(map[ref]bool)
	}
	r.names[e.Actor.Name][ref{o, step.Actor}] = true
	if !r.isBuried(o.head.Node.UUID) {
		r.emitActor(now, EventActorRegistered, e, Why{})
	}
}

func (r *registry) drop(now time.Time, o *run, actor identity.UUID, why Why) {
	e, ok := o.log.drop(actor)
	if !ok {
		return
	}
	r.unname(o, e)
	if r.isBuried(o.head.Node.UUID) {
		return
	}
	t := EventActorDeregistered
	if why.Canceller != "" {
		t = EventActorCanceled
	}
	r.emitActor(now, t, e, why)
}

func (r *registry) unname(o *run, e Entry) {
	refs := r.names[e.Actor.Name]
	if delete(refs, ref{o, e.Actor.UUID}); len(refs) == 0 {
		delete(r.names, e.Actor.Name)
	}
}

// bury puts ob in force, unless the run has refuted it or a stronger one is.
func (r *registry) bury(now time.Time, ob obit) bool {
	id := ob.Node.UUID
	o, old := r.runs[id], r.obits[id]
	if r.isBuried(id) && old.Inc >= ob.Inc || o != nil && o.head.Inc > ob.Inc {
		return false
	}
	news := o != nil && !r.isBuried(id)
	r.obits[id] = ob
	if news {
		gone, left := EventActorEvicted, EventNodeEvicted
		if ob.isFinal() {
			gone, left = EventActorDeregistered, EventNodeLeft
		}
		for _, e := range sortedEntries(o) {
			r.emitActor(now, gone, e, Why{Reason: ob.Reason})
		}
		r.emit(now, Event{Type: left, Node: ob.Node, Reason: ob.Reason})
		o.since = now
	}
	if ob.isFinal() && o != nil {
		r.forget(o)
	}
	return true
}

// exhume brings back a run that has refuted its obit.
func (r *registry) exhume(now time.Time, o *run, heard bool) {
	delete(r.obits, o.head.Node.UUID)
	o.vouched = now
	t, reason := EventNodeRestored, "it refuted its eviction"
	if heard || o.heard.IsZero() {
		o.strikes = 0
	} else if o.strikes > 0 {
		o.refuted = true
		t, reason = EventNodeSuspect, "it refuted its eviction, but does not answer here"
	}
	r.emit(now, Event{Type: t, Node: o.head.Node, Reason: reason})
	for _, e := range sortedEntries(o) {
		r.emitActor(now, EventActorRegistered, e, Why{})
	}
}

// forget drops the copy of a run; its obit, if there is one, stays.
func (r *registry) forget(o *run) {
	for _, e := range o.log.entries {
		r.unname(o, e)
	}
	delete(r.runs, o.head.Node.UUID)
}

// sweep drops the copies of those who did not come back, and the oldest obits
// if there are too many. Age alone drops no obit: nobody knows how long a
// registrar that still has the run may have been cut off.
func (r *registry) sweep(now time.Time) {
	for id, o := range r.runs {
		if r.isBuried(id) && now.Sub(o.since) > suspendFor {
			r.forget(o)
		}
	}
	if len(r.obits) <= maxObits {
		return
	}
	all := make([]obit, 0, len(r.obits))
	for _, ob := range r.obits {
		all = append(all, ob)
	}
	slices.SortFunc(all, newestFirst)
	for _, ob := range all[maxObits*9/10:] {
		delete(r.obits, ob.Node.UUID)
	}
}

func newestFirst(a, b obit) int { return cmp.Compare(b.At, a.At) }
