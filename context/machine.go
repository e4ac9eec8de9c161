package actorcontext

import (
	"fmt"
	"strings"

	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/identity"
)

// A Do is what the driver must do, as a set. It does them in the order in
// which they are listed here.
type Do uint16

// The things to do.
const (
	Deliver   Do = 1 << iota // Queue the message's payload for the reader of the stream.
	Enter                    // The context is open; the payload is the first value.
	EndStream                // The peer's direction of the stream has ended.
	Interrupt                // Cancel the local task's scope; Cause says why.
	SendAck                  // Acknowledge a cancel.
	Acked                    // My cancel was acknowledged.
	Finish                   // The outcome is known; the payload of a Return is the result.
	Late                     // The message was dropped: count it.
)

// String lists what is to be done.
func (d Do) String() string {
	var names []string
	for i, name := range [...]string{"deliver", "enter", "end-stream", "interrupt", "send-ack", "acked", "finish", "late"} {
		if d&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if names == nil {
		return "nothing"
	}
	return strings.Join(names, " ")
}

// A Machine is one side of a context. It does no I/O and starts no
// goroutines. It is not safe for concurrent use. Its methods allocate nothing
// unless they fail.
type Machine struct {
	side  Side
	state State
	me    identity.ActorID
	peer  identity.ActorID

	sent, got       uint64 // Ordered messages so far, each way.
	preceding       uint64 // Of the peer's Error: its Seq.
	stopped, closed bool   // Stop was sent; was received.

	asked    bool  // I asked the peer to end.
	cause    error // What interrupted the local task, first of all.
	returned bool  // The context ended with a Return.
	failure  error // It ended with this instead.
}

// New returns the machine of one side: me is the local actor, peer the other.
func New(side Side, me, peer identity.ActorID) Machine {
	return Machine{side: side, state: Idle, me: me, peer: peer}
}

// State returns the current state.
func (m *Machine) State() State { return m.state }

// Cause returns what interrupted the local task, or nil.
func (m *Machine) Cause() error { return m.cause }

// MaySend reports whether the local task may send kind now, and under which
// number. It changes nothing: the driver calls [Machine.Sent] when the message
// is on its way.
//
// If the context has ended, the error is its failure or [fault.ErrClosed]; if
// it is ending, the cause; if the task is out of order, a [*UseError].
func (m *Machine) MaySend(kind Kind) (seq uint64, err error) {
	if (kind == Yield || kind == Stop) && m.stopped {
		return 0, fmt.Errorf("send %v: %w", kind, fault.ErrClosed)
	}
	if says[m.side][kind] {
		if sends[m.state][kind] != illegal {
			return m.number(kind), nil
		}
	}
	switch {
	case m.state >= Draining && m.failure != nil:
		return 0, m.failure
	case m.state >= Draining:
		return 0, fmt.Errorf("send %v: %w", kind, fault.ErrClosed)
	case m.state == Ending && m.cause != nil:
		return 0, m.cause
	case m.state == Ending:
		return 0, fmt.Errorf("send %v: %w", kind, fault.ErrClosed)
	}
	return 0, &UseError{m.side, m.state, kind}
}

// number returns the Seq of the next message of kind.
func (m *Machine) number(kind Kind) uint64 {
	if kind.ordered() {
		return m.sent + 1
	}
	return m.sent
}

// Sent records that a message that [Machine.MaySend] allowed is on its way.
// The state may have moved on meanwhile; then only the count changes.
func (m *Machine) Sent(kind Kind) {
	if kind.ordered() {
		m.sent++
	}
	if kind == Stop {
		m.stopped = true
	}
	if kind == Cancel {
		m.asked = true
	}
	if kind == Return {
		m.returned = true
	}
	if next := sends[m.state][kind]; next != illegal {
		m.state = next
	}
}

// NotStarted takes back [Machine.Sent] of a Started that did not leave.
func (m *Machine) NotStarted() {
	m.sent--
	if m.state == Running {
		m.state = Opening
	}
}

// Stopped reports whether this side has sent Stop.
func (m *Machine) Stopped() bool { return m.stopped }

// Receive applies a message of the peer's and returns what to do. A message
// that the protocol forbids gives a [*PeerError], and a gap in the numbers a
// [*PeerError] too; then nothing has changed, and the driver gives the context
// up with [Machine.Lose].
func (m *Machine) Receive(msg *Message) (Do, error) {
	if msg.Kind >= numKinds || !says[m.side.Peer()][msg.Kind] {
		return 0, &PeerError{m.state, msg.Kind, "not the " + m.side.Peer().String() + "'s to send"}
	}
	if msg.Kind.ordered() && msg.Seq <= m.got {
		return Late, nil // R2: a repetition.
	}
	next := receives[m.state][msg.Kind]
	switch {
	case next == late:
		return Late, nil
	case next == illegal:
		return 0, &PeerError{m.state, msg.Kind, "not allowed now"}
	case msg.Kind.ordered() && msg.Seq != m.got+1:
		return 0, &PeerError{m.state, msg.Kind, fmt.Sprintf("messages %d to %d are missing", m.got+1, msg.Seq-1)}
	case (msg.Kind == Yield || msg.Kind == Stop) && m.closed:
		return 0, &PeerError{m.state, msg.Kind, "the stream had ended"} // R3.
	case m.state == Draining && msg.Kind.ordered() && msg.Seq > m.preceding:
		return 0, &PeerError{m.state, msg.Kind, "sent after the end"}
	}
	from := m.state
	m.state = next
	if msg.Kind.ordered() {
		m.got++
	}
	return m.apply(msg, from), nil
}

// apply does what a legal message asks for, from being the state before it.
func (m *Machine) apply(msg *Message, from State) (do Do) {
	switch msg.Kind {
	case Started:
		if from == Opening {
			do = Enter
		}
	case Yield:
		if from == Running || from == Draining {
			do = Deliver
		}
	case Stop:
		m.closed = true
		do = EndStream
	case Return:
		m.returned = true
		do = Finish
	case Error:
		m.failure, m.preceding = msg.Err, msg.Seq
		do = m.interrupt(msg.Err) | Finish
	case Cancel:
		do = SendAck
		if from != Done {
			do |= m.interrupt(msg.Err)
		}
	case Ack:
		do = Acked
	default: // Open and Call only move the state; kinds between nodes never get here.
	}
	if m.state == Draining && m.got >= m.preceding {
		m.state = Done // R5: nothing is left to drain.
	}
	return do
}

// Interrupt says that the local task must end for a reason that did not come
// from the peer: its actor was canceled, its buffer ran over. The first cause
// wins (R7).
func (m *Machine) Interrupt(cause error) Do {
	if m.state >= Draining {
		return 0
	}
	return m.interrupt(cause)
}

func (m *Machine) interrupt(cause error) Do {
	if m.cause != nil {
		return 0
	}
	m.cause = cause
	return Interrupt
}

// Lose ends the context because the peer cannot be heard any more, or broke
// the protocol (R11). It does nothing if the context has ended.
func (m *Machine) Lose(err error) Do {
	if m.state == Done {
		return 0
	}
	known := m.state == Draining
	m.state = Done
	if known {
		return EndStream
	}
	m.failure = err
	return m.interrupt(err) | Finish
}
