package discovery

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/memberlist"
)

// A GossipConfig says how registrars find each other.
type GossipConfig struct {
	// Bind is the host and port to listen on, TCP and UDP: all interfaces if
	// there is no host, any free port if that is 0. If Bind is empty, it is a
	// free port of the loopback.
	Bind string
	// Advertise is the host and port that others reach Bind at, if they differ.
	Advertise string
	// Seeds are hosts and ports of other registrars, some of which may be down,
	// or of this one. They are tried again as long as they are not members.
	Seeds []string
	// Key encrypts what registrars say: 16, 24 or 32 bytes, the same for all.
	// If empty, nothing is encrypted.
	Key []byte

	transport memberlist.NodeAwareTransport // in place of Bind, for tests
}

// Bounds of the gossip.
const (
	maxBroadcast  = 1200             // bytes that fit a packet, whatever the realm and the key; all broadcasts do
	ballast       = 64 << 10         // see below
	maxSends      = 256              // messages and snapshots that wait for one member; more are dropped, and asked for again
	pushPullEvery = 10 * time.Second // of whole states
	dialTimeout   = 3 * time.Second
	leaveTimeout  = 2 * time.Second
)

// The queue of memberlist 0.7 numbers broadcasts, and starts again whenever it
// is empty, even in the middle of a round: two of equal length that then get
// the same number replace each other, and one is lost. A broadcast that fits no
// packet stays for ever and keeps the queue from being empty.

// A gossip is a registrar's membership in the ring of registrars. It is the
// delegate of its memberlist: the Notify methods run under memberlist's locks,
// so they never wait.
type gossip struct {
	registrar *Registrar
	list      *memberlist.Memberlist
	seeds     []string
	queue     memberlist.TransmitLimitedQueue // what other members take out; it holds two per run at most
	alive     atomic.Int32                    // members
	wg        sync.WaitGroup                  // of rejoin and deliver
	leaving   sync.WaitGroup                  // of leave, which waits for wg

	mu         sync.Mutex              // guards all below
	outboxes   map[string][][]*message // by member; deliver runs for each
	remembered map[string]int          // addresses of members, and how often joining failed since they were there
}

// newGossip joins the ring; its goroutines end with ctx.
func newGossip(ctx context.Context, cfg GossipConfig, r *Registrar) (*gossip, error) {
	g := &gossip{registrar: r, seeds: cfg.Seeds, outboxes: make(map[string][][]*message), remembered: make(map[string]int)}
	g.queue.NumNodes = func() int { return int(g.alive.Load()) }
	g.queue.RetransmitMult = 4
	g.queue.QueueBroadcast(broadcast{"ballast", make([]byte, ballast)})
	mc, err := g.config(cfg)
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	if g.list, err = memberlist.Create(mc); err != nil {
		return nil, fmt.Errorf("gossip on %s: %w", cfg.Bind, err)
	}
	g.wg.Go(func() { g.rejoin(ctx) })
	return g, nil
}

// config returns the profile for a small ring that must notice soon.
func (g *gossip) config(cfg GossipConfig) (*memberlist.Config, error) {
	bind, err := net.ResolveTCPAddr("tcp", cmp.Or(cfg.Bind, "127.0.0.1:0"))
	if err != nil {
		return nil, err
	}
	for _, seed := range cfg.Seeds {
		if _, _, err := net.SplitHostPort(seed); err != nil {
			return nil, fmt.Errorf("seed: %w", err)
		}
	}
	c := memberlist.DefaultLANConfig()
	c.Name = g.registrar.id.String() // Unique per start: no conflict, no wait for the old one to die.
	c.Label = "tandem-" + g.registrar.subjects.realm()
	c.BindAddr, c.BindPort, c.AdvertisePort = bind.IP.String(), bind.Port, bind.Port
	if bind.IP == nil {
		c.BindAddr = "0.0.0.0"
	}
	if cfg.Advertise != "" {
		to, err := net.ResolveTCPAddr("tcp", cfg.Advertise)
		if err != nil {
			return nil, err
		}
		c.AdvertiseAddr, c.AdvertisePort = to.IP.String(), cmp.Or(to.Port, bind.Port)
	}
	if cfg.transport != nil {
		c.Transport = cfg.transport
	}
	c.SecretKey = cfg.Key
	c.Delegate, c.Events = g, g
	c.ProbeInterval, c.ProbeTimeout = 500*time.Millisecond, 200*time.Millisecond
	c.GossipInterval = 100 * time.Millisecond
	c.PushPullInterval = pushPullEvery
	c.TCPTimeout = dialTimeout
	c.EnableCompression = false
	c.HandoffQueueDepth = 4096
	c.Logger = log.New(io.Discard, "", 0)
	if g.registrar.cfg.Logger.Enabled(context.Background(), slog.LevelDebug) {
		c.Logger = slog.NewLogLogger(g.registrar.cfg.Logger.Handler(), slog.LevelDebug)
	}
	return c, nil
}

func (g *gossip) addr() string { return g.list.LocalNode().Address() }

