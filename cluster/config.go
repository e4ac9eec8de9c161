package cluster

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/tandem-actors/tandem/identity"
)

// A Config says how to start a [Node]. The zero Config starts one that is a
// whole cluster by itself, in memory, without any network.
type Config struct {
	// Name is the node's name, for people. If empty, it is "node-" and a few
	// characters of its UUID.
	Name string

	// Join is the URL of the NATS server of a running cluster. If empty, the
	// node lives in memory: in the cluster of Peer, or alone.
	Join string

	// Peer, if not nil, is a node of this process whose cluster to join. It
	// excludes Join.
	Peer *Node

	// Realm keeps clusters on one NATS server apart. If empty, it is "default".
	Realm string

	// CancelGrace is how long a canceled task may take to end before those who
	// wait for it give up with a [*TooSlow]. If zero, it is 3 seconds.
	CancelGrace time.Duration

	// OpenTimeout is how long an opener waits for the other side to start. If
	// zero, it is 10 seconds.
	OpenTimeout time.Duration

	// Heartbeat is how often two nodes that share a context make sure of each
	// other. If zero, it is half a second.
	Heartbeat time.Duration

	// LinkTimeout is how long a peer may stay silent before every context with
	// it ends with a [*LinkLost]. If zero, it is 3 seconds. A peer that is
	// known to be gone, not just silent, is given a quarter of that.
	LinkTimeout time.Duration

	// Buffer is how many received messages a context holds for a reader that
	// is behind; one more ends it with an [*Overrun]. If zero, it is 64.
	Buffer int

	// MaxTasks is how many endpoints may run at once on this node; further
	// openers get [ErrBusy]. If zero, it is 100000.
	MaxTasks int

	// Logger gets one record for each event an operator wants to know of. If
	// nil, the node logs nothing.
	Logger *slog.Logger

	// TracerProvider makes the node's spans. If nil, it is OpenTelemetry's
	// global one at the time of Start.
	TracerProvider trace.TracerProvider
}

// withDefaults returns c with every default filled in, or all of its mistakes
// at once.
func (c Config) withDefaults(uuid identity.UUID) (Config, error) {
	s := uuid.String()
	c.Name = cmp.Or(c.Name, "node-"+s[len(s)-6:])
	c.Realm = cmp.Or(c.Realm, "default")
	c.CancelGrace = cmp.Or(c.CancelGrace, 3*time.Second)
	c.OpenTimeout = cmp.Or(c.OpenTimeout, 10*time.Second)
	c.Heartbeat = cmp.Or(c.Heartbeat, 500*time.Millisecond)
	c.LinkTimeout = cmp.Or(c.LinkTimeout, 3*time.Second)
	c.Buffer = cmp.Or(c.Buffer, 64)
	c.MaxTasks = cmp.Or(c.MaxTasks, 100_000)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.TracerProvider == nil {
		c.TracerProvider = otel.GetTracerProvider()
	}
	errs := []error{identity.CheckName(c.Name)}
	if c.Join != "" && c.Peer != nil {
		errs = append(errs, errors.New("config has both Join and Peer"))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"CancelGrace", c.CancelGrace}, {"OpenTimeout", c.OpenTimeout}, {"Heartbeat", c.Heartbeat}, {"LinkTimeout", c.LinkTimeout}} {
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("%s is negative: %v", d.name, d.value))
		}
	}
	if c.LinkTimeout < 2*c.Heartbeat {
		errs = append(errs, fmt.Errorf("LinkTimeout %v is less than two Heartbeats of %v", c.LinkTimeout, c.Heartbeat))
	}
	if c.Buffer < 1 {
		errs = append(errs, fmt.Errorf("buffer of %d messages is none", c.Buffer))
	}
	if c.MaxTasks < 1 {
		errs = append(errs, fmt.Errorf("maximum of %d tasks is none", c.MaxTasks))
	}
	return c, errors.Join(errs...)
}
