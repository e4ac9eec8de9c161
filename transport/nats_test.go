package transport_test

import (
	"bufio"
	"context"
	"errors"
	"io"
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

// portOf returns the port in a broker's URL.
func portOf(t *testing.T, b *broker.Broker) int {
	t.Helper()
	u, err := url.Parse(b.URL())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestDial_nobodyThere(t *testing.T) {
	leaveNothing(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer stop()
	start := time.Now()
	_, err = transport.Dial(ctx, transport.DialConfig{URL: "nats://me:secret@" + addr})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), addr) || strings.Contains(err.Error(), "secret") {
		t.Errorf("Dial() = %v, want the address, no secret, and %v", err, context.DeadlineExceeded)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("Dial() took %v", took)
	}
}

func TestDial_badAddress(t *testing.T) {
	start := time.Now()
	if _, err := transport.Dial(t.Context(), transport.DialConfig{URL: "nats://%zz"}); err == nil {
		t.Error("Dial() succeeded")
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("Dial() took %v", took)
	}
}

// serve is a server that says hello and then answers lines that begin with one
// of the keys of answers.
func serve(t *testing.T, answers map[string]string) (addr string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, `INFO {"server_id":"x","max_payload":1000,"headers":true}`+"\r\n")
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					act, _, _ := strings.Cut(lines.Text(), " ")
					_, _ = io.WriteString(conn, answers[act])
				}
			})
		}
	})
	return "nats://" + l.Addr().String()
}

func TestDial_wrongCredentials(t *testing.T) {
	leaveNothing(t)
	addr := serve(t, map[string]string{"CONNECT": "-ERR 'Authorization Violation'\r\n"})
	start := time.Now()
	_, err := transport.Dial(soon(t), transport.DialConfig{URL: addr})
	if err == nil || !strings.Contains(err.Error(), "credentials") {
		t.Errorf("Dial() = %v, want a word about credentials", err)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("Dial() took %v", took)
	}
}

func TestNATS_refusedSubjectIsAnError(t *testing.T) {
	leaveNothing(t)
	bus := dial(t, serve(t, map[string]string{
		"PING": "PONG\r\n",
		"SUB":  "-ERR 'Permissions Violation for Subscription to \"secret\"'\r\n",
	}))
	defer bus.Close()
	if err := bus.Err(); err != nil {
		t.Errorf("Err() = %v before Subscribe", err)
	}
	if _, err := bus.Subscribe("secret", "", func(string, string, []byte) {}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "error known", func() bool {
		err := bus.Err()
		return err != nil && strings.Contains(err.Error(), "secret")
	})
}

func TestNATS_refusedPublishIsNoError(t *testing.T) {
	leaveNothing(t)
	bus := dial(t, serve(t, map[string]string{
		"PING": "PONG\r\n",
		"PUB":  "-ERR 'Permissions Violation for Publish to \"said\"'\r\n",
		"SUB":  "-ERR 'Permissions Violation for Subscription to \"heard\"'\r\n",
	}))
	defer bus.Close()
	if err := bus.Publish("said", "", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := bus.Subscribe("heard", "", func(string, string, []byte) {}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "error known", func() bool { return bus.Err() != nil })
	if err := bus.Err(); !strings.Contains(err.Error(), "heard") { // Not the first refusal.
		t.Errorf("Err() = %v, want the subscription that was refused", err)
	}
}

func TestDial_waitsForBroker(t *testing.T) {
	leaveNothing(t)
	b := startBroker(t, broker.Config{})
	port := portOf(t, b)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	dialed := make(chan error, 1)
	go func() {
		bus, err := transport.Dial(soon(t), transport.DialConfig{URL: b.URL()})
		if err == nil {
			err = bus.Close()
		}
		dialed <- err
	}()
	startBroker(t, broker.Config{Port: port})
	if err := await(t, dialed, "Dial"); err != nil {
		t.Errorf("Dial() = %v", err)
	}
}

func TestNATS_survivesBrokerRestart_H18(t *testing.T) {
	leaveNothing(t)
	first := startBroker(t, broker.Config{})
	fab := fabric{t, func() transport.Bus { return dial(t, first.URL()) }}
	busA, busB := fab.bus(), fab.bus()
	a, b := listen(t, busA), listen(t, busB)
	echo(t, busB, "echo")
	send(t, a, b, transport.Data, "before")
	expect(t, b, a, transport.Data, "before")

	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "disconnected", func() bool { return busA.Err() != nil && busB.Err() != nil })
	_, requestErr := busA.Request(soon(t), "echo", nil)
	for act, err := range map[string]error{
		"err":     busA.Err(),
		"publish": busA.Publish("s", "", nil),
		"request": requestErr,
		"flush":   busA.Flush(soon(t)),
	} {
		if !errors.Is(err, transport.ErrDisconnected) {
			t.Errorf("%s = %v, want %v", act, err, transport.ErrDisconnected)
		}
	}
	send(t, a, b, transport.Data, "lost")
	eventually(t, "loss counted", func() bool { return a.Stats().FramesLost == 1 })
	if node := <-a.lost; node != b.id {
		t.Errorf("Lost(%v), want %v", node, b.id)
	}

	startBroker(t, broker.Config{Port: portOf(t, first)})
	eventually(t, "reconnected", func() bool { return busA.Err() == nil && busB.Err() == nil })
	flush(t, busA, busB)
	if _, err := busA.Request(soon(t), "echo", nil); err != nil {
		t.Errorf("Request() = %v", err)
	}
	send(t, a, b, transport.Data, "after")
	expect(t, b, a, transport.Data, "after")
}

func TestNATS_closeWithoutBroker(t *testing.T) {
	leaveNothing(t)
	b := startBroker(t, broker.Config{})
	bus := dial(t, b.URL())
	port := listen(t, bus)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "disconnected", func() bool { return bus.Err() != nil })
	start := time.Now()
	port.shut()
	if err := bus.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	if err := bus.Err(); !errors.Is(err, fault.ErrClosed) {
		t.Errorf("Err() = %v, want %v", err, fault.ErrClosed)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("Close() took %v", took)
	}
}
