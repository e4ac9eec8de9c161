// Package identity says who is who in a cluster: the vocabulary that every
// floor shares. It depends on nothing of ours.
package identity

import (
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// A UUID tells one node, actor or context from every other, for all time. It
// is comparable and serves as a map key.
type UUID = uuid.UUID

// New returns a fresh UUID. Later ones sort after earlier ones (RFC 9562,
// version 7), which keeps logs and tables in order of birth.
func New() UUID { return uuid.Must(uuid.NewV7()) }

// A NodeID names one run of a node: a node that restarts keeps its name and
// gets a new UUID, so nothing meant for the old run can reach the new one.
type NodeID struct {
	Name string `json:"name"`
	UUID UUID   `json:"uuid"`
}

// String returns the node's name.
func (n NodeID) String() string { return n.Name }

// An ActorID names one actor. Names are labels and may repeat in a cluster;
// the UUID alone decides equality (scenario A-01).
type ActorID struct {
	Name string `json:"name"`
	UUID UUID   `json:"uuid"`
	Node NodeID `json:"node"`
}

// Equal reports whether a and b are the same actor.
func (a ActorID) Equal(b ActorID) bool { return a.UUID == b.UUID }

// IsZero reports whether a names nobody.
func (a ActorID) IsZero() bool { return a.UUID == UUID{} }

// String returns name@node, as people read it. It is not unique.
func (a ActorID) String() string {
	if a.IsZero() {
		return "nobody"
	}
	if a.Node.Name == "" || a.UUID == a.Node.UUID { // A node's own, first actor.
		return a.Name
	}
	return a.Name + "@" + a.Node.Name
}

// MaxName is the length in bytes of the longest allowed name.
const MaxName = 255

// A NameError says why a text cannot be the name of a node, actor or endpoint.
type NameError struct {
	Name string
	Why  string
}

// Error quotes the name, so that invisible characters show.
func (e *NameError) Error() string { return fmt.Sprintf("name %.64q %s", e.Name, e.Why) }

// DefaultRealm is the realm of whoever names none.
const DefaultRealm = "default"

// CheckRealm returns an error unless realm is 1 to 63 of a-z, 0-9 and hyphen.
// Clusters of different realms share a broker and never hear each other.
func CheckRealm(realm string) error {
	if realm == "" || len(realm) > 63 {
		return fmt.Errorf("realm %.64q is %d bytes long, want 1 to 63", realm, len(realm))
	}
	for _, r := range realm {
		if r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return fmt.Errorf("realm %q contains %q, want only a-z, 0-9 and hyphens", realm, r)
		}
	}
	return nil
}

// CheckName returns a [*NameError] unless name is 1 to [MaxName] bytes of
// printable UTF-8 without spaces at its ends. Names never become parts of
// subjects, paths or commands, so nothing else needs escaping (scenario A-42).
func CheckName(name string) error {
	switch {
	case name == "":
		return &NameError{name, "is empty"}
	case len(name) > MaxName:
		return &NameError{name, fmt.Sprintf("is %d bytes long, more than %d", len(name), MaxName)}
	case !utf8.ValidString(name):
		return &NameError{name, "is not valid UTF-8"}
	case name[0] == ' ' || name[len(name)-1] == ' ':
		return &NameError{name, "begins or ends with a space"}
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return &NameError{name, fmt.Sprintf("contains %U", r)}
		}
	}
	return nil
}
