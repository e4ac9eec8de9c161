package cluster

import (
	actorcontext "github.com/tandem-actors/tandem/context"
	"github.com/tandem-actors/tandem/identity"
)

// ContextID returns what a stranger would have to guess.
func (c stream[Out, In]) ContextID() identity.UUID { return c.s.id }

// LoseLink makes the node give up its link with another.
func (n *Node) LoseLink(other *Node) { n.lose(other.id.Node, "the test says so") }

// Raw sends a control message as a stranger would who can reach the fabric.
func (n *Node) Raw(to *Node, msg *actorcontext.Message) { n.control(to.id.UUID, msg) }

// Crash makes the node vanish as if its process had been killed: nothing more
// leaves it, and nobody listens for it. Close must still be called.
func (n *Node) Crash() { _ = n.bus.Close() }

// Tables returns how much the node holds: contexts, actors and requests.
func (n *Node) Tables() (contexts, actors, requests int) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return len(n.sides), len(n.actors), len(n.kills)
}
