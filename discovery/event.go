package discovery

import (
	"sync"
	"time"

	"github.com/tandem-actors/tandem/identity"
)

// An EventType says what happened.
type EventType string

// What happens to nodes and actors. Who applies the events to a list that was
// taken after the watcher was made has the list that the registrar has.
const (
	EventNodeUp            EventType = "node_up"            // a run is seen for the first time
	EventNodeSuspect       EventType = "node_suspect"       // it does not answer; its actors are hidden
	EventNodeRestored      EventType = "node_restored"      // it was suspect or evicted and is not any more
	EventNodeLeft          EventType = "node_left"          // it said so
	EventNodeEvicted       EventType = "node_evicted"       // it did not answer twice; its actors are evicted
	EventActorRegistered   EventType = "actor_registered"   // also for each actor of a node that was evicted and is back
	EventActorDeregistered EventType = "actor_deregistered" // it ended
	EventActorCanceled     EventType = "actor_canceled"     // it ended since the Canceller asked
	EventActorEvicted      EventType = "actor_evicted"      // its node was evicted
	EventReset             EventType = "reset"              // the watcher missed events: list again
)

// An Event is one change of one registrar's view. Indexes rise by one, and
// start at one with each start of the registrar.
type Event struct {
	Index     uint64            `json:"index"`
	Time      time.Time         `json:"time"`
	Type      EventType         `json:"type"`
	Node      identity.NodeID   `json:"node"`
	Actor     *identity.ActorID `json:"actor,omitempty"`
	Reason    string            `json:"reason,omitempty"`
	Canceller string            `json:"canceller,omitempty"`
}

// watcherBuffer is how many events a watcher may be behind.
const watcherBuffer = 256

// history numbers events and tells watchers.
type history struct {
	mu       sync.Mutex // guards all below
	last     uint64     // index of the last event
	watchers map[*Watcher]bool
	closed   bool
}

// A Watcher receives the events that happen after it was made. Whoever makes
// one closes it.
type Watcher struct {
	of      *history
	ch      chan Event // with room for one more than watcherBuffer, for the reset
	lagging bool       // guarded by of.mu
}

// Events returns the channel of events, always the same. It holds 256 of them;
// a reader who is further behind gets one [EventReset] instead of what it
// missed, and lists again. The channel is closed when the watcher or the
// registrar is.
func (w *Watcher) Events() <-chan Event { return w.ch }

// Close ends the watch. It may be called twice.
func (w *Watcher) Close() {
	w.of.mu.Lock()
	defer w.of.mu.Unlock()
	w.of.remove(w)
}

func (h *history) watch() *Watcher {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := &Watcher{of: h, ch: make(chan Event, watcherBuffer+1)}
	if h.closed {
		close(w.ch)
		return w
	}
	if h.watchers == nil {
		h.watchers = make(map[*Watcher]bool)
	}
	h.watchers[w] = true
	return w
}

func (h *history) remove(w *Watcher) {
	if h.watchers[w] {
		delete(h.watchers, w)
		close(w.ch)
	}
}

// add numbers e and passes it on.
func (h *history) add(e Event) Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	e.Index = h.last
	for w := range h.watchers {
		w.offer(e)
	}
	return e
}

// offer never waits: only add sends, under the lock, and it leaves room. A
// reader that lags has got its reset last; it hears of what comes after it has
// read that.
func (w *Watcher) offer(e Event) {
	if w.lagging && len(w.ch) > 0 {
		return
	}
	if w.lagging = len(w.ch) >= watcherBuffer; w.lagging {
		e = Event{Index: e.Index, Time: e.Time, Type: EventReset}
	}
	w.ch <- e
}

func (h *history) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for w := range h.watchers {
		h.remove(w)
	}
}