func (g *gossip) members() []Member {
	var members []Member
	for _, n := range g.list.Members() {
		id, err := uuid.Parse(n.Name)
		if err != nil {
			continue // Not one of ours.
		}
		members = append(members, Member{string(n.Meta), id, n.Address()})
	}
	slices.SortFunc(members, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID.String(), b.ID.String()))
	})
	return members
}

// encode signs m and puts it on the wire.
func (g *gossip) encode(m *message) []byte {
	m.From = g.registrar.id.String()
	return m.encode()
}

// broadcast spreads m; a newer one of the same name takes its place. Alone, it
// queues nothing: nobody would take it out, and who joins gets the state.
func (g *gossip) broadcast(name string, m *message) {
	if g.alive.Load() > 1 {
		g.queue.QueueBroadcast(broadcast{name, g.encode(m)})
	}
}

// send queues messages for one member, over a stream.
func (g *gossip) send(member string, messages ...*message) {
	members := g.list.Members()
	i := slices.IndexFunc(members, func(n *memberlist.Node) bool { return n.Name == member })
	if i < 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	waiting, isDelivered := g.outboxes[member]
	if len(waiting) >= maxSends {
		g.registrar.dropped.Add(1)
		return
	}
	g.outboxes[member] = append(waiting, messages)
	if !isDelivered {
		g.wg.Go(func() { g.deliver(members[i]) })
	}
}

// deliver empties the outbox of one member. What it does not take, nor what
// waits behind that, is lost: who asked asks again.
func (g *gossip) deliver(to *memberlist.Node) {
	for messages := g.next(to.Name); messages != nil; messages = g.next(to.Name) {
		for _, m := range messages {
			if g.registrar.done.Err() != nil || g.list.SendReliable(to, g.encode(m)) != nil {
				g.mu.Lock()
				delete(g.outboxes, to.Name)
				g.mu.Unlock()
				return
			}
		}
	}
}

// next takes messages out of an outbox. If there are none, the outbox goes.
func (g *gossip) next(member string) []*message {
	g.mu.Lock()
	defer g.mu.Unlock()
	waiting := g.outboxes[member]
	if len(waiting) == 0 {
		delete(g.outboxes, member)
		return nil
	}
	g.outboxes[member] = waiting[1:]
	return waiting[0]
}

// leave says goodbye, unless ctx is done, and ends the membership. The
// registrar is done already. If ctx is done before all has ended, the rest ends
// by itself.
func (g *gossip) leave(ctx context.Context) error {
	ended := make(chan error, 1)
	g.leaving.Go(func() {
		if ctx.Err() == nil {
			_ = g.list.Leave(leaveTimeout) // Whoever does not hear of it finds out.
		}
		err := g.list.Shutdown()
		g.wg.Wait()
		ended <- err
	})
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("leave gossip: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("leave gossip: connections to other registrars are still open: %w", context.Cause(ctx))
	}
}

// NodeMeta implements [memberlist.Delegate].
func (g *gossip) NodeMeta(limit int) []byte {
	name := g.registrar.cfg.Name
	return []byte(name[:min(limit, len(name))])
}

// NotifyMsg implements [memberlist.Delegate].
func (g *gossip) NotifyMsg(data []byte) {
	m, err := decode(data)
	if err != nil || m.From == "" {
		g.registrar.malformed.Add(1)
		return
	}
	g.registrar.enqueue(input{message: m, via: m.From})
}

// GetBroadcasts implements [memberlist.Delegate].
func (g *gossip) GetBroadcasts(overhead, limit int) [][]byte {
	return g.queue.GetBroadcasts(overhead, limit)
}

// LocalState implements [memberlist.Delegate]. It may wait: no lock is held.
func (g *gossip) LocalState(bool) []byte {
	m := &message{Kind: kindState}
	g.registrar.ask(func() { g.registrar.state(time.Now(), m) })
	return g.encode(m)
}

// MergeRemoteState implements [memberlist.Delegate].
func (g *gossip) MergeRemoteState(data []byte, _ bool) { g.NotifyMsg(data) }

// NotifyJoin implements [memberlist.EventDelegate].
func (g *gossip) NotifyJoin(n *memberlist.Node) {
	g.alive.Add(1)
	addr := n.Address()
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, known := g.remembered[addr]; n.Name != g.registrar.id.String() && (known || len(g.remembered) < maxRemembered) {
		g.remembered[addr] = 0
	}
}

// NotifyLeave implements [memberlist.EventDelegate].
func (g *gossip) NotifyLeave(*memberlist.Node) { g.alive.Add(-1) }

// NotifyUpdate implements [memberlist.EventDelegate].
func (g *gossip) NotifyUpdate(*memberlist.Node) {}

// A broadcast is a message that waits in the queue of the gossip.
type broadcast struct {
	name string
	data []byte
}

func (b broadcast) Name() string    { return b.name }
func (b broadcast) Message() []byte { return b.data }
func (broadcast) Finished()         {}

// Invalidates never applies: named broadcasts replace each other by name.
func (broadcast) Invalidates(memberlist.Broadcast) bool { return false }
