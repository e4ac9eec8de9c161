package discovery

import (
	"errors"
	"fmt"
	"time"

	"github.com/tandem-actors/tandem/fault"
)

const (
	coldBeats = 2    // after which a registrar has heard all nodes that live
	maxEarly  = 4096 // queries that wait for that; more are dropped, and who asked asks again
)

// Ready returns nil once the registrar denies actors that it does not know. It
// does not for two heartbeats after it started, or after its bus was down: an
// actor may live whose node it has not heard since.
func (r *Registrar) Ready() error {
	if err := r.cfg.Bus.Err(); err != nil {
		return fmt.Errorf("registrar is not ready: %w", err)
	}
	err := fault.ErrClosed
	r.ask(func() {
		if err = nil; time.Now().Before(r.warm) {
			err = errors.New("it may not have heard all nodes yet")
		}
	})
	if err != nil {
		return fmt.Errorf("registrar is not ready: %w", err)
	}
	return nil
}

// Everything below runs on the loop of the registrar.

// warmUp puts off denials: nodes may live that were not heard until now.
func (r *Registrar) warmUp(now time.Time) { r.warm = now.Add(coldBeats * r.cfg.Heartbeat) }

// answer answers a query. That there is no such actor, it says when it is warm.
func (r *Registrar) answer(now time.Time, in input) {
	entries := r.core.find(in.Name)
	if len(entries) == 0 && now.Before(r.warm) {
		if len(r.early) < maxEarly {
			r.early = append(r.early, in)
		}
		return
	}
	m := &message{Kind: kindAnswer}
	for _, e := range entries {
		m.Found = append(m.Found, found{e.Actor, e.Registered.UnixNano()})
	}
	r.publish(in.reply, "", m)
}

// answerEarly tries again what answer has put off.
func (r *Registrar) answerEarly(now time.Time) {
	early := r.early
	r.early = nil
	for _, in := range early {
		r.answer(now, in)
	}
}
