package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/identity"
)

// A Class separates what must not wait from what may.
type Class uint8

// The classes of frames. There is no order between them.
const (
	Control Class = iota // few and small: never waits for room, overtakes data
	Data                 // as many as the network takes: waits for room
)

// closeGrace is how long Close goes on sending what was accepted before.
const closeGrace = time.Second

// A Receiver gets what arrives at a [Port]. Its methods are called by the
// port's readers, one for each class and one for Unreachable, and by its writer,
// at the same time. They must not block, and not call Close of the port or its
// bus.
type Receiver interface {
	// Receive gets a frame from a node. The frames of one node and class
	// arrive in the order they were sent in. Frame belongs to the receiver.
	Receive(from identity.UUID, class Class, frame []byte)
	// Unreachable says that nobody listened where a control frame for node was
	// sent: it has ended, is cut off, or has not been heard of here yet.
	Unreachable(node identity.UUID)
	// Lost says that frames for node, which Send had accepted, were refused by
	// the bus, and why. They will not be sent again.
	Lost(node identity.UUID, err error)
}

// A Port is one node's end of the transport. It is safe for concurrent use.
type Port struct {
	bus         Bus
	realm       string
	self        identity.UUID
	receiver    Receiver
	unsubscribe []func()
	readers     gate
	writer      sync.WaitGroup

	framesIn, batchesIn, malformed, unreachable atomic.Uint64

	mu       sync.Mutex // guards all below
	work     *sync.Cond // there is something to send, or closed is set
	out      *outbox
	sent     Stats // only the fields about sending
	closed   bool
	deadline time.Time // when closed: after it, the rest is dropped
}

// Stats counts what a [Port] has done since Listen.
type Stats struct {
	FramesSent, BatchesSent uint64
	// FramesLost and BatchesLost is what the bus refused, mostly because there
	// was no connection, and what Close had no time for.
	FramesLost, BatchesLost         uint64
	FramesReceived, BatchesReceived uint64
	// Malformed counts messages that were no batches and were dropped.
	Malformed uint64
	// Unreachable counts the calls of Receiver.Unreachable.
	Unreachable uint64
	// WaitingBytes is what has been accepted and not yet sent.
	WaitingBytes int
}

// Listen makes receiver hear what other nodes of the realm send to self. If
// realm is empty, it is [identity.DefaultRealm]. The bus must outlive the port.
func Listen(bus Bus, realm string, self identity.UUID, receiver Receiver) (*Port, error) {
	realm = cmp.Or(realm, identity.DefaultRealm)
	if err := identity.CheckRealm(realm); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	p := &Port{bus: bus, realm: realm, self: self, receiver: receiver, out: newOutbox(realm, self)}
	p.work = sync.NewCond(&p.mu)
	hear := func(subject string, handle func(subject, reply string, data []byte)) error {
		unsubscribe, err := bus.Subscribe(subject, "", handle)
		if err == nil {
			p.unsubscribe = append(p.unsubscribe, unsubscribe)
		}
		return err
	}
	if err := errors.Join(
		hear(classSubject(realm, self, Control), func(_, _ string, data []byte) { p.receive(Control, data) }),
		hear(classSubject(realm, self, Data), func(_, _ string, data []byte) { p.receive(Data, data) }),
		hear(noReplierSubject(realm, self, "*"), func(subject, _ string, _ []byte) { p.miss(subject) }),
	); err != nil {
		p.deafen()
		return nil, fmt.Errorf("listen: %w", err)
	}
	p.writer.Go(p.write)
	return p, nil
}

// MaxFrame is the size in bytes of the largest frame.
func (p *Port) MaxFrame() int { return p.bus.MaxPayload() - batchHeader - frameHeader }

// Send copies frame and returns; it is sent to node right after. Frames that
// are sent meanwhile share its message. Send does not report loss.
//
// Up to 4 MiB of control frames wait for each node, and 4 MiB more of those up
// to 4 KiB; beyond that it is [fault.ErrBusy].
// Up to 1 MiB of data frames wait; then Send waits until half of them have
// left, ctx is done, or the port closed ([fault.ErrClosed]). Frames over
// MaxFrame are a [*fault.TooLarge], and frames to this node itself are
// [fault.ErrMisuse].
func (p *Port) Send(ctx context.Context, node identity.UUID, class Class, frame []byte) error {
	maxPayload := p.bus.MaxPayload()
	if limit := maxPayload - batchHeader - frameHeader; len(frame) > limit {
		return &fault.TooLarge{Size: len(frame), Limit: limit}
	}
	if node == p.self || class > Data {
		return fmt.Errorf("send to %v, class %d: %w", node, class, fault.ErrMisuse)
	}
	for {
		room, err := p.offer(node, class, frame, min(batchSize, maxPayload))
		if err != nil {
			return fmt.Errorf("send to %v: %w", node, err)
		}
		if room == nil {
			return nil
		}
		select {
		case <-room:
		case <-ctx.Done():
			return fmt.Errorf("send to %v: %w", node, context.Cause(ctx))
		}
	}
}

