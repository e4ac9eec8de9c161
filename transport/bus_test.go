package transport_test

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/transport"
)

type message struct {
	subject, reply string
	data           []byte
}

// subscribe collects what arrives.
func subscribe(t *testing.T, bus transport.Bus, subject, queue string) <-chan message {
	t.Helper()
	got := make(chan message, 1000)
	_, err := bus.Subscribe(subject, queue, func(subject, reply string, data []byte) {
		got <- message{subject, reply, data}
	})
	if err != nil {
		t.Fatalf("Subscribe(%q) = %v", subject, err)
	}
	flush(t, bus)
	return got
}

func publish(t *testing.T, bus transport.Bus, subject, reply, data string) {
	t.Helper()
	if err := bus.Publish(subject, reply, []byte(data)); err != nil {
		t.Fatalf("Publish(%q) = %v", subject, err)
	}
}

// echo answers requests with their own data.
func echo(t *testing.T, bus transport.Bus, subject string) (unsubscribe func()) {
	t.Helper()
	unsubscribe, err := bus.Subscribe(subject, "", func(_, reply string, data []byte) {
		if err := bus.Publish(reply, "", data); err != nil {
			t.Errorf("Publish(%q) = %v", reply, err)
		}
	})
	if err != nil {
		t.Fatalf("Subscribe(%q) = %v", subject, err)
	}
	flush(t, bus)
	return unsubscribe
}

func TestBus_keepsOrder(t *testing.T) {
	onEachFabric(t, func(t *testing.T, fab fabric) {
		a, b := fab.bus(), fab.bus()
		got := subscribe(t, b, "s", "")
		const n = 5000
		go func() {
			buffer := make([]byte, 0, 8) // Reused, since Publish copies.
			for i := range n {
				buffer = strconv.AppendInt(buffer[:0], int64(i), 10)
				if err := a.Publish("s", "", buffer); err != nil {
					t.Errorf("Publish() = %v", err)
				}
			}
		}()
		for i := range n {
			if m := await(t, got, "message"); string(m.data) != strconv.Itoa(i) {
				t.Fatalf("message %d is %q", i, m.data)
			}
		}
	})
}

func TestBus_requestGetsAnswer(t *testing.T) {
	onEachFabric(t, func(t *testing.T, fab fabric) {
		a, b := fab.bus(), fab.bus()
		echo(t, b, "echo")
		errs := make(chan error)
		for i := range 50 {
			go func() {
				want := strconv.Itoa(i)
				got, err := a.Request(soon(t), "echo", []byte(want))
				if err == nil && string(got) != want {
					err = errors.New("got " + string(got) + ", want " + want)
				}
				errs <- err
			}()
		}
		for range 50 {
			if err := await(t, errs, "answer"); err != nil {
				t.Error(err)
			}
		}
		if got, err := a.Request(soon(t), "echo", nil); len(got) != 0 || err != nil {
			t.Errorf("Request() = %q, %v, want an empty answer", got, err)
		}
	})
}

func TestBus_requestEndsWithContext(t *testing.T) {
	onEachFabric(t, func(t *testing.T, fab fabric) {
		a, b := fab.bus(), fab.bus()
		asked := subscribe(t, b, "silent", "")
		ctx, cancel := context.WithCancelCause(soon(t))
		cause := errors.New("enough")
		go func() {
			<-asked
			cancel(cause)
		}()
		if _, err := a.Request(ctx, "silent", nil); !errors.Is(err, cause) {
			t.Errorf("Request() = %v, want %v", err, cause)
		}
	})
}

func TestBus_nobodyListens_H23(t *testing.T) {
	onEachFabric(t, func(t *testing.T, fab fabric) {
		a, b := fab.bus(), fab.bus()
		start := time.Now()
		if _, err := a.Request(soon(t), "nobody", nil); !errors.Is(err, fault.ErrUnreachable) {
			t.Errorf("Request() = %v, want %v", err, fault.ErrUnreachable)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("Request() took %v", took)
		}
		mine, others := subscribe(t, a, "back.*", ""), subscribe(t, b, "back.*", "")
		publish(t, a, "nobody", "back.1", "x")
		if m := await(t, mine, "notice"); m.subject != "back.1" || len(m.data) != 0 {
			t.Errorf("notice %q on %q, want an empty one on back.1", m.data, m.subject)
		}
		publish(t, a, "back.2", "", "end")
		if m := await(t, others, "end"); m.subject != "back.2" {
			t.Errorf("another bus got %q on %q", m.data, m.subject)
		}
	})
}

func TestBus_queueSharesMessages(t *testing.T) {
	onEachFabric(t, func(t *testing.T, fab fabric) {
		a := fab.bus()
		const n = 300
		var shared atomic.Int64
		for range 3 {
			b := fab.bus()
			_, err := b.Subscribe("work.>", "q", func(_, _ string, _ []byte) { shared.Add(1) })
			if err != nil {
				t.Fatal(err)
			}
			flush(t, b)
		}
		all := subscribe(t, a, "work.*", "")
		for i := range n {
			publish(t, a, "work."+strconv.Itoa(i), "", "")
		}
		for range n {
			await(t, all, "message")
		}
		eventually(t, "all shared", func() bool { return shared.Load() >= n })
		if got := shared.Load(); got != n {
			t.Errorf("queue got %d messages, want %d", got, n)
		}
	})
}

