// Package daemon assembles what runs for long: a registrar with its broker, its
// gossip and its HTTP face. It knows no flags and no signals.
package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/tandem-actors/tandem/discovery"
	"github.com/tandem-actors/tandem/identity"
	"github.com/tandem-actors/tandem/internal/httpapi"
	"github.com/tandem-actors/tandem/transport"
	"github.com/tandem-actors/tandem/transport/broker"
)

// A Config says what a registrar consists of. Its zero value is one that stands
// alone, on the default ports of the loopback interface.
type Config struct {
	// Name of the registrar. If empty, the host's name.
	Name string
	// Realm tells clusters apart that share a NATS. If empty, "default".
	Realm string
	// HTTP is the host:port of the HTTP API, port 0 for a free one. If empty,
	// 127.0.0.1:8400.
	HTTP string
	// NATS is the URL of a NATS to use. If empty, one is started here.
	NATS string
	// NATSListen is the host:port where the NATS that is started here listens.
	// If empty, 127.0.0.1:4222.
	NATSListen string
	// NATSClusterPort is where it takes connections of other registrars' NATS,
	// on the same host. If zero, a free one if NATSRoutes is set, else none.
	NATSClusterPort int
	// NATSRoutes are nats://host:port of those.
	NATSRoutes []string
	// Gossip is the host:port of the gossip with other registrars. If empty,
	// 127.0.0.1:7946.
	Gossip string
	// Advertise is the host that other registrars gossip with this one by. If
	// empty, it follows from Gossip.
	Advertise string
	// Join are host:port of other registrars' gossip.
	Join []string
	// StopGrace bounds the orderly stop: what has not ended then, and a quarter
	// of a second later, is left behind. If zero, 5 seconds.
	StopGrace time.Duration
	// Abort, once closed, is the end of the grace.
	Abort <-chan struct{}
	// Ready is called once, when everything answers. If nil, nobody is told.
	Ready func(Ready) error
	// Version is shown in the description of the HTTP API.
	Version string
	// Logger gets what operators need. If nil, nothing is logged.
	Logger *slog.Logger
}

// Ready says where a registrar answers.
type Ready struct {
	Name       string `json:"name"`
	PID        int    `json:"pid"`
	HTTPURL    string `json:"http_url"`
	NATSURL    string `json:"nats_url"`
	NATSRoute  string `json:"nats_route,omitempty"`
	GossipAddr string `json:"gossip_addr"`
}

// A Port is one of the addresses that a registrar listens on.
type Port string

// The addresses that a registrar listens on.
const (
	PortHTTP        Port = "http"
	PortNATS        Port = "nats"
	PortNATSCluster Port = "nats cluster"
	PortGossip      Port = "gossip"
)

// A ListenError says which address cannot be had: the caller knows how it is
// configured.
type ListenError struct {
	Port Port
	Addr string
	Err  error
}

// Error names the address and what stands against it.
func (e *ListenError) Error() string {
	err := e.Err
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err // It repeats the address.
	}
	return fmt.Sprintf("listen for %s on %s: %v", e.Port, e.Addr, err)
}

// Unwrap returns what stands against it.
func (e *ListenError) Unwrap() error { return e.Err }

// A DialError says that the NATS to use cannot be reached.
type DialError struct{ Err error }

// Error names the address and what stands against it.
func (e *DialError) Error() string { return e.Err.Error() }

// Unwrap returns what stands against it.
func (e *DialError) Unwrap() error { return e.Err }

