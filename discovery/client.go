package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/identity"
)

// How long a client waits for registrars.
const (
	ackWait    = 5 * time.Second        // for the first to copy what was written
	ackRetry   = 200 * time.Millisecond // then the head is sent again
	leaveWait  = 500 * time.Millisecond // of each try to say leave
	leaveTries = 2
)

// A ClientConfig says how a node takes part. Bus and Node are needed.
type ClientConfig struct {
	// Bus connects to registrars and nodes. It stays open when the client
	// closes.
	Bus Bus
	// Realm separates clusters that share a fabric: 1 to 63 of a-z, 0-9 and
	// hyphen. If empty, it is "default".
	Realm string
	// Node is this run of the node; its UUID is fresh per process start.
	Node identity.NodeID
	// Heartbeat is how often the node says that it lives, the same for the
	// whole cluster. If zero, it is 500 milliseconds.
	Heartbeat time.Duration
	// Logger gets evictions that the node had to refute. If nil, nothing is
	// logged.
	Logger *slog.Logger
}

func (c ClientConfig) withDefaults() (ClientConfig, subjects, error) {
	if c.Heartbeat == 0 {
		c.Heartbeat = defaultHeartbeat
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := newSubjects(c.Realm)
	errs := []error{err, checkID(c.Node.Name, c.Node.UUID), checkHeartbeat(c.Heartbeat)}
	if c.Bus == nil {
		errs = append(errs, errors.New("no bus"))
	}
	return c, s, errors.Join(errs...)
}

// A Client is a node's part in the registry: the only writer of the node's log,
// and the one who answers for it. All of its methods may be called at the same
// time.
type Client struct {
	cfg      ClientConfig
	subjects subjects

	unsubscribe []func()
	done        context.Context // Of the heartbeat; Close ends it.
	stop        context.CancelCauseFunc
	wg          sync.WaitGroup
	closeOnce   sync.Once
	closeErr    error

	mu       sync.Mutex // guards all below
	closed   bool
	posts    chan post // in the order of the log; closed by Close
	head     head      // but for the log's part
	log      nodeLog
	last     int64         // when the last actor registered: no two are equal
	acked    uint64        // the longest copy that a registrar has
	progress chan struct{} // closed and replaced when acked rises
	suspects map[identity.UUID]time.Time
}

// Join makes the node known and starts its heartbeat. It returns when others
// can probe the node; registrars may come later.
func Join(ctx context.Context, cfg ClientConfig) (*Client, error) {
	cfg, s, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("join registry: %w", err)
	}
	c := &Client{
		cfg:      cfg,
		subjects: s,
		head:     head{Node: cfg.Node, Epoch: uint64(time.Now().UnixMilli())<<16 | rand.Uint64N(1<<16)},
		log:      newNodeLog(),
		posts:    make(chan post, maxPosts),
		progress: make(chan struct{}),
		suspects: make(map[identity.UUID]time.Time),
	}
	c.done, c.stop = context.WithCancelCause(context.Background())
	for subject, handle := range map[string]func(subject, reply string, data []byte){
		s.probe(cfg.Node.UUID): c.serve,
		s.ack(cfg.Node.UUID):   c.takeAck,
	} {
		unsubscribe, err := cfg.Bus.Subscribe(subject, "", handle)
		if err != nil {
			c.unsubscribeAll()
			return nil, fmt.Errorf("join registry: %w", err)
		}
		c.unsubscribe = append(c.unsubscribe, unsubscribe)
	}
	if err := cfg.Bus.Flush(ctx); err != nil {
		c.unsubscribeAll()
		return nil, fmt.Errorf("join registry: %w", err)
	}
	c.wg.Go(c.deliver)
	c.sendHead("")
	c.wg.Go(c.heartbeat)
	return c, nil
}

func (c *Client) unsubscribeAll() {
	for _, unsubscribe := range c.unsubscribe {
		unsubscribe()
	}
}

func (c *Client) heartbeat() {
	ticker := time.NewTicker(c.cfg.Heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			c.sendHead("")
		case <-c.done.Done():
			return
		}
	}
}

// sendHead says how far the log is. Registrars that have all of it answer on
// reply, if that is not empty; those that have not, pull.
func (c *Client) sendHead(reply string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.publish(reply)
}

// publish sends the head and steps to all registrars. c.mu is held.
func (c *Client) publish(reply string, steps ...op) {
	m := &message{Kind: kindUpdate, Update: &update{Head: c.log.mark(c.head), Ops: steps}}
	c.post(c.subjects.log(c.cfg.Node.UUID.String()), reply, m)
}

// write appends step to the log and sends it off. c.mu is held.
func (c *Client) write(step op) uint64 {
	c.log.seq++
	step.Seq = c.log.seq
	if step.Gone != nil {
		c.log.drop(step.Actor)
	} else {
		c.log.put(step.entry(c.cfg.Node))
	}
	c.publish(c.subjects.ack(c.cfg.Node.UUID), step)
	return c.log.seq
}

// Register makes an actor of this node known and returns when a registrar has
// it. Registering an actor again adds the endpoints that it did not have
// . If no registrar has it within 5 seconds, or before ctx is done, the
// error says so: a new actor is not registered then, one that was registered
// before stays so, with the endpoints of both.
func (c *Client) Register(ctx context.Context, actor identity.ActorID, endpoints []string) error {
	if actor.Node != c.cfg.Node {
		return fmt.Errorf("register %v: %w: it lives on node %v, not on %v", actor, fault.ErrMisuse, actor.Node, c.cfg.Node)
	}
	seq, isNew, err := c.admit(op{Actor: actor.UUID, Name: actor.Name, Endpoints: endpoints})
	if err != nil {
		return fmt.Errorf("register %v: %w", actor, err)
	}
	if err := c.settle(ctx, seq); err != nil {
		if isNew {
			c.withdraw(actor.UUID, Why{Reason: "no registrar acknowledged it"})
		}
		return fmt.Errorf("register %v: %w", actor, err)
	}
	return nil
}

