package cluster

// Crash makes the node vanish as if its process had been killed: nothing more
// leaves it, and nobody listens for it. Close must still be called.
func (n *Node) Crash() { _ = n.bus.Close() }

// Tables returns how much the node holds: contexts, actors and requests.
func (n *Node) Tables() (contexts, actors, requests int) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return len(n.sides), len(n.actors), len(n.kills)
}
