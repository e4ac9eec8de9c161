package cluster

import (
	"context"
	"sync"

	"github.com/tandem-actors/tandem/discovery"
	"github.com/tandem-actors/tandem/transport"
)

// bus is a node's connection to its fabric.
type bus = transport.Bus

// A fabric is what the nodes of one cluster share within a process: the URL of
// a NATS server, or a whole cluster in memory with a registrar of its own. The
// last node that leaves closes it.
type fabric struct {
	url string // Empty: in memory.

	memory       *transport.Memory
	registrar    *discovery.Registrar
	registrarBus bus

	mu    sync.Mutex // Guards nodes.
	nodes int
}

// fabric returns the fabric that c names.
func (c Config) fabric(ctx context.Context) (*fabric, error) {
	if c.Peer != nil {
		return c.Peer.fabric.hold()
	}
	if c.Join != "" {
		return &fabric{url: c.Join, nodes: 1}, nil
	}
	f := &fabric{memory: transport.NewMemory(), nodes: 1}
	f.registrarBus = f.memory.Attach()
	var err error
	f.registrar, err = discovery.NewRegistrar(ctx, discovery.RegistrarConfig{
		Name: "memory", Realm: c.Realm, Bus: f.registrarBus, Logger: c.Logger,
	})
	if err != nil {
		return nil, join(err, f.registrarBus.Close())
	}
	return f, nil
}

// String names the fabric, for people.
func (f *fabric) String() string {
	if f.url == "" {
		return "in memory"
	}
	return f.url
}

func (f *fabric) hold() (*fabric, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.nodes == 0 {
		return nil, ErrClosed
	}
	f.nodes++
	return f, nil
}

// attach connects a node. onLoss is called when what was under way may be lost.
func (f *fabric) attach(ctx context.Context, cfg Config, onLoss func(error)) (bus, error) {
	if f.url == "" {
		return f.memory.Attach(), nil
	}
	b, err := transport.Dial(ctx, transport.DialConfig{URL: f.url, Name: cfg.Name, OnLoss: onLoss, Logger: cfg.Logger})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// release gives up a node's share.
func (f *fabric) release(ctx context.Context) error {
	f.mu.Lock()
	f.nodes--
	last := f.nodes == 0
	f.mu.Unlock()
	if !last || f.registrar == nil {
		return nil
	}
	return join(f.registrar.Close(ctx), f.registrarBus.Close())
}
