package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/identity"
)

// Bounds of a registrar.
const (
	maxInputs = 4096                   // messages that wait for its loop; more are dropped, and repaired by later heads
	maxProbes = 64                     // at a time; others wait for the next round
	pullEvery = 500 * time.Millisecond // of one run
)

// A RegistrarConfig says how a registrar works. Only Bus is needed.
type RegistrarConfig struct {
	// Name is for people. If empty, it is "registrar".
	Name string
	// Realm separates clusters that share a fabric: 1 to 63 of a-z, 0-9 and
	// hyphen. If empty, it is "default".
	Realm string
	// Bus connects to the nodes. It stays open when the registrar closes.
	Bus Bus
	// Gossip connects to other registrars. If nil, there are none.
	Gossip *GossipConfig
	// Heartbeat is how often nodes say that they live, the same for the whole
	// cluster. If zero, it is 500 milliseconds. Three missed ones are
	// suspicious.
	Heartbeat time.Duration
	// Logger gets who came, went and was evicted. If nil, nothing is logged.
	Logger *slog.Logger
}

func (c RegistrarConfig) withDefaults() (RegistrarConfig, subjects, error) {
	if c.Name == "" {
		c.Name = "registrar"
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = defaultHeartbeat
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s, err := newSubjects(c.Realm)
	errs := []error{err, identity.CheckName(c.Name), checkHeartbeat(c.Heartbeat)}
	if c.Bus == nil {
		errs = append(errs, errors.New("no bus"))
	}
	return c, s, errors.Join(errs...)
}

const defaultHeartbeat = 500 * time.Millisecond

func checkHeartbeat(d time.Duration) error {
	if d < 10*time.Millisecond {
		return fmt.Errorf("heartbeat of %v is below 10ms", d)
	}
	return nil
}

// A Registrar keeps a copy of what all nodes registered, answers who asks, and
// evicts nodes that died. All of its methods may be called at the same time.
//
// One goroutine owns the registry. Everybody else sends it messages, verdicts
// of probes, and questions.
type Registrar struct {
	cfg      RegistrarConfig
	id       identity.UUID // of this start
	subjects subjects
	started  time.Time

	core     *registry // of the loop
	probes   int       // in flight; of the loop
	swept    time.Time // when the last sweep was; of the loop
	warm     time.Time // no actor is denied before; of the loop
	early    []input   // queries that wait for that; of the loop
	inputs   chan input
	verdicts chan verdict // unbuffered: a prober waits for the loop, or for its end
	asks     chan func()  // unbuffered, likewise
	history  history
	gossip   *gossip // nil: alone

	dropped, malformed atomic.Uint64
	unsubscribe        []func()
	done               context.Context // Of the loop and its probes; Close ends it.
	stop               context.CancelCauseFunc
	wg                 sync.WaitGroup
	closeOnce          sync.Once
	closeErr           error
}

// An input is a message on its way to the loop.
type input struct {
	*message
	reply string // subject of the answer, if one is wanted
	via   string // the member that sent it; empty: it came over the bus
}

// NewRegistrar starts a registrar. ctx bounds the start only; other registrars
// are looked for in the background.
func NewRegistrar(ctx context.Context, cfg RegistrarConfig) (*Registrar, error) {
	cfg, s, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("start registrar: %w", err)
	}
	r := &Registrar{
		cfg:      cfg,
		id:       identity.New(),
		subjects: s,
		started:  time.Now().UTC(),
		core:     newRegistry(cfg.Heartbeat),
		inputs:   make(chan input, maxInputs),
		verdicts: make(chan verdict),
		asks:     make(chan func()),
	}
	r.done, r.stop = context.WithCancelCause(context.Background())
	if err := r.start(ctx); err != nil {
		_ = r.Close(ctx) // What has started so far.
		return nil, fmt.Errorf("start registrar %q: %w", cfg.Name, err)
	}
	r.wg.Go(r.loop)
	return r, nil
}

func (r *Registrar) start(ctx context.Context) (err error) {
	if r.cfg.Gossip != nil {
		if r.gossip, err = newGossip(r.done, *r.cfg.Gossip, r); err != nil {
			return err
		}
	}
	for _, s := range []struct{ subject, queue string }{
		{r.subjects.log("*"), ""},
		{r.subjects.evidence(), ""},
		{r.subjects.inbox(r.id), ""},
		{r.subjects.query(), queryQueue},
	} {
		unsubscribe, err := r.cfg.Bus.Subscribe(s.subject, s.queue, r.receive)
		if err != nil {
			return err
		}
		r.unsubscribe = append(r.unsubscribe, unsubscribe)
	}
	return r.cfg.Bus.Flush(ctx)
}

// receive takes a message from the bus.
func (r *Registrar) receive(subject, reply string, data []byte) {
	if len(data) == 0 {
		return // Nobody listened to what asked for an answer.
	}
	m, err := decode(data)
	if err == nil && subject != r.subjects.inbox(r.id) && m.Update != nil {
		if subject != r.subjects.log(m.Update.Head.Node.UUID.String()) {
			err = errors.New("a node wrote in the log of another")
		}
	}
	if err != nil {
		r.malformed.Add(1)
		return
	}
	r.enqueue(input{message: m, reply: reply})
}

