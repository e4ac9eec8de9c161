package httpapi

import (
	"errors"
	"sync"
	"time"

	"github.com/tandem-actors/tandem/discovery"
)

// A photo is what there was at one moment. Nobody changes it.
type photo struct {
	taken  chan struct{} // Closed when what follows is there.
	nodes  []discovery.NodeRecord
	actors []discovery.Record
}

// A camera takes photos of a registrar, one at a time. Streams that begin or
// start over together share one: a burst of changes, which resets all of them,
// costs the registrar two questions and not two for each.
type camera struct {
	of   Registrar
	busy chan struct{} // Holds one value while a photo is taken.

	mu   sync.Mutex // Guards next.
	next *photo     // The one that is not begun yet; nil if nobody waits for one.
}

func newCamera(of Registrar) *camera { return &camera{of: of, busy: make(chan struct{}, 1)} }

// shoot returns a photo that was begun after shoot was called.
func (c *camera) shoot() *photo {
	c.mu.Lock()
	p := c.next
	if p != nil {
		c.mu.Unlock()
		<-p.taken
		return p
	}
	p = &photo{taken: make(chan struct{})}
	c.next = p
	c.mu.Unlock()
	defer close(p.taken)
	c.busy <- struct{}{}
	defer func() { <-c.busy }()
	c.mu.Lock()
	c.next = nil // Who comes from now on may know of something that this one lacks.
	c.mu.Unlock()
	p.nodes, p.actors = c.of.Nodes(), c.of.List(discovery.Query{All: true})
	return p
}

// snapshot writes the nodes and actors that there are. Evicted ones are told
// again if they come back; suspect ones are not, so they are in it.
func (s *Server) snapshot(q Query, out *stream) error {
	now := time.Now().UTC()
	there := s.camera.shoot()
	for _, n := range there.nodes {
		if n.State != discovery.StateEvicted && q.concerns(n.Node, nil) {
			e := Event{Type: TypeSnapshot, Time: now, Node: &n.Node, State: n.State}
			if err := out.send(e); err != nil {
				return err
			}
		}
	}
	for _, a := range there.actors {
		if a.State != discovery.StateEvicted && q.concerns(a.Actor.Node, &a.Actor) {
			e := Event{Type: TypeSnapshot, Time: now, Node: &a.Actor.Node, Actor: &a.Actor, State: a.State}
			if err := out.send(e); err != nil {
				return err
			}
		}
	}
	return errors.Join(out.send(Event{Type: TypeSnapshotEnd, Time: now}), out.flush())
}
