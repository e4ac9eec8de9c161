package transport

import (
	"testing"

	"github.com/tandem-actors/tandem/identity"
)

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, subject string
		want             bool
	}{
		{"a", "a", true},
		{"a", "b", false},
		{"a", "a.b", false},
		{"a.b", "a", false},
		{"*", "a", true},
		{"*", "a.b", false},
		{"*.b", "a.b", true},
		{"a.*", "a", false},
		{"a.*.c", "a.b.c", true},
		{"a.*.c", "a.b.d", false},
		{">", "a.b", true},
		{"a.>", "a", false},
		{"a.>", "a.b", true},
		{"a.>", "a.b.c", true},
		{"*.>", "a.b", true},
		{"ab", "a*", false},
		{"a*", "ab", false},
	} {
		if got := matches(c.pattern, c.subject); got != c.want {
			t.Errorf("matches(%q, %q) = %v", c.pattern, c.subject, got)
		}
		if c.pattern != c.subject && c.want && !mayBeWild(c.pattern) {
			t.Errorf("mayBeWild(%q) = false", c.pattern)
		}
	}
}

func TestSubjects_ofNodes(t *testing.T) {
	node, peer := identity.New(), identity.New()
	prefix := "tandem.r.n." + node.String()
	for got, want := range map[string]string{
		classSubject("r", node, Control):           prefix + ".ctl",
		classSubject("r", node, Data):              prefix + ".dat",
		noReplierSubject("r", node, peer.String()): prefix + ".nr." + peer.String(),
		noReplierSubject("r", node, "*"):           prefix + ".nr.*",
	} {
		if got != want {
			t.Errorf("subject %q, want %q", got, want)
		}
		if err := checkPattern(got); err != nil {
			t.Error(err)
		}
	}
	if got, ok := noReplierPeer(noReplierSubject("r", node, peer.String())); !ok || got != peer {
		t.Errorf("noReplierPeer() = %v, %v, want %v", got, ok, peer)
	}
}
