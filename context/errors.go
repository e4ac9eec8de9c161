package actorcontext

import (
	"fmt"

	"github.com/tandem-actors/tandem/fault"
)

// A PeerError says that the peer broke the protocol.
type PeerError struct {
	State State
	Kind  Kind
	Why   string
}

// Error says what the peer did and when.
func (e *PeerError) Error() string {
	return fmt.Sprintf("peer broke the protocol: %v while %v: %s", e.Kind, e.State, e.Why)
}

// A UseError says that the local task did something out of order. Nothing was
// sent.
type UseError struct {
	Side  Side
	State State
	Kind  Kind
}

// Error says what was tried and when.
func (e *UseError) Error() string {
	return fmt.Sprintf("misuse: %v may not send %v while %v", e.Side, e.Kind, e.State)
}

// Is makes a UseError match [fault.ErrMisuse].
func (e *UseError) Is(target error) bool { return target == fault.ErrMisuse }
