package transport

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tandem-actors/tandem/fault"
)

// The defaults of nats.go notice a silent server after 4 to 6 minutes and block
// a publisher for one. These notice within 6 seconds and block for 2.
const (
	pingInterval   = 2 * time.Second
	pingsMissed    = 2
	connectTimeout = time.Second
	writeTimeout   = 2 * time.Second

	reconnectWait   = 250 * time.Millisecond
	reconnectJitter = 100 * time.Millisecond
	tlsJitter       = 500 * time.Millisecond

	dialPatience  = 5 * time.Second // if ctx has no deadline
	flushPatience = 5 * time.Second // likewise
	closePatience = time.Second
)

// A DialConfig says which NATS server to use, and as whom. Its zero value is a
// server on this host, without credentials.
type DialConfig struct {
	// URL is one address, or several of the same cluster separated by commas.
	// If empty, it is nats://127.0.0.1:4222.
	URL string
	// Name is what NATS's own tools call this connection.
	Name string
	// Credentials is the path of a NATS credentials file. If empty, the URL
	// says all.
	Credentials string
	// TLS configures connections to tls:// addresses. If nil, the system's
	// certificates decide.
	TLS *tls.Config
	// OnLoss is called when messages may have been lost: the connection broke,
	// or this program was too slow to take what came. It must not block, nor
	// close the bus. If nil, nobody is told.
	OnLoss func(error)
	// Logger gets losses of the connection, its return, and errors that have
	// no caller. If nil, nothing is logged.
	Logger *slog.Logger
}

func (c DialConfig) withDefaults() DialConfig {
	c.URL = cmp.Or(c.URL, nats.DefaultURL)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.OnLoss == nil {
		c.OnLoss = func(error) {}
	}
	return c
}

// redacted is the URL without passwords, for errors and logs.
func (c DialConfig) redacted() string {
	all := strings.Split(c.URL, ",")
	for i, one := range all {
		if u, err := url.Parse(strings.TrimSpace(one)); err == nil {
			all[i] = u.Redacted()
		}
	}
	return strings.Join(all, ",")
}

// NATS is a [Bus] over one connection to a NATS server. It reconnects by
// itself, for ever, and then subscribes again to what it had subscribed to.
type NATS struct {
	conn       *nats.Conn
	log        *slog.Logger
	onLoss     func(error)
	maxPayload atomic.Int64
	handlers   gate
	closing    atomic.Bool

	mu      sync.Mutex // guards all below
	down    error      // why there is no connection, or nil
	refused error      // the first subscription that the server denied us, or nil
}

// Dial connects to a server. It tries until ctx is done, for 5 seconds if ctx
// has no deadline, because the server may just be starting; it gives up at once
// when another try cannot help, such as on wrong credentials.
func Dial(ctx context.Context, cfg DialConfig) (*NATS, error) {
	cfg = cfg.withDefaults()
	ctx, stop := patient(ctx, dialPatience)
	defer stop()
	n := &NATS{log: cfg.Logger, onLoss: cfg.OnLoss}
	for {
		conn, err := nats.Connect(cfg.URL, n.options(cfg)...)
		if err == nil {
			n.conn = conn
			n.maxPayload.Store(conn.MaxPayload())
			return n, nil
		}
		err = fmt.Errorf("connect to broker at %s: %w", cfg.redacted(), err)
		if isFinal(err) {
			return nil, fmt.Errorf("%w (check address and credentials)", err)
		}
		select {
		case <-time.After(reconnectWait):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w (is a NATS server running there?): %w", err, context.Cause(ctx))
		}
	}
}

// isFinal reports whether dialing again gives the same error.
func isFinal(err error) bool {
	for _, final := range []error{
		nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired,
		nats.ErrSecureConnRequired, nats.ErrSecureConnWanted, nats.ErrNoUserCB, nats.ErrNkeysNotSupported,
	} {
		if errors.Is(err, final) {
			return true
		}
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	_, ok := errors.AsType[*url.Error](err)
	return ok
}

func (n *NATS) options(cfg DialConfig) []nats.Option {
	options := []nats.Option{
		nats.Name(cfg.Name),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(pingsMissed),
		nats.Timeout(connectTimeout),
		nats.FlusherTimeout(writeTimeout),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectJitter, tlsJitter),
		nats.MaxReconnects(-1),
		nats.ReconnectBufSize(-1), // A stored message would arrive when nobody expects it any more.
		nats.IgnoreAuthErrorAbort(),
		nats.DisconnectErrHandler(n.disconnected),
		nats.ReconnectHandler(n.reconnected),
		nats.ClosedHandler(func(*nats.Conn) { n.setDown(fault.ErrClosed) }),
		nats.ErrorHandler(n.failed),
		nats.LameDuckModeHandler(func(nc *nats.Conn) {
			n.log.Info("broker is shutting down", slog.String("url", nc.ConnectedUrlRedacted()))
		}),
		nats.DiscoveredServersHandler(func(nc *nats.Conn) {
			n.log.Debug("broker announced others", slog.Any("urls", nc.DiscoveredServers()))
		}),
	}
	if cfg.Credentials != "" {
		options = append(options, nats.UserCredentials(cfg.Credentials))
	}
	if cfg.TLS != nil {
		options = append(options, nats.Secure(cfg.TLS))
	}
	return options
}

