package discovery

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/tandem-actors/tandem/identity"
)

// wireVersion is of the messages between nodes and registrars. A receiver
// refuses other versions, and ignores fields that it does not know.
const wireVersion = 1

// Bounds of a message. What exceeds them is refused on arrival.
const (
	maxMessage   = 4 << 20
	maxElements  = 16 << 10 // of one array
	maxEndpoints = 1024     // of one actor
	maxWhy       = 512      // bytes of a reason, or of a canceller: an obit fits a broadcast
	maxParts     = 4096     // of a snapshot
)

// A kind says what a message is for.
type kind uint8

const (
	kindUpdate   kind = iota + 1 // node or registrar: what stands in a log
	kindLeave                    // node: the run ends
	kindAck                      // registrar to node: I have your log up to here
	kindProbe                    // anybody to node: are you there, do you have this actor?
	kindAlive                    // node: I am, and Has answers
	kindPull                     // registrar to node or registrar: send me a snapshot
	kindObit                     // registrar: these runs are dead
	kindState                    // registrar to registrar: all I know
	kindEvidence                 // node to registrars: that node does not answer, or lacks the actor
	kindQuery                    // node to one registrar: who has this name?
	kindAnswer                   // registrar: these, the newest first
	kindName                     // registrar to nodes: an actor of this name has come
)

// A message is what travels. Its kind says which fields count.
type message struct {
	Version uint8         `cbor:"0,keyasint"`
	Kind    kind          `cbor:"1,keyasint"`
	From    string        `cbor:"2,keyasint,omitempty"` // the member that sent it; gossip only
	Update  *update       `cbor:"3,keyasint,omitempty"`
	Node    identity.UUID `cbor:"4,keyasint,omitzero"`
	Actor   identity.UUID `cbor:"5,keyasint,omitzero"`
	Has     bool          `cbor:"6,keyasint,omitempty"`
	Name    string        `cbor:"7,keyasint,omitempty"`
	Why     Why           `cbor:"8,keyasint,omitzero"`
	Obits   []obit        `cbor:"9,keyasint,omitempty"`
	Heads   []vouch       `cbor:"10,keyasint,omitempty"`
	Found   []found       `cbor:"11,keyasint,omitempty"`
}

// An obit says that a run is dead, up to an incarnation (rules 4 and 5).
type obit struct {
	Node   identity.NodeID `cbor:"1,keyasint"`
	Inc    uint64          `cbor:"2,keyasint"`
	Reason string          `cbor:"3,keyasint,omitempty"`
	By     string          `cbor:"4,keyasint,omitempty"` // the registrar that found out
	At     int64           `cbor:"5,keyasint"`           // Unix nanoseconds, by its clock
}

// forever is the incarnation of a run that has left: nothing is above it.
const forever = math.MaxUint64

func (o obit) isFinal() bool { return o.Inc == forever }

// A vouch is a head, and how long it is since any registrar heard the run.
type vouch struct {
	Head   head          `cbor:"1,keyasint"`
	Silent time.Duration `cbor:"2,keyasint"`
}

// A found is an actor in an answer.
type found struct {
	Actor      identity.ActorID `cbor:"1,keyasint"`
	Registered int64            `cbor:"2,keyasint"` // Unix nanoseconds
}

func (f found) entry() Entry {
	return Entry{Actor: f.Actor, Registered: time.Unix(0, f.Registered).UTC()}
}

var decoder = must(cbor.DecOptions{
	MaxNestedLevels:  8,
	MaxArrayElements: maxElements,
	MaxMapPairs:      32,
}.DecMode())

func must[T any](v T, err error) T {
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return v
}

// snapshotMessages returns the parts of a copy of l.
func snapshotMessages(l *nodeLog, h head) []*message {
	var messages []*message
	for _, u := range l.snapshot(h) {
		messages = append(messages, &message{Kind: kindUpdate, Update: &u})
	}
	return messages
}

func (m *message) encode() []byte {
	m.Version = wireVersion
	return must(cbor.Marshal(m))
}

