package cluster

import (
	"log/slog"
	"sync"
	"time"

	actorcontext "github.com/tandem-actors/tandem/context"
	"github.com/tandem-actors/tandem/identity"
)

// links watches the nodes with which this one shares contexts, and only while
// it does. The connection to a broker being up says nothing about a peer: what
// counts is its echo (design, section 5).
type links struct {
	node   *Node
	limits actorcontext.Limits

	mu    sync.Mutex // Guards what follows. Nothing waits while holding it.
	peers map[identity.UUID]*peer
	pings uint64
}

type peer struct {
	id       identity.NodeID
	link     actorcontext.Link
	contexts int
	idle     time.Time     // Since when contexts is 0.
	session  identity.UUID // Mine: changes when I lose the link.
	theirs   identity.UUID // The peer's, from its last ping.
}

// hold counts one more context with the peer.
func (l *links) hold(id identity.NodeID, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.peers[id.UUID]
	if p == nil {
		p = &peer{id: id, session: identity.New()}
		l.peers[id.UUID] = p
	}
	if p.contexts == 0 {
		p.link = actorcontext.NewLink(now)
	}
	p.contexts++
}

// release counts one less. After the last, nobody is pinged any more; the
// session is kept for a while, so that what is still under way belongs to it.
func (l *links) release(id identity.NodeID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.peers[id.UUID]; p != nil {
		p.contexts--
		p.idle = time.Now()
	}
}

func (l *links) heard(id identity.UUID, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.peers[id]; p != nil {
		p.link.Heard(now)
	}
}

// pinged notes the peer's session. A peer that has begun another while
// contexts are open has given those up, though its word may have been lost on
// the way: the link is lost here, too.
func (l *links) pinged(id, session identity.UUID) {
	l.mu.Lock()
	p := l.peers[id]
	if p == nil {
		l.mu.Unlock()
		return
	}
	known := p.theirs
	p.theirs = session
	broken := known != identity.UUID{} && known != session && p.contexts > 0
	node := p.id
	l.mu.Unlock()
	if broken {
		l.node.lose(node, "the peer has lost it")
	}
}

// refused records that nobody listens at the peer, and returns since when it
// has not been heard. ok is false if this node shares nothing with it.
func (l *links) refused(id identity.UUID, now time.Time) (heardSince func(time.Time) bool, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.peers[id]
	if p == nil {
		return nil, false
	}
	p.link.Refused(now)
	link := p.link
	return link.HeardSince, true
}

// tick judges every peer, and pings those that are not lost.
func (l *links) tick(now time.Time) {
	type loss struct {
		id  identity.NodeID
		why string
	}
	var lost []loss
	alive := make(map[identity.UUID]identity.UUID)
	l.mu.Lock()
	l.pings++
	seq := l.pings
	for uuid, p := range l.peers {
		why := p.link.Lost(now, l.limits)
		switch {
		case p.contexts == 0 && now.Sub(p.idle) > sessionLinger*l.limits.Silence:
			delete(l.peers, uuid)
		case p.contexts == 0:
		case why != "":
			lost = append(lost, loss{p.id, why})
		default:
			alive[uuid] = p.session
		}
	}
	l.mu.Unlock()
	for uuid, session := range alive {
		l.node.answer(uuid, actorcontext.Message{Kind: actorcontext.Ping, Seq: seq, Context: session})
	}
	for _, p := range lost {
		l.node.lose(p.id, p.why)
	}
}

// sessionLinger is how many times the silence limit a session outlives the last
// context of its link.
const sessionLinger = 10

// renew begins another session with a peer, which tells it that the contexts
// of the one before are given up.
func (l *links) renew(id identity.UUID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.peers[id]; p != nil {
		p.session = identity.New()
		p.link = actorcontext.NewLink(time.Now())
	}
}

// shared returns the peers with which contexts are open, that is all of them or,
// if only is not zero, that one.
func (l *links) shared(only identity.UUID) (peers []identity.NodeID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for uuid, p := range l.peers {
		if p.contexts > 0 && (only == uuid || only == identity.UUID{}) {
			peers = append(peers, p.id)
		}
	}
	return peers
}

// disconnected ends every context with other nodes: what was under way to or
// from them when this node's connection broke may be lost, and silence about
// that would be a lie.
func (n *Node) disconnected(err error) {
	for _, id := range n.links.shared(identity.UUID{}) {
		n.lose(id, "this node missed messages: "+err.Error())
	}
}

// undelivered ends every context with a node for which messages were refused.
func (n *Node) undelivered(node identity.UUID, err error) {
	for _, id := range n.links.shared(node) {
		n.lose(id, "messages were not sent: "+err.Error())
	}
}

// lose ends every context with a node that cannot be heard. Unless the reason
// is on this side, it tells the registrars.
func (n *Node) lose(id identity.NodeID, why string) {
	n.log.Warn("link lost", slog.String("peer", id.Name), slog.String("why", why))
	n.links.renew(id.UUID)
	for _, s := range n.sidesWith(id.UUID) {
		s.lose(&LinkLost{Peer: id, Why: why})
		if s.which == actorcontext.Parent {
			continue // Its opener leaves and removes it.
		}
		n.remove(s)
	}
	if n.bus.Err() == nil {
		n.registry.Suspect(id.UUID, why)
	}
}

// unreachable is told by the port that nobody listened for a control message.
// What had not been heard of since it was opened fails at once (scenario H-23);
// for the rest it may be a reconnect, and the next heartbeats decide.
func (n *Node) unreachable(node identity.UUID) {
	n.mu.RLock()
	for _, kill := range n.kills {
		if kill.node == node {
			kill.resolve(ErrUnreachable)
		}
	}
	n.mu.RUnlock()
	heardSince, ok := n.links.refused(node, time.Now())
	if !ok {
		return
	}
	gone := false
	for _, s := range n.sidesWith(node) {
		s.mu.Lock()
		state := s.m.State()
		s.mu.Unlock()
		if fresh := state == actorcontext.Opening || state == actorcontext.Calling; fresh && s.which == actorcontext.Parent && !heardSince(s.born) {
			s.lose(&LinkLost{Peer: s.peer.Node, Why: ErrUnreachable.Error()})
			gone = true
		}
	}
	if gone {
		n.registry.Suspect(node, ErrUnreachable.Error())
	}
}

func (n *Node) sidesWith(node identity.UUID) []*side {
	n.mu.RLock()
	defer n.mu.RUnlock()
	var sides []*side
	for _, s := range n.sides {
		if s.peer.Node.UUID == node {
			sides = append(sides, s)
		}
	}
	return sides
}
