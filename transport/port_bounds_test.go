package transport_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/transport"
)

// A slowBus publishes only with permission, and keeps the subjects.
type slowBus struct {
	transport.Bus
	permits chan error // nil lets one message pass, an error refuses it
	mu      sync.Mutex // guards subjects
	subject []string
}

func (b *slowBus) Publish(subject, reply string, data []byte) error {
	if err := <-b.permits; err != nil {
		return err
	}
	b.mu.Lock()
	b.subject = append(b.subject, subject[strings.LastIndexByte(subject, '.')+1:])
	b.mu.Unlock()
	return b.Bus.Publish(subject, reply, data)
}

// stalled returns two ends in a bubble; the first one's bus needs permits, and
// one of its data batches is waiting for one. That it is stalled does not
// outlast the test.
func stalled(t *testing.T) (slow *slowBus, a, b *end) {
	t.Helper()
	memory := transport.NewMemory()
	buses := []transport.Bus{memory.Attach(), memory.Attach()}
	slow = &slowBus{Bus: buses[0], permits: make(chan error)}
	for _, bus := range buses {
		t.Cleanup(func() { _ = bus.Close() })
	}
	a, b = listen(t, slow), listen(t, buses[1])
	t.Cleanup(sync.OnceFunc(func() { close(slow.permits) }))
	send(t, a, b, transport.Data, "in flight")
	synctest.Wait()
	return slow, a, b
}

func TestPort_waitingFramesShareMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, a, b := stalled(t)
		data := strings.Repeat("x", 128)
		for range 1000 { // 130,000 bytes with their lengths: two messages.
			send(t, a, b, transport.Data, data)
		}
		for range 1 + 2 {
			slow.permits <- nil
		}
		expect(t, b, a, transport.Data, "in flight")
		for range 1000 {
			expect(t, b, a, transport.Data, data)
		}
		if s := a.Stats(); s.BatchesSent != 3 || s.FramesSent != 1001 || s.WaitingBytes != 0 {
			t.Errorf("Stats() = %+v, want 3 batches of 1001 frames", s)
		}
	})
}

func TestPort_controlOvertakesData_C30(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, a, b := stalled(t)
		big := make([]byte, 100<<10)
		ctx, giveUp := context.WithTimeout(t.Context(), time.Second)
		defer giveUp()
		for a.Send(ctx, b.id, transport.Data, big) == nil {
		}
		send(t, a, b, transport.Control, "cancel")
		slow.permits <- nil
		slow.permits <- nil
		slow.permits <- nil
		synctest.Wait()
		slow.mu.Lock()
		defer slow.mu.Unlock()
		if got := strings.Join(slow.subject, " "); got != "dat ctl dat" {
			t.Errorf("sent %s, want dat ctl dat", got)
		}
	})
}

func TestPort_fullControlIsBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, a, b := stalled(t)
		var err error
		data := make([]byte, 100<<10)
		n := 0
		for ; err == nil; n++ {
			err = a.Send(t.Context(), b.id, transport.Control, data)
		}
		if want := 4<<20/len(data) + 2; !errors.Is(err, fault.ErrBusy) || n != want {
			t.Errorf("frame %d: %v, want %v at %d", n, err, fault.ErrBusy, want)
		}
		if got := a.Stats().WaitingBytes; got < 4<<20 || got > 5<<20 {
			t.Errorf("%d bytes wait", got)
		}
		send(t, a, b, transport.Control, "small ones have room of their own")
		slow.permits <- nil // The data batch in flight.
		slow.permits <- nil
		synctest.Wait()
		send(t, a, b, transport.Control, "room again")
	})
}

// fill sends data frames until one waits, and returns what becomes of it.
func fill(t *testing.T, a, b *end, ctx context.Context) <-chan error { //nolint:revive // t goes first.
	t.Helper()
	result := make(chan error, 1)
	go func() {
		for {
			if err := a.Send(ctx, b.id, transport.Data, make([]byte, 64<<10)); err != nil {
				result <- err
				return
			}
		}
	}()
	synctest.Wait()
	if got := a.Stats().WaitingBytes; got < 1<<20 || got > 1<<20+100<<10 {
		t.Errorf("%d bytes wait, want about 1 MiB", got)
	}
	return result
}

func TestPort_fullDataWaitsForContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := stalled(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		result := fill(t, a, b, ctx)
		cause := errors.New("enough")
		cancel(cause)
		if err := await(t, result, "Send"); !errors.Is(err, cause) {
			t.Errorf("Send() = %v, want %v", err, cause)
		}
	})
}