// decode reads a message and checks all of it, so that nobody else has to. The
// message shares no memory with data.
func decode(data []byte) (*message, error) {
	if len(data) > maxMessage {
		return nil, fmt.Errorf("decode registry message: %d bytes are over the limit of %d", len(data), maxMessage)
	}
	m := new(message)
	if err := decoder.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("decode registry message: %w", err)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("decode registry message: %w", err)
	}
	return m, nil
}

func (m *message) check() error {
	if m.Version != wireVersion {
		return fmt.Errorf("version %d, want %d", m.Version, wireVersion)
	}
	if len(m.Why.Reason) > maxWhy || len(m.Why.Canceller) > maxWhy {
		return errors.New("reason is too long")
	}
	switch m.Kind {
	case kindUpdate, kindLeave, kindAck, kindAlive:
		if m.Update == nil {
			return fmt.Errorf("kind %d without an update", m.Kind)
		}
		return m.Update.check()
	case kindProbe, kindPull, kindEvidence:
		if m.Node == (identity.UUID{}) {
			return fmt.Errorf("kind %d without a node", m.Kind)
		}
	case kindQuery, kindName:
		return identity.CheckName(m.Name)
	case kindObit, kindState, kindAnswer:
		return m.checkLists()
	default:
		return fmt.Errorf("unknown kind %d", m.Kind)
	}
	return nil
}

func (m *message) checkLists() error {
	var errs []error
	for _, o := range m.Obits {
		if len(o.Reason) > maxWhy || len(o.By) > identity.MaxName {
			errs = append(errs, errors.New("obit is too long"))
		}
		errs = append(errs, checkID(o.Node.Name, o.Node.UUID))
	}
	for _, v := range m.Heads {
		errs = append(errs, checkID(v.Head.Node.Name, v.Head.Node.UUID))
	}
	for _, f := range m.Found {
		errs = append(errs, checkID(f.Actor.Name, f.Actor.UUID), checkID(f.Actor.Node.Name, f.Actor.Node.UUID))
	}
	return errors.Join(errs...)
}

func (u *update) check() error {
	if u.Parts < 0 || u.Parts > maxParts || u.Part < 0 || u.Part > max(0, u.Parts-1) {
		return fmt.Errorf("part %d of %d", u.Part, u.Parts)
	}
	var last uint64
	for i, o := range u.Ops {
		switch {
		case o.Seq <= last || o.Seq > u.Head.Seq:
			return fmt.Errorf("operation %d after %d in a log of %d", o.Seq, last, u.Head.Seq)
		case u.Parts == 0 && i > 0 && o.Seq != last+1:
			return fmt.Errorf("operation %d follows %d", o.Seq, last)
		case u.Parts > 0 && o.Gone != nil:
			return errors.New("snapshot with an actor that is gone")
		}
		if err := o.check(); err != nil {
			return err
		}
		last = o.Seq
	}
	return checkID(u.Head.Node.Name, u.Head.Node.UUID)
}

func (o *op) check() error {
	if o.Gone != nil {
		if len(o.Gone.Reason) > maxWhy || len(o.Gone.Canceller) > maxWhy {
			return errors.New("reason is too long")
		}
		return nil
	}
	if len(o.Endpoints) > maxEndpoints {
		return fmt.Errorf("actor with %d endpoints, more than %d", len(o.Endpoints), maxEndpoints)
	}
	for _, e := range o.Endpoints {
		if err := identity.CheckName(e); err != nil {
			return err
		}
	}
	return checkID(o.Name, o.Actor)
}

func checkID(name string, id identity.UUID) error {
	if id == (identity.UUID{}) {
		return fmt.Errorf("%.64q has no uuid", name)
	}
	return identity.CheckName(name)
}

// clip makes s fit for a message.
func clip(s string) string {
	if len(s) > maxWhy {
		s = s[:maxWhy-len("…")] + "…"
	}
	return strings.ToValidUTF8(s, "")
}