// admit writes a registration, unless that would change nothing.
func (c *Client) admit(step op) (seq uint64, isNew bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, known := c.log.entries[step.Actor]
	step.Endpoints = slices.Concat(old.Endpoints, step.Endpoints)
	slices.Sort(step.Endpoints)
	step.Endpoints = slices.Compact(step.Endpoints)
	switch err = step.check(); {
	case c.closed:
		return 0, false, fault.ErrClosed
	case err != nil:
		return 0, false, err
	case known && old.Actor.Name != step.Name:
		return 0, false, fmt.Errorf("%w: its uuid is registered as %v", fault.ErrMisuse, old.Actor)
	case known && slices.Equal(old.Endpoints, step.Endpoints):
		return old.Seq, false, nil
	case !known && len(c.log.entries) >= maxEntries:
		return 0, false, fmt.Errorf("%w: the node has %d actors", fault.ErrBusy, maxEntries)
	case known:
		step.Registered = old.Registered.UnixNano()
	default:
		step.Registered = max(c.last+1, time.Now().UnixNano())
		c.last = step.Registered
	}
	return c.write(step), !known, nil
}

// withdraw writes the end of an actor; it reports false if there is none.
func (c *Client) withdraw(actor identity.UUID, why Why) (seq uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok = c.log.entries[actor]; !ok || c.closed {
		return 0, false
	}
	why.Reason, why.Canceller = clip(why.Reason), clip(why.Canceller)
	return c.write(op{Actor: actor, Gone: &why}), true
}

// Deregister ends an actor's registration: from now on this node denies the
// actor, so nobody finds it. It does not wait. The function that it returns
// does: until a registrar knows, or ctx is done, or for 5 seconds. An actor that
// is not registered is no error.
func (c *Client) Deregister(actor identity.UUID, why Why) (settled func(ctx context.Context) error) {
	seq, ok := c.withdraw(actor, why)
	return func(ctx context.Context) error {
		if !ok {
			return nil
		}
		if err := c.settle(ctx, seq); err != nil {
			return fmt.Errorf("deregister %v: %w", actor, err)
		}
		return nil
	}
}

// settle waits until a registrar has the log up to seq.
func (c *Client) settle(ctx context.Context, seq uint64) error {
	late := time.NewTimer(ackWait)
	defer late.Stop()
	retry := time.NewTicker(ackRetry)
	defer retry.Stop()
	for {
		c.mu.Lock()
		acked, progress := c.acked, c.progress
		c.mu.Unlock()
		if acked >= seq {
			return nil
		}
		select {
		case <-progress:
		case <-retry.C:
			c.sendHead(c.subjects.ack(c.cfg.Node.UUID))
		case <-late.C:
			return fmt.Errorf("no registrar answered within %v on %s: %w", ackWait, c.subjects.log("*"), fault.ErrUnreachable)
		case <-c.done.Done():
			return context.Cause(c.done)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// takeAck takes a registrar's word on how much of the log it has.
func (c *Client) takeAck(_, _ string, data []byte) {
	m, err := decode(data) // Empty if nobody listens: settle tries again.
	if err != nil || m.Kind != kindAck || m.Update.Head.Node != c.cfg.Node {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if seq := m.Update.Head.Seq; seq > c.acked && seq <= c.log.seq {
		c.acked = seq
		close(c.progress)
		c.progress = make(chan struct{})
	}
}

// serve answers probes and pulls, and refutes obits.
func (c *Client) serve(_, reply string, data []byte) {
	m, err := decode(data)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch m.Kind {
	case kindProbe:
		_, has := c.log.entries[m.Actor]
		c.post(reply, "", &message{Kind: kindAlive, Has: has, Update: &update{Head: c.log.mark(c.head)}})
	case kindPull:
		c.post(reply, c.subjects.ack(c.cfg.Node.UUID), snapshotMessages(&c.log, c.head)...)
	case kindObit:
		for _, ob := range m.Obits {
			if ob.Node == c.cfg.Node && ob.Inc >= c.head.Inc && !ob.isFinal() {
				c.head.Inc = ob.Inc + 1
				c.cfg.Logger.Warn("eviction refuted", slog.String("by", ob.By), slog.String("reason", ob.Reason))
				c.publish(c.subjects.ack(c.cfg.Node.UUID))
			}
		}
	case kindUpdate, kindLeave, kindAck, kindAlive, kindState, kindEvidence, kindQuery, kindAnswer, kindName: // For others.
	}
}

// Close deregisters all actors of the node by saying leave, once a registrar
// has heard that or after a second, and stops. Who waits in another method gets
// [fault.ErrClosed]. The error says that no registrar heard: they will find
// out. Close may be called twice.
func (c *Client) Close(ctx context.Context) error {
	c.closeOnce.Do(func() {
		c.mu.Lock()
		c.closed = true
		close(c.posts)
		leave := &message{Kind: kindLeave, Update: &update{Head: c.log.mark(c.head)}}
		c.mu.Unlock()
		c.stop(fault.ErrClosed)
		c.wg.Wait()
		subject := c.subjects.log(c.cfg.Node.UUID.String())
		if _, err := request(ctx, c.cfg.Bus, subject, leave, leaveWait, leaveTries); err != nil {
			c.closeErr = fmt.Errorf("leave registry: %w", err)
		}
		c.unsubscribeAll()
	})
	return c.closeErr
}
