package cluster

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	actorcontext "github.com/tandem-actors/tandem/context"
	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/identity"
	"github.com/tandem-actors/tandem/telemetry"
)

// A side drives one [actorcontext.Machine]: it carries out what the machine
// says, and nothing else decides anything. The reader of the link calls
// receive; the local task calls the rest.
type side struct {
	node     *Node
	id       identity.UUID
	which    actorcontext.Side
	me, peer identity.ActorID
	endpoint string
	actor    *actor     // Of a child: whose task it is.
	watched  bool       // Counted in links; guarded by node.mu.
	born     time.Time  // When it was opened.
	span     trace.Span // Of a parent the open span, of a child the run span.

	// sending serializes the ordered messages of this side. It is a channel
	// so that waiting for it can be given up.
	sending chan struct{}

	mu        sync.Mutex // Guards what follows. Nothing waits while holding it.
	m         actorcontext.Machine
	queue     [][]byte // Received and not yet read; at most Config.Buffer, see receive.
	first     []byte
	result    []byte
	wave      *wave  // The cancel that this side asked for, until its ack.
	heard     uint32 // The heartbeat at which the peer was last heard or asked.
	stop      context.CancelCauseFunc
	doubted   bool // The peer has said once that it does not have this context.
	leaving   bool // The block has ended: values of the stream are for nobody.
	abandoned bool // Nobody waits for the end any more.

	opened chan struct{} // Closed when first is there.
	asked  chan struct{} // Of a parent: closed when it has asked the child to end.
	done   chan struct{} // Closed when the outcome is known.
	wake   chan struct{} // Holds a token when a reader should look again.
}

func newSide(n *Node, which actorcontext.Side, id identity.UUID, me, peer identity.ActorID, endpoint string) *side {
	return &side{
		node: n, id: id, which: which, me: me, peer: peer, endpoint: endpoint,
		born:    time.Now(),
		m:       actorcontext.New(which, me, peer),
		sending: make(chan struct{}, 1),
		heard:   n.beats.Load(),
		opened:  make(chan struct{}),
		asked:   make(chan struct{}),
		done:    make(chan struct{}),
		wake:    make(chan struct{}, 1),
	}
}

// frame writes msg as this side's.
func (s *side) frame(msg actorcontext.Message) []byte {
	msg.Context, msg.From = s.id, s.which
	return actorcontext.AppendMessage(make([]byte, 0, actorcontext.Overhead+len(msg.Payload)), &msg)
}

// send sends an ordered message. It waits while the outbox to the peer is
// full, until ctx is done.
func (s *side) send(ctx context.Context, kind actorcontext.Kind, payload []byte) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case s.sending <- struct{}{}:
		defer func() { <-s.sending }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.mu.Lock()
	seq, err := s.m.MaySend(kind)
	early := kind == actorcontext.Started // Its answer may be here before the note that it left.
	if err == nil && early {
		s.m.Sent(kind)
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	err = s.node.send(ctx, s.peer.Node.UUID, kind, s.frame(actorcontext.Message{Kind: kind, Seq: seq, Payload: payload}))
	s.mu.Lock()
	switch {
	case err == nil && !early:
		s.m.Sent(kind)
	case err != nil && early:
		s.m.NotStarted()
	}
	s.mu.Unlock()
	return err
}

// receive applies a message of the peer's. It runs on the reader of the link
// and never waits: a message beyond the buffer's bound is dropped and ends the
// context with an Overrun (scenarios F-14, F-15).
func (s *side) receive(msg *actorcontext.Message) {
	s.mu.Lock()
	s.heard, s.doubted = s.node.beats.Load(), false
	do, err := s.m.Receive(msg)
	if err != nil {
		do = s.m.Lose(&LinkLost{Peer: s.peer.Node, Why: err.Error()})
	}
	if do&actorcontext.Deliver != 0 && !s.leaving {
		if len(s.queue) < s.node.cfg.Buffer {
			s.queue = append(s.queue, msg.Payload)
		} else {
			do |= s.m.Interrupt(&Overrun{Sender: s.peer, Receiver: s.me, Endpoint: s.endpoint, Capacity: s.node.cfg.Buffer})
		}
	}
	if do&actorcontext.Enter != 0 {
		s.first = msg.Payload
	}
	if do&actorcontext.Finish != 0 && msg.Kind == actorcontext.Return {
		s.result = msg.Payload
	}
	s.carryOut(do)
	if err != nil {
		s.giveUp(err)
	}
}

