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
