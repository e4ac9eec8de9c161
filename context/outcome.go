package actorcontext

import (
	"errors"
	"fmt"

	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/identity"
)

// Ended reports whether the outcome is known, and the failure if it is one.
func (m *Machine) Ended() (ended bool, failure error) {
	return m.returned || m.failure != nil, m.failure
}

// Drained reports whether no message of the stream can come any more.
func (m *Machine) Drained() bool { return m.closed || m.state == Done }

// CancelCalled reports whether this side asked the other to end.
func (m *Machine) CancelCalled() bool { return m.asked }

// Canceller returns whose ending ended this side: on the parent, itself if the
// child names it, otherwise the direct peer whose error arrived; on the child,
// who first asked. It is zero while nothing has happened.
func (m *Machine) Canceller() identity.ActorID {
	c, ok := errors.AsType[*fault.Canceled](m.cause)
	switch {
	case m.cause == nil:
		return identity.ActorID{}
	case ok && (m.side == Child || c.Canceller.Equal(m.me)):
		return c.Canceller
	}
	return m.peer
}

// Absorbed reports whether the context ended with the cancel that this side
// asked for (R9).
func (m *Machine) Absorbed() bool {
	c, ok := m.failure.(*fault.Canceled) //nolint:errorlint // A wrapped one is somebody's failure.
	return ok && m.asked && c.Canceller.Equal(m.me) && len(c.Path) == 1 && c.Path[0].Equal(m.peer)
}

// End tells a child what to send when its endpoint has returned: a Return if
// out is nil, otherwise an Error that boxes out (R8). err is what the endpoint
// returned.
func (m *Machine) End(err error) (kind Kind, out error) {
	switch {
	case m.cause != nil && (err == nil || fault.IsCancellation(err, m.cause)):
		return Error, m.cause
	case err != nil:
		return Error, err
	case m.state == Opening:
		return Error, fmt.Errorf("%w (scenario B-09)", fault.ErrNotStarted)
	}
	return Return, nil
}

// Leave tells a parent that its block has ended and failed with err, if at
// all, what to raise. The context must have ended or been abandoned, and in
// the latter case err must say so.
func (m *Machine) Leave(err error) error {
	if err == nil && m.cause != nil && m.cause != m.failure { //nolint:errorlint // This very value.
		err = m.cause // The block was interrupted and did not say so.
	}
	switch {
	case err == nil && m.Absorbed():
		return nil
	case err == nil:
		return m.failure
	case m.failure == nil:
		return err
	case m.Absorbed() && fault.IsCancellation(err, m.failure):
		return nil
	case errors.Is(err, m.failure): // The block passes on what it was told.
		return err
	}
	if _, echo := m.failure.(*fault.Canceled); echo { //nolint:errorlint // As above.
		return err // R10: an acknowledgement is never joined.
	}
	return errors.Join(err, m.failure)
}

// A Snapshot is what a side knows, for tests and telemetry.
type Snapshot struct {
	Side         Side
	State        State
	CancelCalled bool
	CancelAcked  bool // The end is the one I asked for.
	Canceller    identity.ActorID
	Cause        error
	Failure      error
	Returned     bool
}

// Snapshot returns what this side knows now.
func (m *Machine) Snapshot() Snapshot {
	return Snapshot{m.side, m.state, m.asked, m.Absorbed(), m.Canceller(), m.cause, m.failure, m.returned}
}
