package discovery

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/rand/v2"
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
	// Bind is the host and port to listen on, TCP and UDP. If empty, it is a
	// free port of the loopback; if the port is 0, it is any that is free.
	Bind string
	// Advertise is the host and port that others reach Bind at, if they differ.
	Advertise string
	// Seeds are addresses of other registrars, some of which may be down. They
	// are tried again as long as they are not members.
	Seeds []string
	// Key encrypts what registrars say: 16, 24 or 32 bytes, the same for all.
	// If empty, nothing is encrypted.
	Key []byte

	transport memberlist.NodeAwareTransport // in place of Bind, for tests
}

// Bounds of the gossip.
const (
	maxBroadcast  = 1300             // bytes; what is larger never fits a packet
	ballast       = 64 << 10         // see below
	maxSends      = 256              // messages that wait to be sent; more are dropped, and asked for again
	maxRemembered = 64               // addresses of members that were there once
	rejoinEvery   = 5 * time.Second  // give or take a fifth
	pushPullEvery = 10 * time.Second // of whole states
	dialTimeout   = 3 * time.Second
	leaveTimeout  = 2 * time.Second
)

// The queue of memberlist 0.7 numbers broadcasts, and starts again whenever it
// is empty, even in the middle of a round: two of equal length that then get
// the same number replace each other, and one is lost. A broadcast that fits no
// packet stays for ever and keeps the queue from being empty.

// A gossip is a registrar's membership in the ring of registrars. It is the
// delegate of its memberlist: those methods run under memberlist's locks, so
// they only enqueue.
type gossip struct {
	registrar *Registrar
	list      *memberlist.Memberlist
	seeds     []string
	queue     memberlist.TransmitLimitedQueue // by name, so bounded by twice the number of runs
	alive     atomic.Int32                    // members
	local     atomic.Pointer[[]byte]          // the state that the next exchange sends
	sends     chan outgoing
	wg        sync.WaitGroup

	mu         sync.Mutex // guards all below
	remembered []string
}

type outgoing struct {
	member string
	data   []byte
}

// newGossip joins the ring; its goroutines end with ctx.
func newGossip(ctx context.Context, cfg GossipConfig, r *Registrar) (*gossip, error) {
	g := &gossip{registrar: r, seeds: cfg.Seeds, sends: make(chan outgoing, maxSends)}
	g.queue.NumNodes = func() int { return int(g.alive.Load()) }
	g.queue.RetransmitMult = 4
	g.queue.QueueBroadcast(broadcast{"ballast", make([]byte, ballast)})
	g.setState(&message{Kind: kindState})
	mc, err := g.config(cfg)
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	if g.list, err = memberlist.Create(mc); err != nil {
		return nil, fmt.Errorf("gossip on %s: %w", cfg.Bind, err)
	}
	g.wg.Go(func() { g.deliver(ctx) })
	g.wg.Go(func() { g.rejoin(ctx) })
	return g, nil
}

// config returns the profile for a small ring that must notice soon.
func (g *gossip) config(cfg GossipConfig) (*memberlist.Config, error) {
	bind, err := net.ResolveTCPAddr("tcp", cmp.Or(cfg.Bind, "127.0.0.1:0"))
	if err != nil {
		return nil, err
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

// setState sets what other registrars get when they next exchange states.
func (g *gossip) setState(m *message) {
	m.From = g.registrar.id.String()
	data := m.encode()
	g.local.Store(&data)
}

// broadcast spreads m; a newer one of the same name takes its place.
func (g *gossip) broadcast(name string, m *message) {
	m.From = g.registrar.id.String()
	if data := m.encode(); len(data) <= maxBroadcast {
		g.queue.QueueBroadcast(broadcast{name, data})
	}
}

// send queues m for one member, over a stream.
func (g *gossip) send(member string, m *message) {
	m.From = g.registrar.id.String()
	select {
	case g.sends <- outgoing{member, m.encode()}:
	default:
		g.registrar.dropped.Add(1)
	}
}

// deliver sends what is queued.
func (g *gossip) deliver(ctx context.Context) {
	for {
		select {
		case out := <-g.sends:
			for _, n := range g.list.Members() {
				if n.Name == out.member {
					_ = g.list.SendReliable(n, out.data) // Lost: who asked asks again.
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

// rejoin looks for seeds, and for members that were lost, until ctx is done:
// memberlist gives up on a partition that lasts.
func (g *gossip) rejoin(ctx context.Context) {
	for {
		for _, addr := range g.missing() {
			if ctx.Err() != nil {
				return
			}
			_, _ = g.list.Join([]string{addr}) // Tried again in a while.
		}
		select {
		case <-time.After(rejoinEvery*4/5 + rand.N(rejoinEvery*2/5)):
		case <-ctx.Done():
			return
		}
	}
}

func (g *gossip) missing() []string {
	here := make(map[string]bool)
	for _, n := range g.list.Members() {
		here[n.Address()] = true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	addrs := slices.Concat(g.seeds, g.remembered)
	slices.Sort(addrs)
	return slices.DeleteFunc(slices.Compact(addrs), func(addr string) bool { return here[addr] })
}

// leave says goodbye and ends the membership.
func (g *gossip) leave(ctx context.Context) error {
	patience := leaveTimeout
	if deadline, ok := ctx.Deadline(); ok {
		patience = max(time.Millisecond, min(patience, time.Until(deadline)))
	}
	_ = g.list.Leave(patience) // Whoever does not hear of it finds out.
	if err := g.list.Shutdown(); err != nil {
		return fmt.Errorf("leave gossip: %w", err)
	}
	return nil
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

// LocalState implements [memberlist.Delegate].
func (g *gossip) LocalState(bool) []byte { return *g.local.Load() }

// MergeRemoteState implements [memberlist.Delegate].
func (g *gossip) MergeRemoteState(data []byte, _ bool) { g.NotifyMsg(data) }

// NotifyJoin implements [memberlist.EventDelegate].
func (g *gossip) NotifyJoin(n *memberlist.Node) {
	g.alive.Add(1)
	addr := n.Address()
	g.mu.Lock()
	defer g.mu.Unlock()
	if n.Name == g.registrar.id.String() || slices.Contains(g.remembered, addr) {
		return
	}
	if len(g.remembered) >= maxRemembered {
		g.remembered = g.remembered[1:]
	}
	g.remembered = append(g.remembered, addr)
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
