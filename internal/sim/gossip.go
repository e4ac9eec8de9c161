// Package sim holds what tests need to run a cluster in virtual time.
package sim

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// queued is how many packets wait at a transport before more are dropped.
const queued = 256

// A Gossip is a network for memberlist that lives in memory. Its packets and
// streams travel over channels, so they are durably blocking in a synctest
// bubble. Like UDP it drops what it cannot deliver; unlike
// [memberlist.MockNetwork] it never blocks on a member that has shut down.
//
// The zero Gossip is ready for use.
type Gossip struct {
	mu    sync.Mutex
	ports map[string]*port
	cut   map[[2]string]bool
}

// Join returns the transport of a new member.
func (g *Gossip) Join() memberlist.NodeAwareTransport {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ports == nil {
		g.ports = make(map[string]*port)
		g.cut = make(map[[2]string]bool)
	}
	p := &port{
		net:     g,
		ip:      net.IPv4(10, 0, byte(len(g.ports)>>8), byte(len(g.ports)+1)),
		packets: make(chan *memberlist.Packet, queued),
		streams: make(chan net.Conn),
		down:    make(chan struct{}),
	}
	g.ports[p.String()] = p
	return p
}

// Cut stops traffic from one address to the other, until Heal.
func (g *Gossip) Cut(from, to string) { g.setCut(from, to, true) }

// Heal undoes Cut.
func (g *Gossip) Heal(from, to string) { g.setCut(from, to, false) }

func (g *Gossip) setCut(from, to string, cut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cut[[2]string{from, to}] = cut
}

// route returns the port that listens at to, or nil if from cannot reach it.
func (g *Gossip) route(from, to string) *port {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cut[[2]string{from, to}] {
		return nil
	}
	return g.ports[to]
}

var errUnreachable = errors.New("sim: unreachable")

// A port is one member's end of the network. It is also its own [net.Addr].
type port struct {
	net     *Gossip
	ip      net.IP
	packets chan *memberlist.Packet
	streams chan net.Conn
	down    chan struct{} // closed by Shutdown
	once    sync.Once
}

func (p *port) Network() string { return "sim" }
func (p *port) String() string  { return fmt.Sprintf("%v:7946", p.ip) }

func (p *port) FinalAdvertiseAddr(string, int) (net.IP, int, error) { return p.ip, 7946, nil }
func (p *port) PacketCh() <-chan *memberlist.Packet                 { return p.packets }
func (p *port) StreamCh() <-chan net.Conn                           { return p.streams }

func (p *port) WriteTo(b []byte, addr string) (time.Time, error) {
	now := time.Now()
	if to := p.net.route(p.String(), addr); to != nil {
		select {
		case to.packets <- &memberlist.Packet{Buf: append([]byte(nil), b...), From: p, Timestamp: now}:
		default: // Full: dropped, as on a real network.
		}
	}
	return now, nil
}

func (p *port) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	to := p.net.route(p.String(), addr)
	if to == nil {
		return nil, errUnreachable
	}
	near, far := net.Pipe()
	select {
	case to.streams <- far:
		return near, nil
	case <-to.down:
		return nil, errUnreachable
	case <-time.After(timeout):
		return nil, errUnreachable
	}
}

func (p *port) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return p.WriteTo(b, a.Addr)
}

func (p *port) DialAddressTimeout(a memberlist.Address, d time.Duration) (net.Conn, error) {
	return p.DialTimeout(a.Addr, d)
}

func (p *port) Shutdown() error {
	p.once.Do(func() { close(p.down) })
	return nil
}
