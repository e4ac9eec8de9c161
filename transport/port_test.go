package transport_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/identity"
	"github.com/tandem-actors/tandem/transport"
)

type frame struct {
	from  identity.UUID
	class transport.Class
	data  []byte
}

// An end is a node: a port, and what it has received.
type end struct {
	*transport.Port
	id      identity.UUID
	bus     transport.Bus
	frames  chan frame
	missing chan identity.UUID
	lost    chan identity.UUID
	closed  atomic.Bool
	t       testing.TB
}

func (e *end) Receive(from identity.UUID, class transport.Class, data []byte) {
	if e.closed.Load() {
		e.t.Error("frame received after Close")
	}
	e.frames <- frame{from, class, data}
}

func (e *end) Unreachable(node identity.UUID) { e.missing <- node }

func (e *end) Lost(node identity.UUID, _ error) { e.lost <- node }

// shut closes the port and makes what it receives afterwards an error.
func (e *end) shut() {
	if err := e.Close(); err != nil {
		e.t.Errorf("Close() = %v", err)
	}
	e.closed.Store(true)
}

func listen(t testing.TB, bus transport.Bus) *end {
	t.Helper()
	e := &end{id: identity.New(), bus: bus, frames: make(chan frame, 100_000), missing: make(chan identity.UUID, 1000), lost: make(chan identity.UUID, 1000), t: t}
	port, err := transport.Listen(bus, "", e.id, e)
	if err != nil {
		t.Fatal(err)
	}
	e.Port = port
	t.Cleanup(e.shut)
	flush(t, bus)
	return e
}

func send(t testing.TB, from, to *end, class transport.Class, data string) {
	t.Helper()
	if err := from.Send(soon(t), to.id, class, []byte(data)); err != nil {
		t.Fatalf("Send() = %v", err)
	}
}

func expect(t testing.TB, at, from *end, class transport.Class, data string) {
	t.Helper()
	f := await(t, at.frames, "frame "+data)
	if f.from != from.id || f.class != class || string(f.data) != data {
		t.Fatalf("got frame %.20q of class %d from %v, want %.20q of class %d from %v", f.data, f.class, f.from, data, class, from.id)
	}
}

func TestPort_framesArriveInOrder(t *testing.T) {
	onEachFabric(t, func(t *testing.T, fab fabric) {
		a, b := listen(t, fab.bus()), listen(t, fab.bus())
		const n = 3000
		for class := range transport.Class(2) {
			go func() {
				buffer := make([]byte, 8) // Reused, since Send copies.
				for i := range n {
					binary.BigEndian.PutUint64(buffer, uint64(i))
					if err := a.Send(soon(t), b.id, class, buffer[:4+i%4+1]); err != nil {
						t.Errorf("Send() = %v", err)
					}
				}
			}()
		}
		var next [2]int
		for range 2 * n {
			f := await(t, b.frames, "frame")
			i := next[f.class]
			next[f.class]++
			want := binary.BigEndian.AppendUint64(nil, uint64(i))[:4+i%4+1]
			if f.from != a.id || !bytes.Equal(f.data, want) {
				t.Fatalf("frame %d of class %d from %v is %x, want %x", i, f.class, f.from, f.data, want)
			}
			if f.data = append(f.data, 0xff); cap(f.data) == 0 { // Must not reach into the next frame.
				t.Fatal("no data")
			}
		}
	})
}

func TestPort_emptyFrame(t *testing.T) {
	onEachFabric(t, func(t *testing.T, fab fabric) {
		a, b := listen(t, fab.bus()), listen(t, fab.bus())
		send(t, a, b, transport.Data, "")
		expect(t, b, a, transport.Data, "")
	})
}

func TestPort_atLowLoadNothingWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := transport.NewMemory()
		a, b := listen(t, memory.Attach()), listen(t, memory.Attach())
		start := time.Now()
		for range 10 {
			send(t, a, b, transport.Data, "x")
			expect(t, b, a, transport.Data, "x")
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("10 frames waited for %v", took)
		}
		if s := a.Stats(); s.BatchesSent != 10 {
			t.Errorf("%d batches, want 10", s.BatchesSent)
		}
		_, _ = a.bus.Close(), b.bus.Close()
	})
}

func TestPort_closeDeliversAccepted(t *testing.T) {
	onEachFabric(t, func(t *testing.T, fab fabric) {
		a, b := listen(t, fab.bus()), listen(t, fab.bus())
		for range 100 {
			send(t, a, b, transport.Data, "x")
		}
		a.shut()
		a.shut()
		for range 100 {
			expect(t, b, a, transport.Data, "x")
		}
	})
}

