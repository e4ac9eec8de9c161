package actorcontext

import "time"

// A Link judges whether a peer node can be heard, from what its driver tells
// it. It is as pure as a [Machine]; every link-loss rule of group H that needs
// a clock stands here.
//
// Only an echo counts as a sign of life: a peer that I hear but that does not
// hear me is lost to both of us (scenario H-20).
type Link struct {
	heard   time.Time // The last echo, or the beginning.
	refused time.Time // The first refusal since then, or zero.
}

// Limits are the bounds of a [Link].
type Limits struct {
	// Silence is how long a peer may stay without an echo.
	Silence time.Duration
	// Refusal is how long a peer may have no subscription. It is longer than
	// a reconnect takes and shorter than Silence.
	Refusal time.Duration
}

// NewLink returns a link that begins now.
func NewLink(now time.Time) Link { return Link{heard: now} }

// Heard records an echo.
func (l *Link) Heard(now time.Time) { l.heard, l.refused = now, time.Time{} }

// HeardSince reports whether an echo came after t.
func (l *Link) HeardSince(t time.Time) bool { return l.heard.After(t) }

// Refused records that nobody listened for a message to the peer.
func (l *Link) Refused(now time.Time) {
	if l.refused.IsZero() {
		l.refused = now
	}
}

// Lost returns why the peer counts as gone, or "" while it does not.
func (l *Link) Lost(now time.Time, limits Limits) string {
	switch {
	case !l.refused.IsZero() && now.Sub(l.refused) >= limits.Refusal:
		return "nobody listens there any more"
	case now.Sub(l.heard) >= limits.Silence:
		return "no echo for " + now.Sub(l.heard).Round(time.Millisecond).String()
	}
	return ""
}
