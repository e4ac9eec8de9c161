package transport

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/tandem-actors/tandem/fault"
)

// The bounds of a subscription, and of a message, as in NATS.
const (
	memoryMessages = 500_000
	memoryBytes    = 64 << 20
	memoryPayload  = 1 << 20
)

// Memory is a fabric without a network: what is published on one attached bus
// reaches all of them. It never loses a connection. It uses no clock and no
// I/O, and may live in a synctest bubble.
type Memory struct {
	turn    atomic.Uint64 // picks among the members of a queue
	inboxes atomic.Uint64 // numbers requests

	mu    sync.RWMutex                     // guards all below; held for reading while publishing
	exact map[string][]*memorySubscription // by subject
	wild  []*memorySubscription            // those that may match more than one subject
}

// NewMemory returns a fabric with nothing attached.
func NewMemory() *Memory {
	return &Memory{exact: make(map[string][]*memorySubscription)}
}

// Attach returns a new bus on the fabric. To the others, closing it looks as if
// its process had ended: nobody subscribes to its subjects any more.
func (m *Memory) Attach() *MemoryBus {
	return &MemoryBus{fabric: m, closing: make(chan struct{})}
}

// A MemoryBus is a [Bus] on a [Memory].
type MemoryBus struct {
	fabric  *Memory
	dropped atomic.Uint64
	closing chan struct{} // closed by Close, under fabric.mu
	readers sync.WaitGroup
}

// A memoryMessage is on its way to one subscription.
type memoryMessage struct {
	subject, reply string
	data           []byte
	noResponders   bool
}

// size is what the message counts against the bound.
func (m memoryMessage) size() int { return len(m.subject) + len(m.reply) + len(m.data) }

// A memorySubscription queues messages for one handler, or passes one on to
// one request.
type memorySubscription struct {
	bus            *MemoryBus
	subject, queue string
	handle         func(subject, reply string, data []byte)
	answer         chan memoryMessage // of a request, with room for one; otherwise nil

	mu      sync.Mutex      // guards all below
	more    *sync.Cond      // the queue or ended has changed
	waiting []memoryMessage // at most memoryMessages; more are dropped
	bytes   int             // of all that waits; at most memoryBytes
	ended   bool
}

// Publish implements [Bus]. It never blocks.
func (b *MemoryBus) Publish(subject, reply string, data []byte) error {
	if len(data) > memoryPayload {
		return fmt.Errorf("publish %s: %w", subject, &fault.TooLarge{Size: len(data), Limit: memoryPayload})
	}
	b.fabric.mu.RLock()
	defer b.fabric.mu.RUnlock()
	if b.isClosed() {
		return fmt.Errorf("publish %s: %w", subject, fault.ErrClosed)
	}
	m := memoryMessage{subject: subject, reply: reply, data: data}
	if b.fabric.deliver(m, nil) == 0 && reply != "" {
		b.fabric.deliver(memoryMessage{subject: reply, noResponders: true}, b)
	}
	return nil
}

// deliver hands m to all who subscribe to its subject and returns how many
// those are. If only is not nil, nobody else is asked. f.mu is held.
func (m *Memory) deliver(msg memoryMessage, only *MemoryBus) int {
	var delivered int
	var queues map[string][]*memorySubscription
	offer := func(s *memorySubscription) {
		switch {
		case only != nil && s.bus != only:
		case s.queue == "":
			s.push(msg)
			delivered++
		default:
			if queues == nil {
				queues = make(map[string][]*memorySubscription)
			}
			queues[s.queue] = append(queues[s.queue], s)
		}
	}
	for _, s := range m.exact[msg.subject] {
		offer(s)
	}
	for _, s := range m.wild {
		if matches(s.subject, msg.subject) {
			offer(s)
		}
	}
	for _, members := range queues {
		members[m.turn.Add(1)%uint64(len(members))].push(msg)
		delivered++
	}
	return delivered
}

// push queues a copy of m, unless the queue is full.
func (s *memorySubscription) push(m memoryMessage) {
	if s.answer != nil {
		m.data = slices.Clone(m.data)
		select {
		case s.answer <- m:
		default: // The first answer counts.
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) >= memoryMessages || s.bytes+m.size() > memoryBytes {
		s.bus.dropped.Add(1)
		return
	}
	m.data = slices.Clone(m.data)
	s.waiting = append(s.waiting, m)
	s.bytes += m.size()
	s.more.Signal()
}

// pop waits for the next message; it reports false if there will be none.
func (s *memorySubscription) pop() (memoryMessage, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.waiting) == 0 && !s.ended {
		s.more.Wait()
	}
	if s.ended {
		return memoryMessage{}, false
	}
	m := s.waiting[0]
	s.waiting[0] = memoryMessage{}
	s.waiting = s.waiting[1:]
	s.bytes -= m.size()
	return m, true
}

