// Package broker runs a NATS server inside this process, so that a cluster
// needs no other program. Brokers of several processes form a NATS cluster.
package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/tandem-actors/tandem/identity"
)

const (
	// Clients and routes that stopped answering are noticed within 6 seconds;
	// NATS's own defaults take minutes.
	pingInterval  = 2 * time.Second
	pingsMissed   = 2
	writeDeadline = 5 * time.Second

	startPatience = 10 * time.Second
	startPoll     = 100 * time.Millisecond
)

// A Config says where a broker listens. Its zero value stands alone, on a free
// port of the loopback interface.
type Config struct {
	// Host is the address to listen on. If empty, it is 127.0.0.1. Whoever
	// reaches it can read and send everything.
	Host string
	// Port is for clients. If zero, a free one is taken.
	Port int
	// Name is what NATS's own tools call the broker; a suffix makes it unique.
	Name string
	// ClusterName, if set, lets brokers with the same one connect. If it is
	// empty but ClusterPort or Routes are not, it is "tandem".
	ClusterName string
	// ClusterPort is for other brokers. If zero, a free one is taken.
	ClusterPort int
	// Routes are the addresses, nats://host:port, of other brokers' cluster
	// ports. One suffices: they tell each other of the rest. Addresses where
	// nobody listens are tried for ever.
	Routes []string
	// Logger gets the server's warnings and errors, and the rest at level
	// debug. If nil, nothing is logged.
	Logger *slog.Logger
}

// options translates c and reports what is wrong with it.
func (c Config) options() (*server.Options, error) {
	o := &server.Options{
		ServerName:    cmp.Or(c.Name, "broker") + "-" + identity.New().String()[24:],
		Host:          cmp.Or(c.Host, "127.0.0.1"),
		Port:          cmp.Or(c.Port, server.RANDOM_PORT),
		NoSigs:        true,
		PingInterval:  pingInterval,
		MaxPingsOut:   pingsMissed,
		WriteDeadline: writeDeadline,
	}
	if c.ClusterName == "" && c.ClusterPort == 0 && len(c.Routes) == 0 {
		return o, nil
	}
	o.Cluster = server.ClusterOpts{
		Name:          cmp.Or(c.ClusterName, "tandem"),
		Host:          o.Host,
		Port:          cmp.Or(c.ClusterPort, server.RANDOM_PORT),
		PingInterval:  pingInterval,
		MaxPingsOut:   pingsMissed,
		WriteDeadline: writeDeadline,
	}
	var errs []error
	for _, route := range c.Routes {
		u, err := url.Parse(route)
		if err == nil && (u.Scheme == "" || u.Port() == "") {
			err = fmt.Errorf("route %q: want nats://host:port", route)
		}
		errs = append(errs, err)
		o.Routes = append(o.Routes, u)
	}
	return o, errors.Join(errs...)
}

// A Broker is a running NATS server.
type Broker struct{ server *server.Server }

// Start returns when the broker takes connections, and with an error if it does
// not within 10 seconds or before ctx is done.
func Start(ctx context.Context, cfg Config) (*Broker, error) {
	options, err := cfg.options()
	if err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	s, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	log := &logger{log: cfg.Logger}
	if log.log == nil {
		log.log = slog.New(slog.DiscardHandler)
	}
	s.SetLoggerV2(log, false, false, false)
	s.Start()
	b := &Broker{server: s}
	ctx, stop := context.WithTimeout(ctx, startPatience)
	defer stop()
	for !s.ReadyForConnections(startPoll) {
		if err := errors.Join(log.fatal(), context.Cause(ctx)); err != nil {
			_ = b.Close() // It is the start that failed.
			return nil, fmt.Errorf("start broker on %s, port %d: %w", options.Host, cfg.Port, err)
		}
	}
	return b, nil
}

// URL returns the address for clients.
func (b *Broker) URL() string { return b.server.ClientURL() }

// ClusterAddr returns the host:port for other brokers, or "" if the broker
// stands alone.
func (b *Broker) ClusterAddr() string {
	if addr := b.server.ClusterAddr(); addr != nil {
		return addr.String()
	}
	return ""
}

// Close disconnects all clients, stops the broker and waits until it has ended.
// It may be called twice.
func (b *Broker) Close() error {
	b.server.Shutdown()
	b.server.WaitForShutdown()
	return nil
}

// A logger passes on what the server logs. The server reports that it cannot
// go on only here; it expects a logger to exit, which this one does not.
type logger struct {
	log *slog.Logger

	mu    sync.Mutex // guards first
	first error      // the first reason why the server cannot go on
}

func (l *logger) Noticef(format string, v ...any) { l.record(slog.LevelDebug, format, v) }
func (l *logger) Debugf(format string, v ...any)  { l.record(slog.LevelDebug, format, v) }
func (l *logger) Tracef(format string, v ...any)  { l.record(slog.LevelDebug, format, v) }
func (l *logger) Warnf(format string, v ...any)   { l.record(slog.LevelWarn, format, v) }
func (l *logger) Errorf(format string, v ...any)  { l.record(slog.LevelError, format, v) }

func (l *logger) Fatalf(format string, v ...any) {
	l.record(slog.LevelError, format, v)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.first = cmp.Or(l.first, fmt.Errorf(format, v...))
}

func (l *logger) record(level slog.Level, format string, v []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.LogAttrs(context.Background(), level, "broker says", slog.String("text", fmt.Sprintf(format, v...)))
	}
}

// fatal returns why the server cannot go on, or nil.
func (l *logger) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first
}
