package discovery

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/identity"
)

// Everything in this file runs on the loop of the registrar.

// handle takes in one message.
func (r *Registrar) handle(now time.Time, in input) {
	gossiped := in.via != ""
	switch in.Kind {
	case kindUpdate:
		r.update(now, in)
	case kindPull, kindObit, kindState:
		if gossiped {
			r.handleGossip(now, in)
		}
	case kindLeave:
		if !gossiped {
			r.leave(now, in)
		}
	case kindEvidence:
		if o := r.core.runs[in.Node]; o != nil && !gossiped {
			r.evidence(now, o, in)
		}
	case kindQuery:
		if !gossiped {
			r.answer(now, in)
		}
	case kindAck, kindProbe, kindAlive, kindAnswer, kindName: // For nodes.
	}
}

func (r *Registrar) handleGossip(now time.Time, in input) {
	if in.Kind == kindPull {
		r.serve(in)
		return
	}
	for _, v := range in.Heads {
		r.vouched(now, v, in.via)
	}
	for _, ob := range in.Obits {
		r.takeObit(now, ob, in.via)
	}
}

// update takes in what a node wrote or a registrar passed on.
func (r *Registrar) update(now time.Time, in input) {
	heard := in.via == ""
	o := r.core.merge(now, *in.Update, heard)
	if ob, buried := r.core.obits[in.Update.Head.Node.UUID]; buried {
		r.contradict(ob, in.via)
		return
	}
	if o == nil {
		return
	}
	if !heard {
		o.source = in.via
	}
	if o.isBehind() {
		r.pull(now, o)
	} else if in.reply != "" {
		r.publish(in.reply, "", &message{Kind: kindAck, Update: &update{Head: o.view()}})
	}
	if v := o.view(); v != o.spread && !o.torn {
		o.spread = v
		r.broadcast("h/", v.Node, &message{Kind: kindUpdate, Update: &update{Head: v}})
	}
}

// leave takes a run's word that it ends. Nothing refutes that.
func (r *Registrar) leave(now time.Time, in input) {
	h := in.Update.Head
	ob := obit{Node: h.Node, Inc: forever, Reason: "it said so", By: r.cfg.Name, At: now.UnixNano()}
	if r.core.bury(now, ob) {
		r.proclaim(ob)
	}
	if in.reply != "" {
		r.publish(in.reply, "", &message{Kind: kindAck, Update: &update{Head: h}})
	}
}

// evidence takes a client's word against a run: it is probed at once. If the
// run answered that it does not have the actor, our copy is wrong.
func (r *Registrar) evidence(now time.Time, o *run, in input) {
	if in.Actor == (identity.UUID{}) {
		r.core.accuse(in.Node)
		r.probe(now)
		return
	}
	if _, ok := o.log.entries[in.Actor]; ok {
		o.torn = true
		r.pull(now, o)
	}
}

// vouched takes in what another registrar knows of a run.
func (r *Registrar) vouched(now time.Time, v vouch, via string) {
	o := r.core.observe(now, v.Head, false)
	if ob, buried := r.core.obits[v.Head.Node.UUID]; buried {
		r.contradict(ob, via)
		return
	}
	if o == nil {
		return
	}
	o.vouched = later(o.vouched, now.Add(-max(0, v.Silent)))
	if v.Head.Seq > o.log.seq || o.source == "" {
		o.source = via
	}
	if o.isBehind() {
		r.pull(now, o)
	}
}

// takeObit takes another registrar's word that a run is dead (rule 7).
func (r *Registrar) takeObit(now time.Time, ob obit, via string) {
	o := r.core.runs[ob.Node.UUID]
	switch {
	case o != nil && o.head.Inc > ob.Inc:
		r.send(via, &message{Kind: kindUpdate, Update: &update{Head: o.view()}})
	case o != nil && !ob.isFinal() && r.core.isHeard(now, o):
		r.core.accuse(ob.Node.UUID)
		r.probe(now)
		r.contradict(ob, "") // The run refutes, if it can.
	case r.core.bury(now, ob):
		r.proclaim(ob)
	}
}

// proclaim tells everybody of an obit, the run included.
func (r *Registrar) proclaim(ob obit) {
	r.broadcast("o/", ob.Node, &message{Kind: kindObit, Obits: []obit{ob}})
	r.contradict(ob, "")
}

// contradict tells of ob who knows better, or does not know yet: the run itself
// or the member via.
func (r *Registrar) contradict(ob obit, via string) {
	m := &message{Kind: kindObit, Obits: []obit{ob}}
	if via != "" {
		r.send(via, m)
	} else if !ob.isFinal() {
		r.publish(r.subjects.probe(ob.Node.UUID), "", m)
	}
}

