package transport_test

import (
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/tandem-actors/tandem/transport"
)

func TestMemory_fullSubscriptionDropsNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := transport.NewMemory()
		a, b := memory.Attach(), memory.Attach()
		const size, fit = 1 << 20, 63 // Of 64 MiB, subjects included.
		release := make(chan bool)
		var got []string
		_, err := b.Subscribe("s", "", func(_, _ string, data []byte) {
			<-release
			got = append(got, string(data[size-8:]))
		})
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, size)
		for i := range 1 + fit + 5 {
			copy(data[size-8:], "        ")
			copy(data[size-8:], strconv.Itoa(i))
			if err := a.Publish("s", "", data); err != nil {
				t.Errorf("Publish() = %v", err)
			}
			synctest.Wait() // The first one is with the handler, and does not count.
		}
		if n := b.Dropped(); n != 5 {
			t.Errorf("Dropped() = %d, want 5", n)
		}
		close(release)
		synctest.Wait()
		if len(got) != 1+fit || got[fit] != "63      " {
			t.Errorf("got %d messages, the last %q; want the oldest %d", len(got), got[len(got)-1], 1+fit)
		}
		_, _ = a.Close(), b.Close()
	})
}

func TestMemory_publishDoesNotAllocateForNobody(t *testing.T) {
	bus := transport.NewMemory().Attach()
	defer bus.Close()
	data := make([]byte, 100)
	if n := testing.AllocsPerRun(1000, func() { _ = bus.Publish("nobody", "", data) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
