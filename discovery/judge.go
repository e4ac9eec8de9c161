package discovery

import (
	"time"

	"github.com/tandem-actors/tandem/identity"
)

// Rules 6 and 7.
const (
	missedBeats = 3               // silence that calls for a probe
	evictions   = 2               // probes without answer that evict
	confirm     = time.Second     // between two probes of one run, at least
	vouchedFor  = time.Minute     // how long it counts that another registrar heard a run
	settleDown  = 2 * time.Second // after a bus came back, until nodes may have, too
)

// A judged run has a history of signs of life. It is not replicated: each
// registrar judges by what it hears itself.
type judged struct {
	since   time.Time // the run is known, or buried
	heard   time.Time // last heartbeat or answer; zero: never on our bus
	vouched time.Time // last heard by another registrar
	accused bool      // there is evidence that no probe has answered yet
	strikes int       // probes in a row without answer; above zero the run is suspect
	refuted bool      // it beat our obit and was not heard here since
	probing bool
	asked   time.Time // when the last probe began
	retry   time.Time // no probe before
}

// isHeard reports whether we hear o ourselves.
func (r *registry) isHeard(now time.Time, o *run) bool {
	return !o.heard.IsZero() && now.Sub(o.heard) <= missedBeats*r.beat
}

// hear takes note of a sign of life.
func (r *registry) hear(now time.Time, o *run) {
	o.heard, o.refuted = now, false
	if o.strikes > 0 && !r.isBuried(o.head.Node.UUID) {
		o.strikes = 0
		r.emit(now, Event{Type: EventNodeRestored, Node: o.head.Node, Reason: "it answers again"})
	}
}

// accuse asks for a probe of the run, if we ever heard it (rule 7).
func (r *registry) accuse(id identity.UUID) {
	if o := r.runs[id]; o != nil {
		o.accused = true
	}
}

// pause stops judging for a while: our own bus fails, which says nothing about
// others.
func (r *registry) pause(now time.Time) { r.hold = now.Add(missedBeats*r.beat + settleDown) }

// due returns whom to probe now, at most room; a verdict must follow on each.
func (r *registry) due(now time.Time, room int) []identity.NodeID {
	var nodes []identity.NodeID
	for id, o := range r.runs {
		if len(nodes) >= room || now.Before(r.hold) {
			break
		}
		if o.probing || r.isBuried(id) || now.Before(o.retry) || !r.isSuspicious(now, o) {
			continue
		}
		o.probing, o.asked = true, now
		nodes = append(nodes, o.head.Node)
	}
	return nodes
}

func (r *registry) isSuspicious(now time.Time, o *run) bool {
	if o.strikes > 0 {
		return true
	}
	if o.heard.IsZero() { // Left to others, as long as there are any.
		return now.Sub(later(o.since, o.vouched)) > vouchedFor
	}
	return o.accused || !r.isHeard(now, o)
}

// A verdict is what came of a probe.
type verdict struct {
	node   identity.NodeID
	answer *update // of the run, if it answered
	dead   bool    // nobody listens, or nobody answered
	reason string
}

// judge takes the verdict on a run. It returns the obit to spread if that was
// the end of the run.
func (r *registry) judge(now time.Time, v verdict) (obit, bool) {
	o := r.runs[v.node.UUID]
	if o == nil {
		return obit{}, false
	}
	o.probing, o.retry = false, now.Add(confirm)
	switch {
	case v.answer != nil:
		o.accused = false
		r.merge(now, *v.answer, true)
		return obit{}, false
	case !v.dead, now.Before(r.hold), o.heard.After(o.asked):
		return obit{}, false // Our own trouble, or a sign of life since.
	}
	o.accused = false
	if o.strikes++; o.strikes == 1 {
		r.emit(now, Event{Type: EventNodeSuspect, Node: v.node, Reason: v.reason})
	}
	if o.strikes < evictions || o.refuted && now.Sub(o.vouched) < vouchedFor {
		return obit{}, false
	}
	ob := obit{Node: v.node, Inc: o.head.Inc, Reason: v.reason, At: now.UnixNano()}
	return ob, r.bury(now, ob)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