func TestPort_fullDataWaitsForClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, a, b := stalled(t)
		result := fill(t, a, b, t.Context())
		go func() {
			if err := a.Close(); err != nil {
				t.Errorf("Close() = %v", err)
			}
		}()
		if err := await(t, result, "Send"); !errors.Is(err, fault.ErrClosed) {
			t.Errorf("Send() = %v, want %v", err, fault.ErrClosed)
		}
		if err := a.Send(t.Context(), b.id, transport.Control, nil); !errors.Is(err, fault.ErrClosed) {
			t.Errorf("Send() = %v, want %v", err, fault.ErrClosed)
		}
		slow.permits <- nil
	})
}

func TestPort_fullDataWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, a, b := stalled(t)
		stop := make(chan bool)
		var permitting, sending sync.WaitGroup
		permitting.Go(func() {
			for {
				select {
				case slow.permits <- nil:
					time.Sleep(time.Millisecond)
				case <-stop:
					return
				}
			}
		})
		var sent atomic.Uint64
		var done atomic.Bool
		sending.Go(func() {
			for range 100 {
				send(t, a, b, transport.Data, strings.Repeat("x", 60<<10))
				sent.Add(1)
			}
			done.Store(true)
		})
		for range 5 {
			sending.Go(func() {
				for !done.Load() {
					send(t, a, b, transport.Data, strings.Repeat("x", 1<<10))
					sent.Add(1)
				}
			})
		}
		sending.Wait()
		if err := a.Flush(t.Context()); err != nil {
			t.Errorf("Flush() = %v", err)
		}
		if s, want := a.Stats(), 1+sent.Load(); s.FramesSent != want || s.FramesLost != 0 {
			t.Errorf("Stats() = %+v, want %d frames sent", s, want)
		}
		close(stop)
		permitting.Wait()
	})
}

func TestPort_newcomersDoNotKeepLaneFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, a, b := stalled(t)
		ctx, cancel := context.WithCancel(t.Context())
		result := fill(t, a, b, ctx)
		slow.permits <- nil // One batch leaves; somebody waits for half to leave.
		slow.permits <- nil
		synctest.Wait()
		late, giveUp := context.WithTimeout(t.Context(), time.Second)
		defer giveUp()
		if err := a.Send(late, b.id, transport.Data, []byte("late")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Send() = %v, want %v", err, context.DeadlineExceeded)
		}
		cancel()
		await(t, result, "Send")
	})
}

func TestPort_refusedBatchesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, a, b := stalled(t)
		send(t, a, b, transport.Data, "lost 1")
		send(t, a, b, transport.Data, "lost 2")
		slow.permits <- nil
		slow.permits <- transport.ErrDisconnected
		synctest.Wait()
		if s := a.Stats(); s.BatchesLost != 1 || s.FramesLost != 2 || s.BatchesSent != 1 {
			t.Errorf("Stats() = %+v, want one batch of two frames lost", s)
		}
		send(t, a, b, transport.Data, "next")
		slow.permits <- nil
		expect(t, b, a, transport.Data, "in flight")
		expect(t, b, a, transport.Data, "next")
	})
}

func TestPort_flushWaitsForWhatWasSentBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, a, b := stalled(t)
		send(t, a, b, transport.Control, "before")
		flushed := make(chan error, 1)
		go func() { flushed <- a.Flush(t.Context()) }()
		synctest.Wait()
		slow.permits <- nil
		synctest.Wait()
		send(t, a, b, transport.Data, "after")
		if len(flushed) != 0 {
			t.Error("Flush returned before the control frame had left")
		}
		slow.permits <- nil
		if err := await(t, flushed, "Flush"); err != nil {
			t.Errorf("Flush() = %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush() = %v, want %v", err, context.DeadlineExceeded)
		}
	})
}

func TestPort_closeSendsForASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, a, b := stalled(t)
		go func() {
			for range 4 { // 0.3 s for each message: four are in time.
				time.Sleep(300 * time.Millisecond)
				slow.permits <- nil
			}
		}()
		for range 10 {
			send(t, a, b, transport.Data, strings.Repeat("x", 65<<10))
		}
		start := time.Now()
		a.shut()
		if took := time.Since(start); took > 1200*time.Millisecond {
			t.Errorf("Close() took %v", took)
		}
		if s := a.Stats(); s.FramesSent != 4 || s.FramesLost != 7 || s.WaitingBytes != 0 {
			t.Errorf("Stats() = %+v, want 4 frames sent, 7 lost", s)
		}
	})
}
