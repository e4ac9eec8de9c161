package transport_test

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandem-actors/tandem/transport"
	"github.com/tandem-actors/tandem/transport/broker"
)

// patience is how long a test waits for what must happen. In a bubble it
// passes at once if it cannot.
const patience = 20 * time.Second

// A fabric is what the conformance tests run on.
type fabric struct {
	t      *testing.T
	attach func() transport.Bus
}

// bus attaches a bus that is closed at the end of the test.
func (f fabric) bus() transport.Bus {
	f.t.Helper()
	bus := f.attach()
	f.t.Cleanup(func() {
		if err := bus.Close(); err != nil {
			f.t.Errorf("Close() = %v", err)
		}
	})
	return bus
}

// onEachFabric runs f over memory, in virtual time, and over real NATS.
func onEachFabric(t *testing.T, f func(t *testing.T, fab fabric)) {
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { // Fails if a goroutine is left.
			memory := transport.NewMemory()
			f(t, fabric{t, func() transport.Bus { return memory.Attach() }})
		})
	})
	t.Run("nats", func(t *testing.T) {
		leaveNothing(t)
		b := startBroker(t, broker.Config{})
		f(t, fabric{t, func() transport.Bus { return dial(t, b.URL()) }})
	})
}

func startBroker(t testing.TB, cfg broker.Config) *broker.Broker {
	t.Helper()
	b, err := broker.Start(soon(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func dial(t testing.TB, url string) *transport.NATS {
	t.Helper()
	bus, err := transport.Dial(soon(t), transport.DialConfig{URL: url, Name: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	return bus
}

// soon returns a context that ends with the test, or when patience does.
func soon(t testing.TB) context.Context {
	ctx, stop := context.WithTimeout(t.Context(), patience)
	t.Cleanup(stop)
	return ctx
}

// await returns the next value from c.
func await[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: nothing within %v", what, patience)
		panic("unreachable")
	}
}

// eventually polls until holds does.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// flush makes sure that the broker knows what the buses have subscribed to.
func flush(t testing.TB, buses ...transport.Bus) {
	t.Helper()
	for _, bus := range buses {
		if err := bus.Flush(soon(t)); err != nil {
			t.Fatalf("Flush() = %v", err)
		}
	}
}

// leaveNothing fails the test if more goroutines run after it than before. It
// must be called first, so that its cleanup runs last.
func leaveNothing(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before; <-tick.C {
			if time.Now().After(deadline) {
				stacks := make([]byte, 1<<20)
				stacks = stacks[:runtime.Stack(stacks, true)]
				t.Errorf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), strings.TrimSpace(string(stacks)))
				return
			}
		}
	})
}
