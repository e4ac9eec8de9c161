package transport

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/tandem-actors/tandem/identity"
)

// Subjects of a node. They are made of uuids, so nothing in them needs
// escaping, and what was meant for an earlier run of a node reaches nobody.
//
//	tandem.<realm>.n.<node>.ctl        control batches for node
//	tandem.<realm>.n.<node>.dat        data batches for node
//	tandem.<realm>.n.<node>.nr.<peer>  tells node that nobody listens at peer
const (
	controlLeaf   = "ctl"
	dataLeaf      = "dat"
	noReplierLeaf = "nr"
)

func nodeSubject(realm string, node identity.UUID, leaf string) string {
	return "tandem." + realm + ".n." + node.String() + "." + leaf
}

// classSubject is where node receives batches of class.
func classSubject(realm string, node identity.UUID, class Class) string {
	if class == Control {
		return nodeSubject(realm, node, controlLeaf)
	}
	return nodeSubject(realm, node, dataLeaf)
}

// noReplierSubject is where node hears that nobody listens at peer. The peer
// "*" stands for all.
func noReplierSubject(realm string, node identity.UUID, peer string) string {
	return nodeSubject(realm, node, noReplierLeaf) + "." + peer
}

// noReplierPeer undoes noReplierSubject.
func noReplierPeer(subject string) (identity.UUID, bool) {
	peer, err := uuid.Parse(subject[strings.LastIndexByte(subject, '.')+1:])
	return peer, err == nil
}

// checkPattern returns an error unless pattern may be subscribed to.
func checkPattern(pattern string) error {
	if strings.ContainsAny(pattern, " \t\r\n") {
		return fmt.Errorf("subject %q contains white space", pattern)
	}
	for rest, more := pattern, true; more; {
		var token string
		token, rest, more = strings.Cut(rest, ".")
		if token == "" {
			return fmt.Errorf("subject %q has an empty token", pattern)
		}
		if token == ">" && more {
			return fmt.Errorf("subject %q has > before its end", pattern)
		}
	}
	return nil
}

// mayBeWild reports whether pattern could match more than itself.
func mayBeWild(pattern string) bool { return strings.ContainsAny(pattern, "*>") }

// matches reports whether a message on subject is for subscribers of pattern.
func matches(pattern, subject string) bool {
	for {
		want, patternRest, patternMore := strings.Cut(pattern, ".")
		got, subjectRest, subjectMore := strings.Cut(subject, ".")
		switch {
		case want == ">":
			return true
		case want != "*" && want != got:
			return false
		case patternMore != subjectMore:
			return false
		case !patternMore:
			return true
		}
		pattern, subject = patternRest, subjectRest
	}
}
