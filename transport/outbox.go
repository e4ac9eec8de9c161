package transport

import "github.com/tandem-actors/tandem/identity"

// How many bytes wait for one peer before its lane is full. A lane takes one
// more frame, of whatever size, as long as it holds less, so that small frames
// cannot keep a large one out for ever.
const (
	controlBound = 4 << 20 // and as much again for frames up to smallControl
	smallControl = 4 << 10
	dataBound    = 1 << 20
)

const (
	// spareBatches is how many sent buffers are kept for reuse.
	spareBatches = 32
	// idleLanes is how many peers without waiting frames are remembered, to
	// spare their subjects' construction. Twice as many are swept.
	idleLanes = 512
)

// An outbox is what one port has accepted and not yet sent: a lane of batches
// for each peer and class. It is not safe for concurrent use.
type outbox struct {
	realm string
	self  identity.UUID

	lanes   map[laneKey]*lane
	sweepAt int           // how many lanes make the idle ones go
	ready   [2]laneQueue  // by class: the lanes with batches, in order of service
	spare   []*batch      // at most spareBatches
	last    uint64        // the number of the newest batch
	unsent  int           // batches that wait or are being sent
	waiting int           // bytes in all lanes
	flushes []*flushBatch // those not yet complete
}

type laneKey struct {
	peer  identity.UUID
	class Class
}

// A batch is a message under construction; see batch.go for its format.
type batch struct {
	data   []byte
	frames int
	number uint64
	next   *batch // in its lane
}

// A lane holds the batches for one peer and class, the oldest first. Frames are
// added to the newest; the one that is being sent is no longer in the lane.
type lane struct {
	subject, reply string
	node           identity.UUID
	class          Class
	oldest, newest *batch
	size           int           // bytes waiting
	room           chan struct{} // closed when half of the bound is free again; nil if nobody waits
	next           *lane         // in its queue
}

// A laneQueue is a list of lanes, first in, first out.
type laneQueue struct{ first, last *lane }

func (q *laneQueue) push(l *lane) {
	if q.first == nil {
		q.first = l
	} else {
		q.last.next = l
	}
	q.last = l
}

func (q *laneQueue) pop() *lane {
	l := q.first
	if l != nil {
		q.first, l.next = l.next, nil
	}
	return l
}

// A flushBatch waits until the batches up to a number have been sent.
type flushBatch struct {
	upTo   uint64
	unsent int
	done   chan struct{}
}

func newOutbox(realm string, self identity.UUID) *outbox {
	return &outbox{realm: realm, self: self, lanes: make(map[laneKey]*lane), sweepAt: 2 * idleLanes}
}

// lane returns the lane to peer.
func (o *outbox) lane(peer identity.UUID, class Class) *lane {
	key := laneKey{peer, class}
	if l := o.lanes[key]; l != nil {
		return l
	}
	if len(o.lanes) >= o.sweepAt {
		for k, l := range o.lanes {
			if l.oldest == nil {
				delete(o.lanes, k)
			}
		}
		o.sweepAt = 2 * max(idleLanes, len(o.lanes)) // So that sweeps stay rare.
	}
	l := &lane{subject: classSubject(o.realm, peer, class), node: peer, class: class}
	if class == Control { // Somebody must hear of a dead peer; once is enough.
		l.reply = noReplierSubject(o.realm, o.self, peer.String())
	}
	o.lanes[key] = l
	return l
}

// isFull reports whether the lane takes no frame of that size any more. Control
// keeps as much room again for small frames: large ones ask for something, small
// ones end it. Data is full for everybody as long as somebody waits for room, or
// newcomers would keep it so.
func (l *lane) isFull(size int) bool {
	switch {
	case l.class == Data:
		return l.size >= dataBound || l.room != nil
	case size <= smallControl:
		return l.size >= 2*controlBound
	}
	return l.size >= controlBound
}

// vacancy returns a channel that is closed when the lane, which is full, has
// room again.
func (l *lane) vacancy() <-chan struct{} {
	if l.room == nil {
		l.room = make(chan struct{})
	}
	return l.room
}

// wake lets everyone who waits for room try again.
func (l *lane) wake() {
	if l.room != nil {
		close(l.room)
		l.room = nil
	}
}

// wakeAll wakes all lanes.
func (o *outbox) wakeAll() {
	for _, l := range o.lanes {
		l.wake()
	}
}

// put copies frame into the newest batch of l, or into a new one if that would
// grow over limit.
func (o *outbox) put(l *lane, frame []byte, limit int) {
	b := l.newest
	if b == nil || len(b.data)+frameHeader+len(frame) > limit {
		b = o.begin(l)
	}
	before := len(b.data)
	b.data = appendFrame(b.data, frame)
	b.frames++
	l.size += len(b.data) - before
	o.waiting += len(b.data) - before
}

// begin adds a batch to l.
func (o *outbox) begin(l *lane) *batch {
	b := new(batch)
	if n := len(o.spare); n > 0 {
		b, o.spare = o.spare[n-1], o.spare[:n-1]
	}
	o.last++
	o.unsent++
	b.number = o.last
	b.data = appendBatch(b.data[:0], o.self)
	l.size += len(b.data)
	o.waiting += len(b.data)
	if l.oldest == nil {
		l.oldest = b
		o.ready[l.class].push(l)
	} else {
		l.newest.next = b
	}
	l.newest = b
	return b
}

// take removes the batch to send next and returns it and its lane, or nil if
// nothing waits. Control goes first; the lanes of a class take turns.
func (o *outbox) take() (*lane, *batch) {
	l := o.ready[Control].pop()
	if l == nil {
		l = o.ready[Data].pop()
	}
	if l == nil {
		return nil, nil
	}
	b := l.oldest
	l.oldest, b.next = b.next, nil
	if l.oldest == nil {
		l.newest = nil
	} else {
		o.ready[l.class].push(l)
	}
	l.size -= len(b.data)
	o.waiting -= len(b.data)
	if l.size <= dataBound/2 {
		l.wake()
	}
	return l, b
}

// sent ends the life of a batch that was taken.
func (o *outbox) sent(b *batch) {
	o.unsent--
	for i := 0; i < len(o.flushes); {
		f := o.flushes[i]
		if b.number <= f.upTo {
			f.unsent--
		}
		if f.unsent > 0 {
			i++
			continue
		}
		close(f.done)
		last := len(o.flushes) - 1
		o.flushes[i], o.flushes[last] = o.flushes[last], nil
		o.flushes = o.flushes[:last]
	}
	if len(o.spare) < spareBatches && cap(b.data) <= 2*batchSize {
		*b = batch{data: b.data}
		o.spare = append(o.spare, b)
	}
}

// flushed returns a channel that is closed when all that waits has been sent.
func (o *outbox) flushed() <-chan struct{} {
	f := &flushBatch{upTo: o.last, unsent: o.unsent, done: make(chan struct{})}
	if f.unsent == 0 {
		close(f.done)
	} else {
		o.flushes = append(o.flushes, f)
	}
	return f.done
}
