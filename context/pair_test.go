package actorcontext

import (
	"flag"
	"fmt"
	"testing"

	"github.com/tandem-actors/tandem/fault"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

// depth is how many steps the model check looks ahead.
const depth = 10

// A world is two machines and what is under way between them. Data and control
// are apart, so control overtakes.
type world struct {
	m        [2]Machine
	wire     [2][2][]Message // By sender, then data or control.
	finished [2]int
	broken   bool // A message was lost, or a side gave up on the other.
}

func (w *world) clone() *world {
	c := *w
	for s := range c.wire {
		for q := range c.wire[s] {
			c.wire[s][q] = append([]Message(nil), w.wire[s][q]...)
		}
	}
	return &c
}

func (w *world) key() string {
	k := fmt.Sprintf("%v%v", w.broken, w.finished)
	for s := range w.m {
		m := &w.m[s]
		k += fmt.Sprintf("|%v %d %d %d %v %v %v %v %v %v", m.state, m.sent, m.got, m.preceding, m.stopped, m.closed, m.asked, m.cause, m.returned, m.failure)
		for _, q := range w.wire[s] {
			for _, msg := range q {
				k += fmt.Sprintf(",%v%d", msg.Kind, msg.Seq)
			}
			k += ";"
		}
	}
	return k
}

// send lets a side send kind, if the machine allows it.
func (w *world) send(side Side, kind Kind, err error) bool {
	m := &w.m[side]
	seq, e := m.MaySend(kind)
	if e != nil {
		return false
	}
	m.Sent(kind)
	queue := 1
	if kind.Data() {
		queue = 0
	}
	w.wire[side][queue] = append(w.wire[side][queue], Message{Kind: kind, Seq: seq, Err: err})
	return true
}

// carryOut does what the driver would.
func (w *world) carryOut(side Side, do Do) {
	if do&Finish != 0 {
		w.finished[side]++
	}
	if do&SendAck != 0 {
		w.send(side, Ack, nil)
	}
}

func (w *world) deliver(from Side, queue int) {
	msg := w.wire[from][queue][0]
	w.wire[from][queue] = w.wire[from][queue][1:]
	to := from.Peer()
	do, err := w.m[to].Receive(&msg)
	if err != nil {
		if !w.broken {
			panic(fmt.Sprintf("a whole link broke the protocol: %v", err))
		}
		do = w.m[to].Lose(&fault.LinkLost{Why: "broken"})
	}
	w.carryOut(to, do)
}

// steps returns every world that one step leads to.
func (w *world) steps() (next []*world) {
	try := func(step func(*world) bool) {
		if c := w.clone(); step(c) {
			next = append(next, c)
		}
	}
	for _, kind := range []Kind{Open, Call, Yield, Stop, Cancel} {
		try(func(w *world) bool { return w.send(Parent, kind, canceled(parentID, childID)) })
	}
	for _, kind := range []Kind{Started, Yield, Stop} {
		try(func(w *world) bool { return w.send(Child, kind, nil) })
	}
	for _, err := range []error{nil, errMine} { // The endpoint returns.
		try(func(w *world) bool {
			kind, out := w.m[Child].End(err)
			if w.m[Child].state == Idle {
				return false
			}
			return w.send(Child, kind, out)
		})
	}
	try(func(w *world) bool { // Somebody else cancels the actor.
		w.carryOut(Child, w.m[Child].Interrupt(canceled(otherID, childID)))
		return w.m[Child].state != Idle
	})
	for side := range Side(2) {
		for queue := range 2 {
			if len(w.wire[side][queue]) == 0 {
				continue
			}
			try(func(w *world) bool { w.deliver(side, queue); return true })
			try(func(w *world) bool { // Lost on the way.
				w.wire[side][queue], w.broken = w.wire[side][queue][1:], true
				return true
			})
			try(func(w *world) bool { // Delivered twice.
				w.wire[side][queue] = append(w.wire[side][queue][:1:1], w.wire[side][queue]...)
				w.deliver(side, queue)
				return true
			})
		}
		try(func(w *world) bool {
			w.broken = true
			w.carryOut(side, w.m[side].Lose(&fault.LinkLost{Why: "gone"}))
			return w.m[side].state != Idle
		})
	}
	return next
}

// check asserts what must hold in every world.
func (w *world) check() error {
	for side := range w.m {
		m := &w.m[side]
		if w.finished[side] > 1 {
			return fmt.Errorf("%v finished %d times", Side(side), w.finished[side])
		}
		if m.Absorbed() && !m.asked {
			return fmt.Errorf("%v absorbed a cancel it did not ask for", Side(side))
		}
		c, ok := m.failure.(*fault.Canceled)
		if ok && !c.Canceller.Equal(otherID) && (!c.Canceller.Equal(parentID) || !w.m[Parent].asked) {
			return fmt.Errorf("%v names canceller %v, who did not ask", Side(side), c.Canceller)
		}
		if m.returned && m.failure != nil {
			return fmt.Errorf("%v has a result and a failure", Side(side))
		}
	}
	quiet := true
	for _, queues := range w.wire {
		quiet = quiet && len(queues[0])+len(queues[1]) == 0
	}
	if p, c := &w.m[Parent], &w.m[Child]; quiet && !w.broken && c.state == Done {
		if ended, _ := p.Ended(); !ended {
			return fmt.Errorf("the child has ended, nothing is under way, and the parent waits while %v", p.state)
		}
		if !p.Drained() {
			return fmt.Errorf("nothing is under way, and the parent's reader waits while %v", p.state)
		}
	}
	return nil
}

// Section N, 6: every interleaving of two sides up to the given depth, over a
// link that loses, repeats and lets control overtake data.
func TestPair_everyInterleaving(t *testing.T) {
	start := &world{m: [2]Machine{New(Parent, parentID, childID), New(Child, childID, parentID)}}
	seen := map[string]bool{start.key(): true}
	frontier := []*world{start}
	for d := range depth {
		var next []*world
		for _, w := range frontier {
			for _, n := range w.steps() {
				if key := n.key(); !seen[key] {
					seen[key] = true
					if err := n.check(); err != nil {
						t.Fatalf("after %d steps: %v\n%s", d+1, err, key)
					}
					next = append(next, n)
				}
			}
		}
		frontier = next
	}
	t.Logf("%d worlds", len(seen))
	if len(seen) < 10_000 {
		t.Errorf("only %d worlds: the check has lost its reach", len(seen))
	}
}
