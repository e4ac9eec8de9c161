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
// counts is its echo.
type links struct {
	limits actorcontext.Limits

	mu    sync.Mutex // Guards what follows. Nothing waits while holding it.
	peers map[identity.UUID]*peer
}

// A peer is a node with which contexts are open.
type peer struct {
	id       identity.NodeID
	link     actorcontext.Link
	contexts int // At least one.
}

// hold counts one more context with the peer.
func (l *links) hold(id identity.NodeID, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.peers[id.UUID]
	if p == nil {
		p = &peer{id: id, link: actorcontext.NewLink(now)}
		l.peers[id.UUID] = p
	}
	p.contexts++
}

// release counts one less. The last one ends the watch.
func (l *links) release(id identity.NodeID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.peers[id.UUID]; p != nil {
		if p.contexts--; p.contexts == 0 {
			delete(l.peers, id.UUID)
		}
	}
}

func (l *links) heard(id identity.UUID, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.peers[id]; p != nil {
		p.link.Heard(now)
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

// judge returns which peers are to be pinged and which are lost, and why.
func (l *links) judge(now time.Time) (alive []identity.UUID, lost map[identity.NodeID]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lost = make(map[identity.NodeID]string)
	for uuid, p := range l.peers {
		if why := p.link.Lost(now, l.limits); why != "" {
			lost[p.id] = why
		} else {
			alive = append(alive, uuid)
		}
	}
	return alive, lost
}

// all returns the peers.
func (l *links) all() (ids []identity.NodeID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.peers {
		ids = append(ids, p.id)
	}
	return ids
}

// beat is one heartbeat: it judges the links, and asks after contexts that have
// become quiet.
func (n *Node) beat(now time.Time) {
	alive, lost := n.links.judge(now)
	for _, uuid := range alive {
		n.control(uuid, &actorcontext.Message{Kind: actorcontext.Ping})
	}
	for id, why := range lost {
		n.lose(id, why)
		n.registry.Suspect(id.UUID, why)
	}
	beats := n.beats.Add(1)
	for _, s := range n.allSides() {
		s.recheck(beats)
	}
}

// quietBeats is for how many heartbeats a context may be quiet before its other
// side is asked after it.
const quietBeats = 3

// recheck makes up for control messages that were lost on the way, whoever lost
// them: a cancel that has no ack is sent again, and the other side of a context
// of which nothing was heard is asked whether it still has it. If it says twice
// that it has not, this side ends (scenario H-19).
func (s *side) recheck(beats uint32) {
	s.mu.Lock()
	ended, _ := s.m.Ended()
	quiet := beats-s.heard >= quietBeats
	var again []byte
	if s.wave != nil {
		again = s.wave.frame
	}
	if quiet {
		s.heard = beats
	}
	s.mu.Unlock()
	switch {
	case ended || !quiet || s.peer.Node.UUID == s.node.id.UUID:
	case again != nil:
		s.node.sendControl(s.peer.Node.UUID, actorcontext.Cancel, again)
	default:
		s.control(actorcontext.Message{Kind: actorcontext.Check})
	}
}

// checked answers a peer that asks after a context that is not here, or is
// lost. The answer goes with the data, behind a result that may be under way; if
// there is no room for it, the peer will ask again.
func (n *Node) checked(from identity.UUID, msg *actorcontext.Message) {
	frame := actorcontext.AppendMessage(nil, &actorcontext.Message{Kind: actorcontext.Unknown, From: msg.From.Peer(), Context: msg.Context})
	_ = n.send(doneContext, from, actorcontext.Unknown, frame)
}

// doubt takes the peer's word that it does not have this context. The first one
// may have overtaken its last message on the other subject; the second, a few
// heartbeats later, has not.
func (s *side) doubt() {
	s.mu.Lock()
	sure := s.doubted
	s.doubted = true
	s.mu.Unlock()
	if sure {
		s.lose(&LinkLost{Peer: s.peer.Node, Why: "it does not have this context any more"})
	}
}

// disconnected ends every context with other nodes: what was under way to or
// from them when this node's connection broke may be lost, and silence about
// that would be a lie. The peers find out when they ask after theirs.
func (n *Node) disconnected(err error) {
	for _, id := range n.links.all() {
		n.lose(id, "this node missed messages: "+err.Error())
	}
}

// undelivered ends every context with a node for which messages were refused.
func (n *Node) undelivered(node identity.UUID, err error) {
	for _, id := range n.links.all() {
		if id.UUID == node {
			n.lose(id, "messages were not sent: "+err.Error())
		}
	}
}

// lose ends every context with a node that cannot be heard, and what was asked
// of it.
func (n *Node) lose(id identity.NodeID, why string) {
	n.log.Warn("link lost", slog.String("peer", id.Name), slog.String("why", why))
	lost := &LinkLost{Peer: id, Why: why}
	for _, s := range n.sidesWith(id.UUID) {
		s.lose(lost)
		n.unwatch(s)
	}
	n.resolveKills(id.UUID, lost)
}

// resolveKills answers the requests to cancel actors of a node that is gone.
func (n *Node) resolveKills(node identity.UUID, err error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, kill := range n.kills {
		if kill.node == node {
			kill.resolve(err)
		}
	}
}

// unreachable is told by the port that nobody listened for a control message.
// What had not been heard of since it was opened fails at once (scenario H-23);
// for the rest it may be a reconnect, and the next heartbeats decide.
func (n *Node) unreachable(node identity.UUID) {
	n.resolveKills(node, ErrUnreachable)
	heardSince, ok := n.links.refused(node, time.Now())
	if !ok {
		return
	}
	gone := false
	for _, s := range n.sidesWith(node) {
		if s.isFresh() && !heardSince(s.born) {
			s.lose(&LinkLost{Peer: s.peer.Node, Why: ErrUnreachable.Error()})
			gone = true
		}
	}
	if gone {
		n.registry.Suspect(node, ErrUnreachable.Error())
	}
}

// isFresh reports whether the other side has not answered the opening yet.
func (s *side) isFresh() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.m.State()
	return s.which == actorcontext.Parent && (state == actorcontext.Opening || state == actorcontext.Calling)
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
