package cluster_test

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"testing"

	"github.com/tandem-actors/tandem/cluster"
	"github.com/tandem-actors/tandem/discovery"
	"github.com/tandem-actors/tandem/transport"
	"github.com/tandem-actors/tandem/transport/broker"
)

// H-18, H-19: what was under way when the broker went may be lost, so both sides
// are told; afterwards everything works again by itself.
func TestPeers_H18_brokerRestart(t *testing.T) {
	defer noLeaks(t)
	b, err := broker.Start(t.Context(), broker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	bus, err := transport.Dial(t.Context(), transport.DialConfig{URL: b.URL()})
	if err != nil {
		t.Fatal(err)
	}
	r, err := discovery.NewRegistrar(t.Context(), discovery.RegistrarConfig{Name: "r", Bus: bus})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, url: b.URL()}
	one, two := w.node("one"), w.node("two")
	ends := make(chan error, 1)
	w.spawn(one, "actor", serveDouble(), stream.Serve(func(ctx context.Context, c *child, arg int) (string, error) {
		defer func() { ends <- context.Cause(ctx) }()
		return started(ctx, c, arg)
	}))
	p := w.find(two, "actor")
	_, err = stream.Open(w.ctx(), p, 0, func(ctx context.Context, _ *parent, _ int) error {
		b = restart(t, b)
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.As(err, new(*cluster.LinkLost)) {
		t.Errorf("the parent got %v, want LinkLost", err)
	}
	if cause := within(w, "the end of the child", ends); !errors.As(cause, new(*cluster.LinkLost)) {
		t.Errorf("the child got %v, want LinkLost", cause)
	}
	w.eventually(func() error { return errors.Join(one.Err(), two.Err(), bus.Err()) })
	w.eventually(func() error { _, err := two.Find(w.ctx(), "actor"); return err })
	stillServes(w, p)

	w.close()
	if err := errors.Join(r.Close(w.ctx()), bus.Close(), b.Close()); err != nil {
		t.Error(err)
	}
}

// restart stops a broker and starts another at the same address.
func restart(t *testing.T, b *broker.Broker) *broker.Broker {
	t.Helper()
	u, err := url.Parse(b.URL())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b, err = broker.Start(t.Context(), broker.Config{Port: port})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
