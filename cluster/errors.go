package cluster

import (
	"errors"

	"github.com/tandem-actors/tandem/fault"
)

// The errors that cross the wire are documented in package fault.
type (
	// Canceled says who canceled a task, and why. It is what
	// [context.Cause] returns in a canceled endpoint, and what openers of
	// canceled work get. It matches [context.Canceled].
	Canceled = fault.Canceled
	// RemoteError is the failure of another actor: its type and text, its
	// source, and who relayed it. It matches the errors below that its source
	// returned.
	RemoteError = fault.RemoteError
	// LinkLost says that a peer is gone or cannot be heard.
	LinkLost = fault.LinkLost
	// Overrun says that one side sent faster than the other read.
	Overrun = fault.Overrun
	// BadMessage says that a value did not fit the declared type.
	BadMessage = fault.BadMessage
	// TooLarge says that a message exceeds what the fabric carries.
	TooLarge = fault.TooLarge
	// TooSlow says that an actor did not end in time after its cancel.
	TooSlow = fault.TooSlow
)

// The reasons that callers ask for with errors.Is. Each survives the wire.
var (
	ErrClosed      = fault.ErrClosed      // The node, context or stream was closed on this side.
	ErrNotFound    = fault.ErrNotFound    // No live actor has that name.
	ErrNoEndpoint  = fault.ErrNoEndpoint  // The actor does not declare that endpoint.
	ErrWrongKind   = fault.ErrWrongKind   // A Func was opened, or a Task called.
	ErrNotStarted  = fault.ErrNotStarted  // A Task returned without having called Started.
	ErrUnreachable = fault.ErrUnreachable // Nobody listens at the actor's node.
	ErrBusy        = fault.ErrBusy        // A bounded queue or table is full.
	ErrMisuse      = fault.ErrMisuse      // Things were called in an order that is never legal.
)

// join returns errs as one error; a single one stays itself (scenario I-14).
func join(errs ...error) error {
	var one error
	for _, err := range errs {
		switch {
		case err == nil:
		case one == nil:
			one = err
		default:
			return errors.Join(errs...)
		}
	}
	return one
}