// lose ends the context because of err, which says that the peer is gone.
func (s *side) lose(err error) {
	s.mu.Lock()
	s.carryOut(s.m.Lose(err))
}

// interruptWith makes the local task end because of cause.
func (s *side) interruptWith(cause error) {
	s.mu.Lock()
	s.carryOut(s.m.Interrupt(cause))
}

// interrupted reports whether the local task was told to end.
func (s *side) interrupted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m.Cause() != nil
}

// isLost reports whether the context ended on this side without a word of the
// peer's.
func (s *side) isLost() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ended, failure := s.m.Ended()
	return ended && failure != nil
}

// carryOut does what the machine said, and unlocks s.mu, which must be held.
func (s *side) carryOut(do actorcontext.Do) {
	if do&actorcontext.Late != 0 {
		s.node.late.Add(1)
	}
	if do&actorcontext.Enter != 0 {
		close(s.opened)
	}
	if do&actorcontext.Finish != 0 {
		close(s.done)
	}
	stop, cause, wave, abandoned := s.stop, s.m.Cause(), s.wave, s.abandoned
	_, failure := s.m.Ended()
	if do&(actorcontext.Acked|actorcontext.Finish) != 0 {
		s.wave = nil
	}
	s.mu.Unlock()

	if do&actorcontext.Finish != 0 && abandoned {
		s.node.remove(s)
	}
	if do&actorcontext.Interrupt != 0 && stop != nil {
		stop(cause)
	}
	if do&actorcontext.SendAck != 0 {
		s.control(actorcontext.Message{Kind: actorcontext.Ack})
	}
	if do&(actorcontext.Acked|actorcontext.Finish) != 0 {
		wave.end(failure, telemetry.AckAcked)
	}
	if do&(actorcontext.Deliver|actorcontext.EndStream|actorcontext.Interrupt|actorcontext.Finish) != 0 {
		s.signal()
	}
}

// signal lets one reader look again.
func (s *side) signal() {
	select {
	case s.wake <- struct{}{}:
	default: // There is a token already.
	}
}

// control sends a message of this side's that overtakes data. It does not wait.
func (s *side) control(msg actorcontext.Message) {
	s.node.sendControl(s.peer.Node.UUID, msg.Kind, s.frame(msg))
}

// giveUp tells a peer that broke the protocol that this side has given up.
func (s *side) giveUp(err error) {
	kind := actorcontext.Cancel
	var boxed error = &fault.Canceled{Canceller: s.me, Cause: err, Wave: identity.New(), Hop: 1}
	if s.which == actorcontext.Child {
		kind, boxed = actorcontext.Error, err
	}
	s.control(actorcontext.Message{Kind: kind, Payload: fault.Marshal(boxed, s.me)})
}

// next returns the oldest received message that was not read. ok is false at
// the graceful end of the stream.
//
// When ctx is done it returns its cause at once, whatever is queued: an error
// comes before the data (scenario E-11). A reader whose ctx outlives the
// failure gets the data first, then the error (scenario E-12).
func (s *side) next(ctx context.Context) (payload []byte, ok bool, err error) {
	var patience <-chan time.Time
	for {
		if ctx.Err() != nil {
			return nil, false, context.Cause(ctx)
		}
		s.mu.Lock()
		if len(s.queue) > 0 {
			payload, s.queue[0] = s.queue[0], nil
			s.queue = s.queue[1:]
			if len(s.queue) > 0 {
				s.signal() // For another reader.
			}
			s.mu.Unlock()
			return payload, true, nil
		}
		ended, failure := s.m.Ended()
		drained := s.m.Drained()
		if cause := s.m.Cause(); cause != nil && failure == nil {
			ended, drained, failure = true, true, cause
		}
		s.mu.Unlock()
		if drained {
			s.signal() // For every other reader.
			return nil, false, failure
		}
		if ended && patience == nil { // What was sent before the failure gets this long.
			timer := time.NewTimer(s.node.cfg.LinkTimeout)
			defer timer.Stop()
			patience = timer.C
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
		case <-patience:
			s.lose(&LinkLost{Peer: s.peer.Node, Why: "messages sent before the end did not arrive"})
		}
	}
}