func TestPort_unreachableAfterPeerClosed_H23(t *testing.T) {
	onEachFabric(t, func(t *testing.T, fab fabric) {
		a, b, c := listen(t, fab.bus()), listen(t, fab.bus()), listen(t, fab.bus())
		send(t, a, b, transport.Control, "x")
		send(t, a, c, transport.Control, "y")
		expect(t, b, a, transport.Control, "x")
		expect(t, c, a, transport.Control, "y")
		b.shut()
		flush(t, b.bus)
		start := time.Now()
		send(t, a, b, transport.Control, "z")
		if got := await(t, a.missing, "Unreachable"); got != b.id {
			t.Errorf("Unreachable(%v), want %v", got, b.id)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("Unreachable came after %v", took)
		}
		send(t, a, b, transport.Data, "nobody hears, nobody tells")
		send(t, a, c, transport.Control, "end")
		expect(t, c, a, transport.Control, "end")
		if got := len(a.missing) + len(c.missing); got != 0 {
			t.Errorf("%d more calls of Unreachable", got)
		}
	})
}

func TestPort_oversize_H22(t *testing.T) {
	onEachFabric(t, func(t *testing.T, fab fabric) {
		a, b := listen(t, fab.bus()), listen(t, fab.bus())
		limit := a.MaxFrame()
		err := a.Send(soon(t), b.id, transport.Data, make([]byte, limit+1))
		if tooLarge, ok := errors.AsType[*fault.TooLarge](err); !ok || *tooLarge != (fault.TooLarge{Size: limit + 1, Limit: limit}) {
			t.Errorf("Send() = %v, want a TooLarge", err)
		}
		send(t, a, b, transport.Data, "small")
		send(t, a, b, transport.Data, strings.Repeat("x", limit))
		send(t, a, b, transport.Data, "small")
		expect(t, b, a, transport.Data, "small")
		expect(t, b, a, transport.Data, strings.Repeat("x", limit))
		expect(t, b, a, transport.Data, "small")
	})
}

func TestPort_malformedIsIgnored(t *testing.T) {
	onEachFabric(t, func(t *testing.T, fab fabric) {
		a, b := listen(t, fab.bus()), listen(t, fab.bus())
		node := "tandem.default.n." + b.id.String()
		bad := []string{"", "x", "\x01", "\x02" + strings.Repeat("x", 40), "\x01" + strings.Repeat("x", 16), "\x01" + strings.Repeat("x", 16) + "\x05abc"}
		for _, data := range bad {
			if err := a.bus.Publish(node+".ctl", "", []byte(data)); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.bus.Publish(node+".nr.nobody", "", nil); err != nil {
			t.Fatal(err)
		}
		eventually(t, "counted", func() bool { return b.Stats().Malformed == uint64(len(bad)+1) })
		send(t, a, b, transport.Control, "good")
		expect(t, b, a, transport.Control, "good")
	})
}

func TestPort_misuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := transport.NewMemory().Attach()
		defer bus.Close()
		a := listen(t, bus)
		if err := a.Send(t.Context(), a.id, transport.Data, nil); !errors.Is(err, fault.ErrMisuse) {
			t.Errorf("Send() to itself = %v, want %v", err, fault.ErrMisuse)
		}
		if err := a.Send(t.Context(), identity.New(), 2, nil); !errors.Is(err, fault.ErrMisuse) {
			t.Errorf("Send() of class 2 = %v, want %v", err, fault.ErrMisuse)
		}
		if _, err := transport.Listen(bus, "a.b", identity.New(), a); err == nil {
			t.Error("Listen() in realm a.b succeeded")
		}
		a.shut()
	})
}

func TestPort_realmsAreApart(t *testing.T) {
	onEachFabric(t, func(t *testing.T, fab fabric) {
		a, b := listen(t, fab.bus()), listen(t, fab.bus())
		other, err := transport.Listen(b.bus, "other", identity.New(), b)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Send(soon(t), a.id, transport.Control, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if got := await(t, b.missing, "Unreachable"); got != a.id {
			t.Errorf("Unreachable(%v), want %v", got, a.id)
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestPort_stress(t *testing.T) {
	onEachFabric(t, func(t *testing.T, fab fabric) {
		const ends, senders, n = 4, 2, 500
		all := make([]*end, ends)
		for i := range all {
			all[i] = listen(t, fab.bus())
		}
		var work sync.WaitGroup
		for _, from := range all {
			for s := range senders {
				work.Go(func() {
					for i := range n {
						data := make([]byte, 3+i%200)
						data[0] = byte(s)
						binary.BigEndian.PutUint16(data[1:], uint16(i))
						for _, to := range all {
							if to == from {
								continue
							}
							if err := from.Send(soon(t), to.id, transport.Class(s%2), data); err != nil {
								t.Errorf("Send() = %v", err)
							}
						}
					}
				})
			}
		}
		type source struct {
			from   identity.UUID
			sender byte
		}
		for _, at := range all {
			next := make(map[source]int)
			for range (ends - 1) * senders * n {
				f := await(t, at.frames, "frame")
				src := source{f.from, f.data[0]}
				if got := int(binary.BigEndian.Uint16(f.data[1:])); got != next[src] || len(f.data) != 3+got%200 {
					t.Fatalf("frame %d of %d bytes, want frame %d", got, len(f.data), next[src])
				}
				next[src]++
			}
		}
		work.Wait()
	})
}
