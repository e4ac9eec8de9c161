package fault

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/tandem-actors/tandem/identity"
)

// The reasons that callers only ask whether. They survive the wire: a
// [*RemoteError] matches the one that its source returned.
var (
	// ErrClosed: the node, context or stream was closed on this side.
	ErrClosed = errors.New("closed")
	// ErrNotFound: no live actor has that name.
	ErrNotFound = errors.New("no such actor")
	// ErrNoEndpoint: the actor does not declare that endpoint.
	ErrNoEndpoint = errors.New("no such endpoint")
	// ErrWrongKind: the endpoint exists but is called where it must be opened,
	// or the reverse.
	ErrWrongKind = errors.New("wrong kind of endpoint")
	// ErrNotStarted: the endpoint returned without having called Started.
	ErrNotStarted = errors.New("endpoint returned before it started")
	// ErrUnreachable: nobody listens where the message was sent.
	ErrUnreachable = errors.New("nobody listens there")
	// ErrBusy: a bounded queue or table is full.
	ErrBusy = errors.New("too busy")
	// ErrMisuse: the program called things in an order that is never legal.
	ErrMisuse = errors.New("misuse")
)

// A Canceled says that a task was canceled: by whom, and why. It is the
// [context.Cause] of a canceled endpoint and what openers of canceled work
// get. It matches [context.Canceled], so code that does not know it treats it
// as what it is.
type Canceled struct {
	// Canceller is who asked. It is never empty and never rewritten by relays
	// (scenarios K-09, I-11).
	Canceller identity.ActorID
	// Cause is the canceller's reason, or nil for a plain request.
	Cause error
	// Source is the actor whose task was canceled.
	Source identity.ActorID
	// Path lists who packed this error on its way, the source first.
	Path []identity.ActorID
	// Wave is one for everything that one request canceled.
	Wave identity.UUID
	// Hop counts the links that the wave crossed to get here.
	Hop int
	// Span is where the wave was last seen in a trace, as package telemetry
	// encodes it, or zero.
	Span [25]byte
}

// Error names the canceller and, if there is one, the reason.
func (c *Canceled) Error() string {
	s := "canceled by " + c.Canceller.String()
	if c.Cause != nil {
		s += ": " + c.Reason()
	}
	return s
}

// Reason returns the text of Cause, or "requested" if there is none.
func (c *Canceled) Reason() string {
	if c.Cause == nil {
		return "requested"
	}
	if own, ok := c.Cause.(*RemoteError); ok && own.Source.Equal(c.Canceller) { //nolint:errorlint // Only itself is in its own words.
		return own.Message
	}
	return c.Cause.Error()
}

// Is makes a Canceled match [context.Canceled].
func (c *Canceled) Is(target error) bool { return target == context.Canceled }

// Unwrap returns Cause, so that errors.Is and errors.As reach it.
func (c *Canceled) Unwrap() error { return c.Cause }

// ErrorType returns the stable label of this error in telemetry.
func (*Canceled) ErrorType() string { return "canceled" }

// A RemoteError is the failure of another actor's endpoint.
type RemoteError struct {
	// Type is the label of the error's type at its source.
	Type string
	// Message is its text there.
	Message string
	// Source is the actor that failed.
	Source identity.ActorID
	// Path lists who packed this error on its way, the source first.
	Path []identity.ActorID
	// Stack is the stack of a panic, cut to a bounded length, or empty.
	Stack string

	known error // what Type stands for here, or nil
}

// Error says whose failure it was.
func (e *RemoteError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v", e.Source)
	for _, relay := range e.Path[min(1, len(e.Path)):] {
		fmt.Fprintf(&b, " via %v", relay)
	}
	return b.String() + ": " + e.Message
}

// Unwrap returns the error of this package that Type stands for, rebuilt with
// its fields, or nil for a type of somebody else's.
func (e *RemoteError) Unwrap() error { return e.known }

// ErrorType returns the stable label of this error in telemetry.
func (e *RemoteError) ErrorType() string { return e.Type }

// A LinkLost says that the peer of a context is gone or cannot be heard. What
// the peer's task did after the last message is unknown.
type LinkLost struct {
	Peer identity.NodeID `cbor:"1,keyasint"`
	Why  string          `cbor:"2,keyasint"`
}

// Error names the peer and the evidence.
func (e *LinkLost) Error() string { return fmt.Sprintf("link to %v lost: %s", e.Peer, e.Why) }

// ErrorType returns the stable label of this error in telemetry.
func (*LinkLost) ErrorType() string { return "link_lost" }

// An Overrun says that one side sent faster than the other read, and the
// receive buffer was full.
type Overrun struct {
	Sender   identity.ActorID `cbor:"1,keyasint"`
	Receiver identity.ActorID `cbor:"2,keyasint"`
	Endpoint string           `cbor:"3,keyasint"`
	Capacity int              `cbor:"4,keyasint"`
}

