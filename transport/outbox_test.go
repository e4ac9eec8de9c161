package transport

import (
	"testing"

	"github.com/tandem-actors/tandem/identity"
)

func TestOutbox_forgetsIdlePeers(t *testing.T) {
	o := newOutbox("r", identity.New())
	for range 10 * idleLanes {
		l := o.lane(identity.New(), Data)
		o.put(l, []byte("x"), batchSize)
		_, b := o.take()
		o.sent(b)
	}
	if n := len(o.lanes); n > 2*idleLanes {
		t.Errorf("%d lanes without frames, want at most %d", n, 2*idleLanes)
	}
}

func TestOutbox_keepsBusyPeers(t *testing.T) {
	o := newOutbox("r", identity.New())
	const n = 5 * idleLanes
	for range n {
		o.put(o.lane(identity.New(), Data), []byte("x"), batchSize)
	}
	sent := make(map[string]bool)
	for l, b := o.take(); b != nil; l, b = o.take() {
		sent[l.subject] = true
		o.sent(b)
	}
	if len(sent) != n || o.unsent != 0 || o.waiting != 0 || len(o.spare) > spareBatches {
		t.Errorf("sent to %d peers, %d unsent, %d bytes, %d spare; want %d, 0, 0, at most %d",
			len(sent), o.unsent, o.waiting, len(o.spare), n, spareBatches)
	}
}

func TestOutbox_peersTakeTurns(t *testing.T) {
	o := newOutbox("r", identity.New())
	lanes := []*lane{o.lane(identity.New(), Data), o.lane(identity.New(), Data), o.lane(identity.New(), Control)}
	for range 2 {
		for _, l := range lanes {
			o.put(l, make([]byte, batchSize), batchSize)
		}
	}
	for i, want := range []int{2, 2, 0, 1, 0, 1} {
		if l, _ := o.take(); l != lanes[want] {
			t.Errorf("turn %d is not lane %d's", i, want)
		}
	}
}
