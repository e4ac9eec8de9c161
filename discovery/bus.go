package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/identity"
)

// A Bus is what discovery needs of the fabric: the buses of package transport
// have it. All methods may be called at the same time.
type Bus interface {
	// Publish sends data. If reply is not empty and nobody subscribes to
	// subject, an empty message arrives on reply.
	Publish(subject, reply string, data []byte) error
	// Request publishes data and returns the first answer, or
	// [fault.ErrUnreachable] at once if nobody subscribes to subject.
	Request(ctx context.Context, subject string, data []byte) ([]byte, error)
	// Subscribe calls handle for each message, one at a time, in the order of
	// each publisher. Of the subscribers with one non-empty queue, one gets
	// each message.
	Subscribe(subject, queue string, handle func(subject, reply string, data []byte)) (unsubscribe func(), err error)
	// Flush returns when what was published and subscribed before has reached
	// the fabric.
	Flush(ctx context.Context) error
	// Err returns nil while the bus works and why it does not otherwise.
	Err() error
}

// Registrars share this queue: one of them answers each query.
const queryQueue = "registrars"

// subjects makes the subjects of one realm. They are made of uuids and hashes,
// never of names, so nothing in them needs escaping.
type subjects struct{ prefix string }

func newSubjects(realm string) (subjects, error) {
	realm = cmp.Or(realm, identity.DefaultRealm)
	return subjects{"tandem." + realm + "."}, identity.CheckRealm(realm)
}

func (s subjects) realm() string {
	return strings.TrimSuffix(strings.TrimPrefix(s.prefix, "tandem."), ".")
}

// log is where a node writes: operations, heartbeats and its leave, in order.
func (s subjects) log(node string) string { return s.prefix + "reg.log." + node }

// inbox is where a registrar gets the snapshots that it asked for.
func (s subjects) inbox(id identity.UUID) string { return s.prefix + "reg.in." + id.String() }

func (s subjects) query() string    { return s.prefix + "reg.query" }
func (s subjects) evidence() string { return s.prefix + "reg.evidence" }

// name is where registrars tell that an actor of that name has come.
func (s subjects) name(name string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // It never fails.
	return s.prefix + "reg.name." + strconv.FormatUint(h.Sum64(), 16)
}

// probe is where a node answers registrars and other nodes.
func (s subjects) probe(node identity.UUID) string { return s.prefix + "n." + node.String() + ".probe" }

// ack is where a node hears how far registrars have copied its log.
func (s subjects) ack(node identity.UUID) string { return s.prefix + "n." + node.String() + ".ack" }

// Of a probe: how long one try waits, and how many there are if nobody answers.
const (
	probeWait  = 300 * time.Millisecond
	probeTries = 2
)

// A noAnswerError says that somebody may listen on a subject, but nobody
// answered in time.
type noAnswerError struct {
	subject string
	tries   int
	wait    time.Duration
}

func (e *noAnswerError) Error() string {
	return fmt.Sprintf("no answer to %d tries of %v on %s", e.tries, e.wait, e.subject)
}

// Is makes it one of the errors that speak against the other side. What else
// goes wrong is our own affair.
func (e *noAnswerError) Is(target error) bool { return target == fault.ErrUnreachable }

// ask asks a node how it is and whether it has the actor. Silence speaks against
// the node only if our own connection carries: a bus may take seconds to notice
// that it does not.
func (s subjects) ask(ctx context.Context, bus Bus, node, actor identity.UUID) (*message, error) {
	q := &message{Kind: kindProbe, Node: node, Actor: actor}
	answer, err := request(ctx, bus, s.probe(node), q, probeWait, probeTries)
	if _, silent := errors.AsType[*noAnswerError](err); silent {
		ctx, stop := context.WithTimeout(ctx, probeWait)
		defer stop()
		if lost := bus.Flush(ctx); lost != nil {
			return nil, fmt.Errorf("probe %v: no answer over a silent bus: %w", node, lost)
		}
	}
	if err == nil && (answer.Kind != kindAlive || answer.Update.Head.Node.UUID != node) {
		return nil, fmt.Errorf("probe %v: answer of somebody else", node)
	}
	return answer, err
}

// request sends q until somebody answers. A try that nobody answers within wait
// is followed by another. If nobody does, the error is [fault.ErrUnreachable].
func request(ctx context.Context, bus Bus, subject string, q *message, wait time.Duration, tries int) (*message, error) {
	data := q.encode()
	for range tries {
		attempt, stop := context.WithTimeout(ctx, wait)
		answer, err := bus.Request(attempt, subject, data)
		stop()
		switch {
		case err == nil:
			return decode(answer)
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case !errors.Is(err, context.DeadlineExceeded):
			return nil, err
		}
	}
	return nil, &noAnswerError{subject, tries, wait}
}