// offer takes frame, or returns when to try again.
func (p *Port) offer(node identity.UUID, class Class, frame []byte, limit int) (room <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, fault.ErrClosed
	}
	l := p.out.lane(node, class)
	switch {
	case !l.isFull(len(frame)):
		p.out.put(l, frame, limit)
		p.work.Signal()
		return nil, nil
	case class == Control:
		return nil, fault.ErrBusy
	default:
		return l.vacancy(), nil
	}
}

// write sends batches until the port is closed. It is the only one who
// publishes, so a stalled connection blocks no sender before its lane is full.
func (p *Port) write() {
	p.mu.Lock()
	for {
		l, b := p.out.take()
		switch {
		case b != nil:
			p.post(l, b)
		case p.closed:
			p.mu.Unlock()
			return
		default:
			p.work.Wait()
		}
	}
}

// post publishes b, without p.mu, and counts what became of it. There is
// nothing to try again: a batch that is refused now would arrive late, after
// its receiver has noticed the gap.
func (p *Port) post(l *lane, b *batch) {
	err := fault.ErrClosed
	if !p.closed || time.Now().Before(p.deadline) {
		p.mu.Unlock()
		if err = p.bus.Publish(l.subject, l.reply, b.data); err != nil {
			p.receiver.Lost(l.node, err)
		}
		p.mu.Lock()
	}
	if err != nil {
		p.sent.BatchesLost++
		p.sent.FramesLost += uint64(b.frames)
	} else {
		p.sent.BatchesSent++
		p.sent.FramesSent += uint64(b.frames)
	}
	p.out.sent(b)
}

// receive hands the frames of a batch to the receiver.
func (p *Port) receive(class Class, data []byte) {
	if !p.readers.enter() {
		return
	}
	defer p.readers.leave()
	sender, frames, err := parseBatch(data)
	if err != nil {
		p.malformed.Add(1)
		return
	}
	p.batchesIn.Add(1)
	for frame := []byte(nil); len(frames) > 0; {
		frame, frames = nextFrame(frames)
		p.framesIn.Add(1)
		p.receiver.Receive(sender, class, frame)
	}
}

// miss tells the receiver whom a control batch did not reach.
func (p *Port) miss(subject string) {
	if !p.readers.enter() {
		return
	}
	defer p.readers.leave()
	peer, ok := noReplierPeer(subject)
	if !ok {
		p.malformed.Add(1)
		return
	}
	p.unreachable.Add(1)
	p.receiver.Unreachable(peer)
}

// Flush returns when all that Send accepted before has reached the broker, or
// was refused by the bus. It waits 5 seconds if ctx has no deadline.
func (p *Port) Flush(ctx context.Context) error {
	ctx, stop := patient(ctx, flushPatience)
	defer stop()
	p.mu.Lock()
	flushed := p.out.flushed()
	p.mu.Unlock()
	select {
	case <-flushed:
	case <-ctx.Done():
		return fmt.Errorf("flush: %w", context.Cause(ctx))
	}
	return p.bus.Flush(ctx)
}

// Stats returns a copy of the counters.
func (p *Port) Stats() Stats {
	p.mu.Lock()
	s := p.sent
	s.WaitingBytes = p.out.waiting
	p.mu.Unlock()
	s.FramesReceived, s.BatchesReceived = p.framesIn.Load(), p.batchesIn.Load()
	s.Malformed, s.Unreachable = p.malformed.Load(), p.unreachable.Load()
	return s
}

// Close refuses new frames, sends the accepted ones for at most a second, or as
// long as a stalled Publish of the bus takes, and stops receiving. The receiver
// is not called after it returns. Close may be called twice, but not by the
// receiver.
func (p *Port) Close() error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		p.deadline = time.Now().Add(closeGrace)
		p.out.wakeAll()
		p.work.Signal()
	}
	p.mu.Unlock()
	p.writer.Wait()
	p.deafen()
	return nil
}

// deafen ends the calls of the receiver.
func (p *Port) deafen() {
	for _, unsubscribe := range p.unsubscribe {
		unsubscribe()
	}
	p.readers.shut()
}