// Error names both sides, the buffer and what to change.
func (e *Overrun) Error() string {
	return fmt.Sprintf("overrun: %v sent more than the %d messages that %v buffers at endpoint %q; let the sender wait for replies, or read sooner",
		e.Sender, e.Capacity, e.Receiver, e.Endpoint)
}

// ErrorType returns the stable label of this error in telemetry.
func (*Overrun) ErrorType() string { return "overrun" }

// A BadMessage says that a value did not fit the endpoint's declared type.
type BadMessage struct {
	What     string `cbor:"1,keyasint"` // "argument", "first value", "message" or "result"
	Endpoint string `cbor:"2,keyasint"`
	Want     string `cbor:"3,keyasint"` // the declared Go type
	Why      string `cbor:"4,keyasint"`
}

// Error names the value, the endpoint and the declared type.
func (e *BadMessage) Error() string {
	return fmt.Sprintf("bad %s for endpoint %q, declared %s: %s", e.What, e.Endpoint, e.Want, e.Why)
}

// ErrorType returns the stable label of this error in telemetry.
func (*BadMessage) ErrorType() string { return "bad_message" }

// A TooLarge says that a message exceeds what the fabric carries. It was
// rejected before any of it was sent (scenario H-22).
type TooLarge struct {
	Size  int `cbor:"1,keyasint"`
	Limit int `cbor:"2,keyasint"`
}

// Error states both sizes.
func (e *TooLarge) Error() string {
	return fmt.Sprintf("message of %d bytes is over the limit of %d", e.Size, e.Limit)
}

// ErrorType returns the stable label of this error in telemetry.
func (*TooLarge) ErrorType() string { return "too_large" }

// A TooSlow says that an actor did not answer a cancel in time. It does not
// match deadline errors, so that no handler of those swallows it: the work may
// still be running.
type TooSlow struct {
	Actor identity.ActorID `cbor:"1,keyasint"`
	Grace string           `cbor:"2,keyasint"` // how long was waited, as a duration
}

// Error names the actor and how long it was given.
func (e *TooSlow) Error() string {
	return fmt.Sprintf("%v did not end within %s of its cancel and was abandoned", e.Actor, e.Grace)
}

// ErrorType returns the stable label of this error in telemetry.
func (*TooSlow) ErrorType() string { return "too_slow" }

// Cancellation reports whether err says no more than that something was
// canceled, and returns the first cancel in it. That is nil if it is only a bare
// [context.Canceled].
func Cancellation(err error) (c *Canceled, ok bool) {
	if err == nil || len(failures(err)) > 0 {
		return nil, false
	}
	c, _ = errors.AsType[*Canceled](err)
	return c, true
}

// IsCancellation reports whether err says no more than that its scope ended,
// cause being why: every part of it is cause or a bare [context.Canceled].
func IsCancellation(err, cause error) bool {
	for _, part := range failures(err) {
		if !within(part, cause) {
			return false
		}
	}
	c, canceled := errors.AsType[*Canceled](err)
	return err != nil && (!canceled || same(c, cause))
}

// failures returns the parts of err that say more than that something was
// canceled: err itself, or of joined errors those.
func failures(err error) (parts []error) {
	switch e := err.(type) { //nolint:errorlint // Walks the tree itself.
	case nil, *Canceled:
		return nil
	case *RemoteError:
		return []error{err}
	case interface{ Unwrap() []error }:
		for _, part := range e.Unwrap() {
			parts = append(parts, failures(part)...)
		}
		return parts
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			if parts = failures(inner); len(parts) == 1 {
				return []error{err}
			}
			return parts
		}
	}
	if err == context.Canceled { //nolint:errorlint // This very value.
		return nil
	}
	return []error{err}
}

// within reports whether err is cause, or wraps it and nothing else.
func within(err, cause error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if same(err, cause) {
			return true
		}
	}
	return false
}

// same reports whether a and b are one value. Not every error can be compared.
func same(a, b error) bool { return reflect.ValueOf(a).Comparable() && a == b } //nolint:errorlint // This very value.

// Sane returns err, unless its own methods panic, as those of a nil pointer in
// an error do: then it returns an error that says so. What comes from strangers'
// code goes through it once, and nothing later needs to take care.
func Sane(err error) (sane error) {
	defer func() {
		if recover() != nil {
			sane = &Panic{Value: fmt.Sprintf("a method of the error of type %T", err)}
		}
	}()
	if err != nil {
		_ = err.Error()
		_ = errors.Is(err, ErrMisuse) // Walks the whole tree.
	}
	return err
}