func TestBus_wildcards(t *testing.T) {
	onEachFabric(t, func(t *testing.T, fab fabric) {
		bus := fab.bus()
		one, rest := subscribe(t, bus, "a.*.c", ""), subscribe(t, bus, "a.>", "")
		for _, subject := range []string{"a", "a.b", "a.b.c", "a.b.c.d", "b.b.c", "a.x.c", "a.end"} {
			publish(t, bus, subject, "", "")
		}
		for _, want := range []string{"a.b", "a.b.c", "a.b.c.d", "a.x.c", "a.end"} {
			if m := await(t, rest, want); m.subject != want {
				t.Errorf("a.> got %q, want %q", m.subject, want)
			}
		}
		for _, want := range []string{"a.b.c", "a.x.c"} {
			if m := await(t, one, want); m.subject != want {
				t.Errorf("a.*.c got %q, want %q", m.subject, want)
			}
		}
		for _, bad := range []string{"", "a..b", ".a", "a.", "a.>.b", "a b"} {
			if _, err := bus.Subscribe(bad, "", nil); err == nil {
				t.Errorf("Subscribe(%q) succeeded", bad)
			}
		}
	})
}

func TestBus_dataBelongsToHandler(t *testing.T) {
	onEachFabric(t, func(t *testing.T, fab fabric) {
		bus := fab.bus()
		got := make(chan []byte, 2)
		for range 2 {
			_, err := bus.Subscribe("s", "", func(_, _ string, data []byte) {
				got <- bytes.Clone(data)
				clear(data)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		publish(t, bus, "s", "", "mine")
		for range 2 {
			if data := await(t, got, "message"); string(data) != "mine" {
				t.Errorf("got %q, want mine", data)
			}
		}
	})
}

func TestBus_unsubscribe(t *testing.T) {
	onEachFabric(t, func(t *testing.T, fab fabric) {
		a, b := fab.bus(), fab.bus()
		unsubscribe := echo(t, b, "echo")
		if _, err := a.Request(soon(t), "echo", nil); err != nil {
			t.Errorf("Request() = %v", err)
		}
		unsubscribe()
		unsubscribe()
		flush(t, b)
		if _, err := a.Request(soon(t), "echo", nil); !errors.Is(err, fault.ErrUnreachable) {
			t.Errorf("Request() = %v, want %v", err, fault.ErrUnreachable)
		}
	})
}

func TestBus_tooLarge_H22(t *testing.T) {
	onEachFabric(t, func(t *testing.T, fab fabric) {
		bus := fab.bus()
		echo(t, bus, "echo")
		data := make([]byte, bus.MaxPayload()+1)
		_, requestErr := bus.Request(soon(t), "echo", data)
		for _, err := range []error{bus.Publish("echo", "", data), requestErr} {
			tooLarge, ok := errors.AsType[*fault.TooLarge](err)
			if !ok || tooLarge.Size != len(data) || tooLarge.Limit != bus.MaxPayload() {
				t.Errorf("got %v, want a TooLarge with both sizes", err)
			}
		}
		if got, err := bus.Request(soon(t), "echo", data[1:]); len(got) != len(data)-1 || err != nil {
			t.Errorf("Request() of the largest payload = %d bytes, %v", len(got), err)
		}
	})
}

func TestBus_close(t *testing.T) {
	onEachFabric(t, func(t *testing.T, fab fabric) {
		a, b, c := fab.bus(), fab.bus(), fab.bus()
		echo(t, b, "echo")
		asked := subscribe(t, c, "silent", "")
		pending := make(chan error)
		go func() {
			_, err := b.Request(soon(t), "silent", nil)
			pending <- err
		}()
		await(t, asked, "request")
		if err := b.Err(); err != nil {
			t.Errorf("Err() = %v before Close", err)
		}
		for range 2 {
			if err := b.Close(); err != nil {
				t.Errorf("Close() = %v", err)
			}
		}
		_, subscribeErr := b.Subscribe("s", "", func(string, string, []byte) {})
		_, requestErr := b.Request(soon(t), "s", nil)
		for act, err := range map[string]error{
			"pending request": await(t, pending, "pending request"),
			"subscribe":       subscribeErr,
			"request":         requestErr,
			"publish":         b.Publish("s", "", nil),
			"flush":           b.Flush(soon(t)),
			"err":             b.Err(),
		} {
			if !errors.Is(err, fault.ErrClosed) {
				t.Errorf("%s = %v, want %v", act, err, fault.ErrClosed)
			}
		}
		eventually(t, "subscription gone", func() bool {
			ctx, stop := context.WithTimeout(soon(t), 100*time.Millisecond)
			defer stop()
			_, err := a.Request(ctx, "echo", nil)
			return errors.Is(err, fault.ErrUnreachable)
		})
	})
}

func TestBus_closeWaitsForHandler(t *testing.T) {
	onEachFabric(t, func(t *testing.T, fab fabric) {
		bus := fab.bus()
		entered, release := make(chan bool), make(chan bool)
		var ended atomic.Bool
		_, err := bus.Subscribe("s", "", func(_, _ string, _ []byte) {
			close(entered)
			<-release
			ended.Store(true)
		})
		if err != nil {
			t.Fatal(err)
		}
		publish(t, bus, "s", "", "")
		await(t, entered, "handler")
		time.AfterFunc(20*time.Millisecond, func() { close(release) })
		if err := bus.Close(); err != nil || !ended.Load() {
			t.Errorf("Close() = %v, handler ended: %v", err, ended.Load())
		}
	})
}