// serve sends a copy to the registrar that asks for it.
func (r *Registrar) serve(in input) {
	if ob, buried := r.core.obits[in.Node]; buried {
		r.contradict(ob, in.via)
	} else if o := r.core.runs[in.Node]; o != nil && !o.torn {
		r.send(in.via, snapshotMessages(&o.log, o.head)...)
	}
}

// pull asks for a snapshot, from the run if we hear it (rule 9).
func (r *Registrar) pull(now time.Time, o *run) {
	id := o.head.Node.UUID
	if now.Sub(o.pulled) < pullEvery || r.core.isBuried(id) {
		return
	}
	o.pulled = now
	m := &message{Kind: kindPull, Node: id}
	if o.source == "" || r.core.isHeard(now, o) {
		r.publish(r.subjects.probe(id), r.subjects.inbox(r.id), m)
	} else {
		r.send(o.source, m)
	}
}

// tick does what is due without a message.
func (r *Registrar) tick(now time.Time) {
	if now.Sub(r.swept) >= r.cfg.Heartbeat {
		r.swept = now
		r.core.sweep(now)
	}
	for _, o := range r.core.runs {
		if o.isBehind() {
			r.pull(now, o)
		}
	}
	if r.cfg.Bus.Err() != nil {
		r.core.pause(now)
		r.warmUp(now)
	}
	r.answerEarly(now)
	r.probe(now)
}

// probe asks all who are due whether they live.
func (r *Registrar) probe(now time.Time) {
	for _, node := range r.core.due(now, maxProbes-r.probes) {
		r.probes++
		r.wg.Go(func() {
			select {
			case r.verdicts <- r.examine(r.done, node):
			case <-r.done.Done():
			}
		})
	}
}

func (r *Registrar) examine(ctx context.Context, node identity.NodeID) verdict {
	answer, err := r.subjects.ask(ctx, r.cfg.Bus, node.UUID, identity.UUID{})
	if err != nil {
		return verdict{node: node, dead: errors.Is(err, fault.ErrUnreachable), reason: clip(rootOf(err).Error())}
	}
	return verdict{node: node, answer: answer.Update}
}

// Bounds of what one exchange of states carries. If there is more, it is a
// random choice of the heads, another one each time, and the newest obits.
const (
	stateHeads = 4096
	stateObits = 512
)

// state fills m with what the next exchange of states tells.
func (r *Registrar) state(now time.Time, m *message) {
	for id, o := range r.core.runs {
		if len(m.Heads) < stateHeads && !o.torn && !r.core.isBuried(id) {
			m.Heads = append(m.Heads, vouch{o.view(), now.Sub(later(o.heard, o.vouched))})
		}
	}
	for _, ob := range r.core.obits {
		m.Obits = append(m.Obits, ob)
	}
	slices.SortFunc(m.Obits, newestFirst)
	m.Obits = m.Obits[:min(len(m.Obits), stateObits)]
}

// tell passes on what happened in the registry.
func (r *Registrar) tell() {
	someoneCame := false
	for _, e := range r.core.events {
		e = r.history.add(e)
		attrs := []any{slog.Any("node", e.Node)}
		if e.Actor != nil {
			attrs = append(attrs, slog.String("actor", e.Actor.Name), slog.Any("uuid", e.Actor.UUID))
		}
		if e.Reason != "" {
			attrs = append(attrs, slog.String("reason", e.Reason))
		}
		if e.Canceller != "" {
			attrs = append(attrs, slog.String("canceller", e.Canceller))
		}
		r.cfg.Logger.Info("registry changed", append(attrs, slog.String("event", string(e.Type)))...)
		if e.Type == EventActorRegistered {
			r.publish(r.subjects.name(e.Actor.Name), "", &message{Kind: kindName, Name: e.Actor.Name})
			someoneCame = true
		}
	}
	r.core.events = r.core.events[:0]
	if someoneCame {
		r.answerEarly(time.Now())
	}
}

// publish sends m over the bus, unless that is known to be down: then it would
// keep the loop waiting. What is not sent, the next heartbeat or the next try of
// who asked repairs.
func (r *Registrar) publish(subject, reply string, m *message) {
	if r.cfg.Bus.Err() != nil {
		return
	}
	if err := r.cfg.Bus.Publish(subject, reply, m.encode()); err != nil {
		r.cfg.Logger.Debug("registry message not sent", slog.String("subject", subject), slog.Any("error", err))
	}
}

func (r *Registrar) send(member string, messages ...*message) {
	if r.gossip != nil {
		r.gossip.send(member, messages...)
	}
}

func (r *Registrar) broadcast(prefix string, node identity.NodeID, m *message) {
	if r.gossip != nil {
		r.gossip.broadcast(prefix+node.UUID.String(), m)
	}
}

// rootOf returns what err comes down to: events name the node already.
func rootOf(err error) error {
	for u := errors.Unwrap(err); u != nil; u = errors.Unwrap(err) {
		err = u
	}
	return err
}
