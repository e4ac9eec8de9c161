package actorcontext

import (
	"time"

	"github.com/tandem-actors/tandem/identity"
)

// A Kind says what a message means.
type Kind uint8

// The kinds of message. The first group belongs to one context and goes
// through a [Machine]; the second is between nodes, which share it. Their
// numbers are on the wire: never reorder them.
const (
	Open    Kind = iota + 1 // Run an endpoint; a Started follows.
	Call                    // Run an endpoint; only a Return or an Error follows.
	Started                 // The endpoint is up; the first value.
	Yield                   // A value of the stream.
	Stop                    // The end of one direction of the stream.
	Return                  // The result: the end.
	Error                   // A failure or a cancel: the end.
	Cancel                  // Please end.
	Ack                     // Cancel has arrived: the task is told.

	Kill    // Cancel the whole actor that Target names.
	Killed  // Kill was served, or, with Seq 0, the actor is not there.
	Ping    // Are you there?
	Pong    // I heard your Ping.
	Check   // Do you still have this context?
	Unknown // I do not.
	numKinds
)

// String returns the kind's name.
func (k Kind) String() string {
	names := [...]string{"", "open", "call", "started", "yield", "stop", "return", "error", "cancel", "ack", "kill", "killed", "ping", "pong", "check", "unknown"}
	if int(k) < len(names) && k > 0 {
		return names[k]
	}
	return "unknown"
}

// ordered reports whether k is numbered (R2).
func (k Kind) ordered() bool { return k == Started || k == Yield || k == Stop || k == Return }

// Data reports whether k travels with the data, behind what was sent before
// it. All others are control messages and overtake data.
func (k Kind) Data() bool { return k.ordered() || k == Unknown }

// A Message is what one side says to the other. Which fields count depends on
// the kind; see wire.go.
type Message struct {
	Kind    Kind
	From    Side          // Which side sent it.
	Context identity.UUID // The context, or of Kill and Killed, the request.
	// Seq numbers ordered messages. In an Error it is how many of them precede
	// it; in a Killed it is 1 or 0.
	Seq uint64

	Target   identity.UUID    // Open, Call, Kill: the actor.
	Caller   identity.ActorID // Open, Call, Kill: who asks.
	Endpoint string           // Open, Call.
	Timeout  time.Duration    // Open, Call: the time that remains; 0 is no limit.
	Trace    [25]byte         // Open, Call: the caller's span, see package telemetry.

	Payload []byte // A value, or of Error, Cancel and Kill, a boxed error.
	Err     error  // The error that Payload boxes, once the driver unpacked it.
}
