package transport_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tandem-actors/tandem/identity"
	"github.com/tandem-actors/tandem/transport"
	"github.com/tandem-actors/tandem/transport/broker"
)

const frameSize = 128

// onFrame is a receiver that is called for each frame.
type onFrame func()

func (f onFrame) Receive(identity.UUID, transport.Class, []byte) { f() }
func (onFrame) Unreachable(identity.UUID)                        {}
func (onFrame) Lost(identity.UUID, error)                        {}

// A countdown is done when the last of many frames has arrived.
type countdown struct {
	left atomic.Int64
	done chan struct{}
}

func newCountdown(n int) *countdown {
	c := &countdown{done: make(chan struct{})}
	c.left.Store(int64(n))
	return c
}

func (c *countdown) count() {
	if c.left.Add(-1) == 0 {
		close(c.done)
	}
}

func (c *countdown) wait(b *testing.B) {
	b.Helper()
	select {
	case <-c.done:
	case <-time.After(time.Minute):
		b.Fatalf("%d frames are missing", c.left.Load())
	}
}

// rawPair connects two clients without a bus; the second one calls handle.
func rawPair(b *testing.B, url string, handle nats.MsgHandler) *nats.Conn {
	b.Helper()
	var conns [2]*nats.Conn
	for i := range conns {
		conn, err := nats.Connect(url)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(conn.Close)
		conns[i] = conn
	}
	sub, err := conns[1].Subscribe("raw", handle)
	if err != nil {
		b.Fatal(err)
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		b.Fatal(err)
	}
	if err := conns[1].Flush(); err != nil {
		b.Fatal(err)
	}
	return conns[0]
}

// listenBench returns a port on a bus of its own.
func listenBench(b *testing.B, url string, id identity.UUID, receiver transport.Receiver) *transport.Port {
	b.Helper()
	bus := dial(b, url)
	port, err := transport.Listen(bus, "", id, receiver)
	if err != nil {
		b.Fatal(err)
	}
	flush(b, bus)
	b.Cleanup(func() {
		_ = port.Close()
		_ = bus.Close()
	})
	return port
}

// BenchmarkStream compares a port with nats.go alone, in one direction. The
// port must be at least twice as fast.
func BenchmarkStream(b *testing.B) {
	addr := startBroker(b, broker.Config{}).URL()
	data := make([]byte, frameSize)
	b.Run("raw", func(b *testing.B) {
		c := newCountdown(b.N)
		conn := rawPair(b, addr, func(*nats.Msg) { c.count() })
		b.SetBytes(frameSize)
		b.ResetTimer()
		for range b.N {
			if err := conn.Publish("raw", data); err != nil {
				b.Fatal(err)
			}
		}
		c.wait(b)
	})
	b.Run("port", func(b *testing.B) {
		c := newCountdown(b.N)
		to := identity.New()
		listenBench(b, addr, to, onFrame(c.count))
		port := listenBench(b, addr, identity.New(), onFrame(func() {}))
		ctx := context.Background()
		b.SetBytes(frameSize)
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			if err := port.Send(ctx, to, transport.Data, data); err != nil {
				b.Fatal(err)
			}
		}
		c.wait(b)
		b.ReportMetric(float64(b.N)/float64(port.Stats().BatchesSent), "frames/batch")
	})
}

// BenchmarkPingPong compares one frame there and one back with a request of
// nats.go alone. The port must take at most 1.15 times as long.
func BenchmarkPingPong(b *testing.B) {
	addr := startBroker(b, broker.Config{}).URL()
	data := make([]byte, frameSize)
	b.Run("raw", func(b *testing.B) {
		conn := rawPair(b, addr, func(m *nats.Msg) { _ = m.Respond(m.Data) })
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			if _, err := conn.Request("raw", data, patience); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("port", func(b *testing.B) {
		ctx := context.Background()
		here, there := identity.New(), identity.New()
		var back atomic.Pointer[transport.Port]
		back.Store(listenBench(b, addr, there, onFrame(func() { _ = back.Load().Send(ctx, here, transport.Data, data) })))
		got := make(chan struct{}, 1)
		port := listenBench(b, addr, here, onFrame(func() { got <- struct{}{} }))
		b.ReportAllocs()
		b.ResetTimer()
		for range b.N {
			if err := port.Send(ctx, there, transport.Data, data); err != nil {
				b.Fatal(err)
			}
			<-got
		}
	})
}

func TestPort_sendDoesNotAllocate(t *testing.T) {
	memory := transport.NewMemory()
	bus := memory.Attach()
	defer bus.Close()
	port, err := transport.Listen(bus, "", identity.New(), onFrame(func() {}))
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	to, data, ctx := identity.New(), make([]byte, frameSize), t.Context()
	for class := range transport.Class(2) {
		send := func() {
			if err := port.Send(ctx, to, class, data); err != nil {
				t.Errorf("Send() = %v", err)
			}
		}
		if n := testing.AllocsPerRun(20_000, send); n != 0 {
			t.Errorf("%v allocations for each frame of class %d", n, class)
		}
	}
}