func (n *NATS) disconnected(_ *nats.Conn, err error) {
	down := ErrDisconnected
	if err != nil {
		down = fmt.Errorf("%w: %w", ErrDisconnected, err)
	}
	n.setDown(down)
	if n.closing.Load() {
		return
	}
	n.log.Warn("broker connection lost", slog.Any("error", err))
	n.onLoss(down)
}

func (n *NATS) reconnected(nc *nats.Conn) {
	n.maxPayload.Store(nc.MaxPayload())
	n.setDown(nil)
	n.log.Info("broker connection restored", slog.String("url", nc.ConnectedUrlRedacted()))
}

// subscriptionRefused tells one permission violation from the other: the
// protocol has only this text for it.
const subscriptionRefused = "Subscription to"

func (n *NATS) failed(_ *nats.Conn, sub *nats.Subscription, err error) {
	subject := ""
	if sub != nil {
		subject = sub.Subject
	}
	if errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), subscriptionRefused) {
		n.mu.Lock()
		n.refused = cmp.Or(n.refused, err)
		n.mu.Unlock()
	}
	n.log.Warn("broker reported an error", slog.Any("error", err), slog.String("subject", subject))
	if errors.Is(err, nats.ErrSlowConsumer) {
		n.onLoss(err)
	}
}

func (n *NATS) setDown(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !errors.Is(n.down, fault.ErrClosed) { // Closed is for good.
		n.down = err
	}
}

// Publish implements [Bus].
func (n *NATS) Publish(subject, reply string, data []byte) error {
	var err error
	if reply == "" {
		err = n.conn.Publish(subject, data)
	} else {
		err = n.conn.PublishRequest(subject, reply, data)
	}
	if err != nil {
		return n.wrap("publish", subject, len(data), err)
	}
	return nil
}

// Request implements [Bus].
func (n *NATS) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	m, err := n.conn.RequestWithContext(ctx, subject, data)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, n.wrap("request", subject, len(data), err)
	}
	return m.Data, nil
}

// Subscribe implements [Bus].
func (n *NATS) Subscribe(subject, queue string, handle func(subject, reply string, data []byte)) (func(), error) {
	if err := checkPattern(subject); err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	sub, err := n.conn.QueueSubscribe(subject, queue, func(m *nats.Msg) {
		if n.handlers.enter() {
			defer n.handlers.leave()
			handle(m.Subject, m.Reply, m.Data)
		}
	})
	if err != nil {
		return nil, n.wrap("subscribe", subject, 0, err)
	}
	return func() { _ = sub.Unsubscribe() }, nil // It fails only if that is so already.
}

// MaxPayload implements [Bus]. A server may announce another size on reconnect.
func (n *NATS) MaxPayload() int { return int(n.maxPayload.Load()) }

// Flush implements [Bus].
func (n *NATS) Flush(ctx context.Context) error {
	if err := n.Err(); errors.Is(err, ErrDisconnected) {
		return fmt.Errorf("flush: %w", err)
	}
	ctx, stop := patient(ctx, flushPatience)
	defer stop()
	if err := n.conn.FlushWithContext(ctx); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return n.wrap("flush", "", 0, err)
	}
	return nil
}

// Err implements [Bus]. A subscription that the server refused to this user is
// an error for as long as the bus lives: this node is deaf where it should hear.
// A publish that it refused is logged; the bus works.
func (n *NATS) Err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return cmp.Or(n.down, n.refused)
}

// Close implements [Bus].
func (n *NATS) Close() error {
	n.closing.Store(true)
	var err error
	if n.conn.IsConnected() {
		err = n.conn.FlushTimeout(closePatience)
	}
	n.conn.Close()
	n.setDown(fault.ErrClosed)
	n.handlers.shut()
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return fmt.Errorf("close bus: flush: %w", err)
	}
	return nil
}

// wrap says what was done, where, and puts our errors in place of NATS's.
func (n *NATS) wrap(act, subject string, size int, err error) error {
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		err = fault.ErrUnreachable
	case errors.Is(err, nats.ErrMaxPayload):
		err = &fault.TooLarge{Size: size, Limit: n.MaxPayload()}
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrDisconnected):
		err = ErrDisconnected
	case errors.Is(err, nats.ErrConnectionClosed):
		err = ErrDisconnected
		if n.conn.IsClosed() {
			err = fault.ErrClosed
		}
	}
	if subject != "" {
		act += " " + subject
	}
	return fmt.Errorf("%s: %w", act, err)
}

// patient gives ctx a deadline if it has none.
func patient(ctx context.Context, patience time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, patience)
}
