package broker_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/transport"
	"github.com/tandem-actors/tandem/transport/broker"
)

// soon returns a context that ends with the test, or after 20 seconds.
func soon(t *testing.T) context.Context {
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(stop)
	return ctx
}

func start(t *testing.T, cfg broker.Config) *broker.Broker {
	t.Helper()
	b, err := broker.Start(soon(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func dial(t *testing.T, b *broker.Broker) *transport.NATS {
	t.Helper()
	bus, err := transport.Dial(soon(t), transport.DialConfig{URL: b.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bus.Close() })
	return bus
}

func TestBroker_zeroConfigIsLoopback(t *testing.T) {
	a, b := start(t, broker.Config{}), start(t, broker.Config{})
	for _, each := range []*broker.Broker{a, b} {
		u, err := url.Parse(each.URL())
		if err != nil || u.Hostname() != "127.0.0.1" || u.Port() == "0" {
			t.Errorf("URL() = %q, %v", each.URL(), err)
		}
		if addr := each.ClusterAddr(); addr != "" {
			t.Errorf("ClusterAddr() = %q, want none", addr)
		}
	}
	if a.URL() == b.URL() {
		t.Errorf("both at %s", a.URL())
	}
}

func TestBroker_closeFreesPort(t *testing.T) {
	b := start(t, broker.Config{})
	u, _ := url.Parse(b.URL())
	for range 2 {
		if err := b.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", u.Host)
	if err != nil {
		t.Fatalf("after Close: %v", err)
	}
	_ = l.Close()
}

func TestStart_portInUse(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	for _, cfg := range []broker.Config{{Port: port}, {ClusterPort: port}} {
		begin := time.Now()
		_, err = broker.Start(soon(t), cfg)
		if err == nil || !strings.Contains(err.Error(), strconv.Itoa(port)) || !strings.Contains(err.Error(), "in use") {
			t.Errorf("Start(%+v) = %v, want the port and that it is in use", cfg, err)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("Start(%+v) took %v", cfg, took)
		}
	}
}

func TestStart_badRoutes(t *testing.T) {
	_, err := broker.Start(soon(t), broker.Config{Routes: []string{"%zz", "nats://host", "host"}})
	if err == nil {
		t.Fatal("Start() succeeded")
	}
	for _, want := range []string{"%zz", `"nats://host"`, `"host"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Start() = %v, want %s in it", err, want)
		}
	}
}

func TestBroker_clusterCarriesMessages(t *testing.T) {
	a := start(t, broker.Config{Name: "twin", ClusterName: "c"})
	b := start(t, broker.Config{Name: "twin", ClusterName: "c", Routes: []string{"nats://" + a.ClusterAddr()}})
	near, far := dial(t, a), dial(t, b)
	_, err := far.Subscribe("echo", "", func(_, reply string, data []byte) { _ = far.Publish(reply, "", data) })
	if err != nil {
		t.Fatal(err)
	}
	ctx := soon(t)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for { // Until the route is up, nobody listens.
		data, err := near.Request(ctx, "echo", []byte("hello"))
		if err == nil {
			if string(data) != "hello" {
				t.Errorf("Request() = %q", data)
			}
			return
		}
		if !errors.Is(err, fault.ErrUnreachable) {
			t.Fatalf("Request() = %v", err)
		}
		<-tick.C
	}
}

func TestBroker_logs(t *testing.T) {
	var log lockedBuffer
	b := start(t, broker.Config{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	_ = b.Close()
	if text := log.String(); !strings.Contains(text, "Server is ready") || !strings.Contains(text, "level=DEBUG") {
		t.Errorf("log is %q", text)
	}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
