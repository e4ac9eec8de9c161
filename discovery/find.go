package discovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/identity"
)

const (
	queryWait   = time.Second // of each try
	queryTries  = 3
	suspectFor  = 5 * time.Second // that a client avoids a node
	maxSuspects = 4096            // of one client; more are not remembered
	recheck     = time.Second     // of who waits, in case that news got lost
	verifiers   = 16              // actors that one FindAll asks for at a time
)

// Suspect tells that messages to a node do not arrive. This client does not
// find the node's actors for the next 5 seconds, and registrars probe the node
// at once. It never blocks.
func (c *Client) Suspect(node identity.UUID, why string) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, until := range c.suspects {
		if now.After(until) {
			delete(c.suspects, id)
		}
	}
	if _, known := c.suspects[node]; !known {
		c.report(node, identity.UUID{}, why)
	}
	if len(c.suspects) < maxSuspects {
		c.suspects[node] = now.Add(suspectFor)
	}
}

func (c *Client) isSuspect(node identity.UUID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Before(c.suspects[node])
}

// report gives registrars evidence. Lost, it is found again. c.mu is held.
func (c *Client) report(node, actor identity.UUID, why string) {
	c.post(c.subjects.evidence(), "", &message{Kind: kindEvidence, Node: node, Actor: actor, Why: Why{Reason: clip(why)}})
}

// Find returns the newest live actor with exactly that name. Each
// candidate's node has confirmed it since Find was called: one that does not is
// reported to the registrars, and the next is tried. If there is none,
// the error is [fault.ErrNotFound]; if no registrar answers, and this node has
// no such actor, [fault.ErrUnreachable].
func (c *Client) Find(ctx context.Context, name string) (identity.ActorID, error) {
	candidates, err := c.candidates(ctx, name)
	for _, e := range candidates {
		if lives, verr := c.verify(ctx, e.Actor); lives {
			return e.Actor, nil
		} else if verr != nil {
			err = verr
		}
	}
	return identity.ActorID{}, fmt.Errorf("find %q: %w", name, orNotFound(err))
}

// FindAll returns all live actors with exactly that name, the newest first,
// confirmed as by [Client.Find]. Of those on other nodes it returns the newest
// that fit 256 KiB, which is some 2000. It never returns an empty list without
// an error.
func (c *Client) FindAll(ctx context.Context, name string) ([]identity.ActorID, error) {
	candidates, err := c.candidates(ctx, name)
	lives := make([]bool, len(candidates))
	errs := make([]error, len(candidates))
	var wg sync.WaitGroup
	next := make(chan int)
	for range min(verifiers, len(candidates)) {
		wg.Go(func() {
			for i := range next {
				lives[i], errs[i] = c.verify(ctx, candidates[i].Actor)
			}
		})
	}
	for i := range candidates {
		next <- i
	}
	close(next)
	wg.Wait()
	var actors []identity.ActorID
	for i, e := range candidates {
		if lives[i] {
			actors = append(actors, e.Actor)
		}
	}
	if len(actors) > 0 {
		return actors, nil
	}
	for _, verr := range errs {
		if verr != nil {
			err = verr
		}
	}
	return nil, fmt.Errorf("find all %q: %w", name, orNotFound(err))
}

func orNotFound(err error) error {
	if err == nil {
		return fault.ErrNotFound
	}
	return err
}

// WaitFor returns as [Client.Find] does, once there is an actor of that name.
// It waits through failures of registrars and the bus, until ctx is done or the
// client is closed, and leaves nothing behind.
func (c *Client) WaitFor(ctx context.Context, name string) (identity.ActorID, error) {
	news := make(chan struct{}, 1) // More news than one is no news.
	unsubscribe, err := c.cfg.Bus.Subscribe(c.subjects.name(name), "", func(_, _ string, _ []byte) {
		select {
		case news <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return identity.ActorID{}, fmt.Errorf("wait for %q: %w", name, err)
	}
	defer unsubscribe()
	_ = c.cfg.Bus.Flush(ctx) // News from before are seen by the first Find; without, the next one.
	ticker := time.NewTicker(recheck)
	defer ticker.Stop()
	for {
		actor, err := c.Find(ctx, name)
		if err == nil {
			return actor, nil
		}
		if bad, ok := errors.AsType[*identity.NameError](err); ok {
			return identity.ActorID{}, fmt.Errorf("wait for actor: %w", bad)
		}
		select {
		case <-news:
		case <-ticker.C:
		case <-c.done.Done():
			return identity.ActorID{}, fmt.Errorf("wait for %q: %w", name, context.Cause(c.done))
		case <-ctx.Done():
			return identity.ActorID{}, fmt.Errorf("wait for %q: %w", name, context.Cause(ctx))
		}
	}
}

// candidates returns who may have the name, the newest first: who the
// registrars know, and this node's own. It returns the latter even with an
// error.
func (c *Client) candidates(ctx context.Context, name string) ([]Entry, error) {
	if err := identity.CheckName(name); err != nil {
		return nil, err
	}
	own, closed := c.own(name)
	if closed {
		return nil, fault.ErrClosed
	}
	q := &message{Kind: kindQuery, Name: name}
	answer, err := request(ctx, c.cfg.Bus, c.subjects.query(), q, queryWait, queryTries)
	if errors.Is(err, fault.ErrUnreachable) {
		err = fmt.Errorf("no registrar answered: %w", err)
	}
	candidates := own
	if err == nil {
		for _, f := range answer.Found {
			if f.Actor.Node != c.cfg.Node && f.Actor.Name == name {
				candidates = append(candidates, f.entry())
			}
		}
	}
	slices.SortFunc(candidates, CompareAge)
	return candidates, err
}

// own returns the entries of this node, which is first to know of them.
func (c *Client) own(name string) (own []Entry, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.log.entries {
		if e.Actor.Name == name {
			own = append(own, e)
		}
	}
	return own, c.closed
}

// has reports whether this node has the actor.
func (c *Client) has(actor identity.UUID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.log.entries[actor]
	return ok && !c.closed
}

// verify asks the actor's node whether it has the actor. An error says that
// the question could not be asked.
func (c *Client) verify(ctx context.Context, actor identity.ActorID) (bool, error) {
	if actor.Node == c.cfg.Node {
		return c.has(actor.UUID), nil
	}
	if c.isSuspect(actor.Node.UUID) {
		return false, nil
	}
	answer, err := c.subjects.ask(ctx, c.cfg.Bus, actor.Node.UUID, actor.UUID)
	switch {
	case err == nil && !answer.Has:
		c.mu.Lock()
		c.report(actor.Node.UUID, actor.UUID, "its node does not have it")
		c.mu.Unlock()
	case err == nil:
		return true, nil
	case errors.Is(err, fault.ErrUnreachable):
		c.Suspect(actor.Node.UUID, err.Error())
	default:
		return false, err
	}
	return false, nil
}
