package discovery

import "testing"

func TestWatcher_laggardGetsAReset(t *testing.T) {
	var h history
	w := h.watch()
	for range watcherBuffer + 10 {
		h.add(Event{Type: EventNodeUp})
	}
	for i := range uint64(watcherBuffer) {
		if e := <-w.Events(); e.Index != i+1 || e.Type != EventNodeUp {
			t.Fatalf("event %+v, want number %d", e, i+1)
		}
	}
	if e := <-w.Events(); e.Type != EventReset {
		t.Errorf("event %+v, want a reset", e)
	}
	h.add(Event{Type: EventNodeLeft})
	if e := <-w.Events(); e.Type != EventNodeLeft || e.Index != watcherBuffer+11 {
		t.Errorf("after the reset: %+v, want the next event", e)
	}
	w.Close()
	w.Close()
	if _, ok := <-w.Events(); ok {
		t.Error("a closed watcher has an event")
	}
	h.add(Event{})
	h.close()
	if _, ok := <-h.watch().Events(); ok {
		t.Error("a watcher of a closed registrar has an event")
	}
}

func TestHistory_forgetsTheOldest(t *testing.T) {
	var h history
	if events, all := h.since(0); len(events) != 0 || !all {
		t.Errorf("at first: %v, %t, want nothing, which is all", events, all)
	}
	for range keptEvents + 10 {
		h.add(Event{})
	}
	for _, test := range []struct {
		after       uint64
		first, last uint64
		all         bool
	}{
		{0, 11, keptEvents + 10, false},
		{10, 11, keptEvents + 10, true},
		{keptEvents + 9, keptEvents + 10, keptEvents + 10, true},
	} {
		events, all := h.since(test.after)
		if all != test.all || events[0].Index != test.first || events[len(events)-1].Index != test.last {
			t.Errorf("since(%d) = %d to %d, %t, want %+v", test.after, events[0].Index, events[len(events)-1].Index, all, test)
		}
	}
	for _, after := range []uint64{keptEvents + 10, keptEvents + 99} {
		if events, _ := h.since(after); len(events) != 0 {
			t.Errorf("since(%d) = %v, want nothing", after, events)
		}
	}
}
