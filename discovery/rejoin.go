package discovery

import (
	"context"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

// Bounds of the search for members.
const (
	rejoinEvery   = 5 * time.Second // give or take a fifth
	joiners       = 8               // addresses that are tried at a time
	maxRemembered = 64              // addresses of members; more are not remembered
	maxFailures   = 60              // in a row, then an address that is no seed is forgotten
)

// rejoin looks for seeds, and for members that were lost, until ctx is done:
// memberlist gives up on a partition that lasts.
func (g *gossip) rejoin(ctx context.Context) {
	for {
		g.search(ctx)
		select {
		case <-time.After(rejoinEvery*4/5 + rand.N(rejoinEvery*2/5)):
		case <-ctx.Done():
			return
		}
	}
}

// search tries all addresses that it knows, side by side: one that does not
// answer holds up no other.
func (g *gossip) search(ctx context.Context) {
	var wg sync.WaitGroup
	next := make(chan string)
	addrs := g.known()
	for range min(joiners, len(addrs)) {
		wg.Go(func() {
			for addr := range next {
				g.join(ctx, addr)
			}
		})
	}
	for _, addr := range addrs {
		next <- addr
	}
	close(next)
	wg.Wait()
}

// known returns the addresses where members may be, each once.
func (g *gossip) known() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	addrs := slices.AppendSeq(slices.Clone(g.seeds), maps.Keys(g.remembered))
	slices.Sort(addrs)
	return slices.Compact(addrs)
}

// join makes a member of who is at addr, and is none yet. If addr is a name of
// several, they are tried one after another.
func (g *gossip) join(ctx context.Context, addr string) {
	absent := g.absent(ctx, addr)
	if len(absent) == 0 || ctx.Err() != nil {
		return
	}
	if _, err := g.list.Join(absent); err == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if failures, ok := g.remembered[addr]; ok {
		if g.remembered[addr]++; failures >= maxFailures {
			delete(g.remembered, addr)
		}
	}
}

// absent returns what addr resolves to, without the addresses of members, this
// one included; nothing if it does not resolve at the moment.
func (g *gossip) absent(ctx context.Context, addr string) []string {
	ctx, stop := context.WithTimeout(ctx, dialTimeout)
	defer stop()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil
	}
	hosts, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil
	}
	here := make(map[string]bool)
	for _, n := range g.list.Members() {
		here[n.Address()] = true
	}
	var absent []string
	for _, h := range hosts {
		if a := net.JoinHostPort(h, port); !here[a] {
			absent = append(absent, a)
		}
	}
	return absent
}