func (c Config) withDefaults() (Config, error) {
	if c.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			return c, fmt.Errorf("name of the registrar: %w", err)
		}
		c.Name = host
	}
	c.Realm = cmp.Or(c.Realm, identity.DefaultRealm)
	c.HTTP = cmp.Or(c.HTTP, "127.0.0.1:8400")
	c.NATSListen = cmp.Or(c.NATSListen, "127.0.0.1:4222")
	c.Gossip = cmp.Or(c.Gossip, "127.0.0.1:7946")
	c.StopGrace = cmp.Or(c.StopGrace, 5*time.Second)
	if c.Ready == nil {
		c.Ready = func(Ready) error { return nil }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// Registrar runs a registrar until ctx is done, then stops it in order and
// returns nil. Any error is one of starting, of running, or of a stop that did
// not end in time, which names what is left. An address that cannot be had is a
// [*ListenError], a NATS that cannot be reached a [*DialError].
func Registrar(ctx context.Context, cfg Config) (err error) {
	cfg, err = cfg.withDefaults()
	if err != nil {
		return err
	}
	r := &registrar{cfg: cfg}
	defer func() {
		if e := stop(r.parts(), cfg.StopGrace, cfg.Abort); e != nil {
			err = errors.Join(err, fmt.Errorf("stop registrar: %w", e))
			return
		}
		r.wg.Wait()
	}()
	if err := r.start(ctx); err != nil {
		return err
	}
	if err := cfg.Ready(r.ready()); err != nil {
		return fmt.Errorf("announce registrar: %w", err)
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-r.served:
		return err
	}
}

// registrar holds the parts, in the order of their start. Those that did not
// start are nil.
type registrar struct {
	cfg       Config
	listener  net.Listener
	broker    *broker.Broker
	bus       *transport.NATS
	discovery *discovery.Registrar
	http      *httpapi.Server
	served    chan error // Gets what ended the HTTP server: one value.
	wg        sync.WaitGroup
}

func (r *registrar) start(ctx context.Context) (err error) {
	if r.listener, err = net.Listen("tcp", r.cfg.HTTP); err != nil {
		return &ListenError{PortHTTP, r.cfg.HTTP, err}
	}
	url := r.cfg.NATS
	if url == "" {
		if r.broker, err = r.startBroker(ctx); err != nil {
			return err
		}
		url = reachable(r.broker.URL())
	}
	r.bus, err = transport.Dial(ctx, transport.DialConfig{URL: url, Name: "registrar " + r.cfg.Name, Logger: r.cfg.Logger})
	if err != nil {
		return &DialError{err}
	}
	if err = free(r.cfg.Gossip, "tcp", "udp"); err != nil {
		return &ListenError{PortGossip, r.cfg.Gossip, err}
	}
	advertise := ""
	if r.cfg.Advertise != "" {
		advertise = net.JoinHostPort(r.cfg.Advertise, "0") // The port of Gossip.
	}
	r.discovery, err = discovery.NewRegistrar(ctx, discovery.RegistrarConfig{
		Name: r.cfg.Name, Realm: r.cfg.Realm, Bus: r.bus, Logger: r.cfg.Logger,
		Gossip: &discovery.GossipConfig{Bind: r.cfg.Gossip, Advertise: advertise, Seeds: r.cfg.Join},
	})
	if err != nil {
		return err
	}
	r.http = httpapi.NewServer(httpapi.Config{
		Registrar: r.discovery, Ready: r.isReady, Version: r.cfg.Version, Logger: r.cfg.Logger,
	})
	r.served = make(chan error, 1)
	r.wg.Go(func() { r.served <- r.http.Serve(r.listener) })
	return nil
}

// ready says where the parts answer.
func (r *registrar) ready() Ready {
	ready := Ready{
		Name:       r.cfg.Name,
		PID:        os.Getpid(),
		HTTPURL:    "http://" + reachable(r.listener.Addr().String()),
		NATSURL:    r.cfg.NATS,
		GossipAddr: r.discovery.GossipAddr(),
	}
	if r.broker != nil {
		ready.NATSURL = reachable(r.broker.URL())
		if addr := r.broker.ClusterAddr(); addr != "" {
			ready.NATSRoute = "nats://" + reachable(addr)
		}
	}
	return ready
}

// joinPatience is how long a registrar that shall join others is not ready
// without them. Then they are taken to be down, and it does what it can.
const joinPatience = 10 * time.Second

// isReady returns why answers may be out of date, or nil.
func (r *registrar) isReady() error {
	if err := r.discovery.Ready(); err != nil {
		return err
	}
	if s := r.discovery.Status(); len(r.cfg.Join) > 0 && len(s.Members) < 2 && time.Since(s.Started) < joinPatience {
		return errors.New("no other registrar has answered yet")
	}
	return nil
}