func (r *Registrar) enqueue(in input) {
	select {
	case r.inputs <- in:
	default:
		r.dropped.Add(1)
	}
}

func (r *Registrar) loop() {
	ticker := time.NewTicker(r.cfg.Heartbeat / 5)
	defer ticker.Stop()
	r.warmUp(time.Now())
	for {
		select {
		case in := <-r.inputs:
			r.handle(time.Now(), in)
		case v := <-r.verdicts:
			r.probes--
			if ob, ok := r.core.judge(time.Now(), v); ok {
				ob.By = r.cfg.Name
				r.proclaim(ob)
			}
		case ask := <-r.asks:
			ask()
		case <-ticker.C:
			r.tick(time.Now())
		case <-r.done.Done():
			return
		}
		r.tell()
	}
}

// ask runs question on the loop; it does nothing once the registrar is closed.
func (r *Registrar) ask(question func()) {
	answered := make(chan struct{})
	select {
	case r.asks <- func() { question(); close(answered) }:
		<-answered
	case <-r.done.Done():
	}
}

// List returns the actors that q selects, sorted by name, node and uuid; none
// once the registrar is closed.
func (r *Registrar) List(q Query) []Record {
	records := []Record{}
	r.ask(func() { records = r.core.list(q) })
	slices.SortFunc(records, func(a, b Record) int { return compareActors(a.Actor, b.Actor) })
	return records
}

// Nodes returns all runs of nodes, sorted by name and uuid, also those that are
// suspect or were evicted lately.
func (r *Registrar) Nodes() []NodeRecord {
	records := []NodeRecord{}
	r.ask(func() { records = r.core.nodes() })
	slices.SortFunc(records, func(a, b NodeRecord) int { return compareNodes(a.Node, b.Node) })
	return records
}

// Watch returns a watcher of what happens from now on. Who lists after that
// misses nothing, but may see what the list has once more as an event.
func (r *Registrar) Watch() *Watcher { return r.history.watch() }

// GossipAddr returns where other registrars reach this one; empty if it is
// alone by configuration.
func (r *Registrar) GossipAddr() string {
	if r.gossip == nil {
		return ""
	}
	return r.gossip.addr()
}

// A Member is a registrar that gossip knows to be alive.
type Member struct {
	Name string        `json:"name"`
	ID   identity.UUID `json:"id"` // fresh per start
	Addr string        `json:"addr"`
}

// A Status says how a registrar is.
type Status struct {
	Name      string        `json:"name"`
	ID        identity.UUID `json:"id"` // fresh per start
	Realm     string        `json:"realm"`
	Started   time.Time     `json:"started"`
	Members   []Member      `json:"members"`   // itself included; none if it is alone by configuration
	Nodes     int           `json:"nodes"`     // that are up
	Suspects  int           `json:"suspects"`  // nodes that do not answer
	Evicted   int           `json:"evicted"`   // nodes evicted lately
	Actors    int           `json:"actors"`    // that are up
	Behind    int           `json:"behind"`    // nodes that registered something which is not here yet
	Events    uint64        `json:"events"`    // index of the last one
	Dropped   uint64        `json:"dropped"`   // messages that came too fast
	Malformed uint64        `json:"malformed"` // messages that could not be read, or were not their sender's to send
	BusError  string        `json:"bus_error,omitempty"`
}

// Status returns how the registrar is.
func (r *Registrar) Status() Status {
	s := Status{
		Name: r.cfg.Name, ID: r.id, Realm: r.subjects.realm(), Started: r.started, Members: []Member{},
		Dropped: r.dropped.Load(), Malformed: r.malformed.Load(),
	}
	if err := r.cfg.Bus.Err(); err != nil {
		s.BusError = err.Error()
	}
	if r.gossip != nil {
		s.Members = r.gossip.members()
	}
	r.ask(func() {
		s.Events = r.history.last
		for _, o := range r.core.runs {
			switch r.core.state(o) {
			case StateUp:
				s.Nodes++
				s.Actors += len(o.log.entries)
				if o.isBehind() {
					s.Behind++
				}
			case StateSuspect:
				s.Suspects++
			case StateEvicted:
				s.Evicted++
			}
		}
	})
	return s
}

// Close stops, takes leave of the other registrars, and waits until nothing of
// the registrar runs any more: a few seconds at most, if others do not answer.
// If ctx is done earlier, it returns an error while the rest ends by itself; if
// ctx is done already, no leave is taken. Nodes and other registrars carry on.
// It may be called twice.
func (r *Registrar) Close(ctx context.Context) error {
	r.closeOnce.Do(func() {
		for _, unsubscribe := range r.unsubscribe {
			unsubscribe()
		}
		r.stop(fault.ErrClosed)
		r.wg.Wait()
		if r.gossip != nil {
			r.closeErr = r.gossip.leave(ctx)
		}
		r.history.close()
	})
	return r.closeErr
}
