// Package transport carries frames between nodes. A [Bus] is the fabric below:
// NATS in production, memory in tests and in single-process clusters. A [Port]
// is one node's end of it: it batches small frames, keeps control apart from
// data, bounds what waits, and reports peers that nobody listens for.
//
// Delivery is at most once and in order per sender, receiver and class. What a
// lost connection swallowed is counted, never repeated: the floor above numbers
// its messages and notices.
package transport

import (
	"context"
	"errors"
	"sync"
)

// ErrDisconnected says that the broker cannot be reached at the moment. The bus keeps
// trying; what is published meanwhile is refused, not stored.
var ErrDisconnected = errors.New("no connection to the broker")

// A Bus carries messages on subjects, at most once, in order from one
// publisher to one subscription. All methods may be called at the same time.
// After Close they return [fault.ErrClosed].
type Bus interface {
	// Publish sends data, which it has copied when it returns. If reply is not
	// empty and nobody subscribes to subject, an empty message arrives on
	// reply, if this bus has subscribed to that. Publish may block as long as
	// a stalled connection takes to be noticed, a few seconds. Data over
	// MaxPayload is a [*fault.TooLarge].
	Publish(subject, reply string, data []byte) error

	// Request publishes data and returns the first answer. It returns
	// [fault.ErrUnreachable] at once if nobody subscribes to subject.
	Request(ctx context.Context, subject string, data []byte) ([]byte, error)

	// Subscribe calls handle for each message, one at a time, on a goroutine
	// of its own; data belongs to handle. In subject, a token `*` matches any
	// one token and a last token `>` matches one or more. Of the subscribers
	// with one non-empty queue, one gets each message. What handle does not
	// keep up with waits, up to 500,000 messages and 64 MiB, as is usual with
	// NATS; then the newest is dropped.
	//
	// Unsubscribe may be called twice, and by handle; after it returns, handle
	// may still be running once.
	Subscribe(subject, queue string, handle func(subject, reply string, data []byte)) (unsubscribe func(), err error)

	// MaxPayload is the size in bytes of the largest message. It never blocks.
	MaxPayload() int

	// Flush returns when what was published and subscribed before has reached
	// the broker. It waits 5 seconds if ctx has no deadline.
	Flush(ctx context.Context) error

	// Err returns nil while the bus works and why it does not otherwise. It
	// never blocks.
	Err() error

	// Close gives what was published a second to reach the broker, and ends
	// all subscriptions and requests. No handler runs when it returns, so a
	// handler must not call it. It may be called twice.
	Close() error
}

// A gate lets callbacks in until it is shut.
type gate struct {
	mu     sync.RWMutex // held for reading by each callback that runs
	isShut bool
}

// enter reports whether the callback may run; if so, it calls leave after.
func (g *gate) enter() bool {
	g.mu.RLock()
	if g.isShut {
		g.mu.RUnlock()
		return false
	}
	return true
}

func (g *gate) leave() { g.mu.RUnlock() }

// shut lets nobody in any more and waits for those who are.
func (g *gate) shut() {
	g.mu.Lock()
	g.isShut = true
	g.mu.Unlock()
}