// end makes pop return false. It may be called twice.
func (s *memorySubscription) end() {
	if s.answer != nil {
		return // Nobody pops.
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.waiting = nil
	s.more.Signal()
}

// Subscribe implements [Bus].
func (b *MemoryBus) Subscribe(subject, queue string, handle func(subject, reply string, data []byte)) (func(), error) {
	if err := checkPattern(subject); err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	s := &memorySubscription{bus: b, subject: subject, queue: queue, handle: handle}
	s.more = sync.NewCond(&s.mu)
	if err := b.add(s); err != nil {
		return nil, fmt.Errorf("subscribe %s: %w", subject, err)
	}
	return func() { b.fabric.remove(s) }, nil
}

// add makes s receive messages. It starts the reader of s, which ends when s is
// removed or b closed.
func (b *MemoryBus) add(s *memorySubscription) error {
	f := b.fabric
	f.mu.Lock()
	defer f.mu.Unlock()
	if b.isClosed() {
		return fault.ErrClosed
	}
	if mayBeWild(s.subject) {
		f.wild = append(f.wild, s)
	} else {
		f.exact[s.subject] = append(f.exact[s.subject], s)
	}
	if s.answer == nil {
		b.readers.Go(func() {
			for m, ok := s.pop(); ok; m, ok = s.pop() {
				s.handle(m.subject, m.reply, m.data)
			}
		})
	}
	return nil
}

// remove undoes add. It may be called twice.
func (m *Memory) remove(s *memorySubscription) {
	m.mu.Lock()
	defer m.mu.Unlock()
	same := func(other *memorySubscription) bool { return other == s }
	if mayBeWild(s.subject) {
		m.wild = without(m.wild, same)
	} else {
		m.removeExact(s.subject, same)
	}
}

// removeExact ends the subscriptions to subject that are gone. f.mu is held.
func (m *Memory) removeExact(subject string, gone func(*memorySubscription) bool) {
	if left := without(m.exact[subject], gone); len(left) > 0 {
		m.exact[subject] = left
	} else {
		delete(m.exact, subject)
	}
}

// without ends the subscriptions that are gone and returns the others.
func without(all []*memorySubscription, gone func(*memorySubscription) bool) []*memorySubscription {
	return slices.DeleteFunc(all, func(s *memorySubscription) bool {
		if !gone(s) {
			return false
		}
		s.end()
		return true
	})
}

// Request implements [Bus].
func (b *MemoryBus) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	inbox := "_INBOX." + strconv.FormatUint(b.fabric.inboxes.Add(1), 10)
	s := &memorySubscription{bus: b, subject: inbox, answer: make(chan memoryMessage, 1)}
	if err := b.add(s); err != nil {
		return nil, fmt.Errorf("request %s: %w", subject, err)
	}
	defer b.fabric.remove(s)
	if err := b.Publish(subject, inbox, data); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	select {
	case m := <-s.answer:
		if m.noResponders {
			return nil, fmt.Errorf("request %s: %w", subject, fault.ErrUnreachable)
		}
		return m.data, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("request %s: %w", subject, context.Cause(ctx))
	case <-b.closing:
		return nil, fmt.Errorf("request %s: %w", subject, fault.ErrClosed)
	}
}

// MaxPayload implements [Bus].
func (*MemoryBus) MaxPayload() int { return memoryPayload }

// Dropped counts the messages that subscribers of this bus were too slow for.
func (b *MemoryBus) Dropped() uint64 { return b.dropped.Load() }

// Flush implements [Bus]. There is nothing to wait for.
func (b *MemoryBus) Flush(context.Context) error { return b.Err() }

// Err implements [Bus].
func (b *MemoryBus) Err() error {
	if b.isClosed() {
		return fault.ErrClosed
	}
	return nil
}

func (b *MemoryBus) isClosed() bool {
	select {
	case <-b.closing:
		return true
	default:
		return false
	}
}

// Close implements [Bus].
func (b *MemoryBus) Close() error {
	b.detach()
	b.readers.Wait()
	return nil
}

func (b *MemoryBus) detach() {
	f := b.fabric
	f.mu.Lock()
	defer f.mu.Unlock()
	if b.isClosed() {
		return
	}
	close(b.closing)
	mine := func(s *memorySubscription) bool { return s.bus == b }
	f.wild = without(f.wild, mine)
	for subject := range f.exact {
		f.removeExact(subject, mine)
	}
}
