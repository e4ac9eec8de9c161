package actorcontext

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/identity"
)

var (
	errMine  = errors.New("mine")
	parentID = actorID("parent", 1)
	childID  = actorID("child", 2)
	otherID  = actorID("other", 3)
)

func actorID(name string, n byte) identity.ActorID {
	return identity.ActorID{Name: name, UUID: identity.UUID{15: n}, Node: identity.NodeID{Name: "n", UUID: identity.UUID{14: n}}}
}

// pair returns the two sides of a context after the named messages, which
// arrive at once.
func pair(t *testing.T, script ...string) (p, c *Machine) {
	t.Helper()
	parent, child := New(Parent, parentID, childID), New(Child, childID, parentID)
	for _, step := range script {
		who, what, _ := strings.Cut(step, " ")
		from, to := &parent, &child
		if who == "c" {
			from, to = to, from
		}
		msg := Message{Kind: kindOf(t, what)}
		seq, err := from.MaySend(msg.Kind)
		if err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		from.Sent(msg.Kind)
		msg.Seq = seq
		switch msg.Kind {
		case Cancel:
			msg.Err = canceled(parentID, childID)
		case Error:
			msg.Err = &fault.RemoteError{Type: "x", Message: "boom", Source: childID, Path: []identity.ActorID{childID}}
		default:
		}
		if _, err := to.Receive(&msg); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
	}
	return &parent, &child
}

func kindOf(t *testing.T, name string) Kind {
	for k := Open; k < numKinds; k++ {
		if k.String() == name {
			return k
		}
	}
	t.Fatalf("no kind %q", name)
	return 0
}

func canceled(by, source identity.ActorID) *fault.Canceled {
	return &fault.Canceled{Canceller: by, Source: source, Path: []identity.ActorID{source}, Wave: identity.UUID{1}}
}

// The table, spelled out, is a reviewed text: run with -rewrite to accept a
// change.
func TestTable_isAsReviewed(t *testing.T) {
	var b strings.Builder
	for _, dir := range []struct {
		name string
		t    *table
	}{{"sends", &sends}, {"receives", &receives}} {
		for s := Idle; s < numStates; s++ {
			for k := Open; k < numKinds; k++ {
				switch to := dir.t[s][k]; to {
				case illegal:
				case late:
					fmt.Fprintf(&b, "%-8s %-8s %-8s late\n", s, dir.name, k)
				default:
					fmt.Fprintf(&b, "%-8s %-8s %-8s %s\n", s, dir.name, k, to)
				}
			}
		}
	}
	const golden = "testdata/table.txt"
	if *rewrite {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the protocol has changed; got:\n%s", b.String())
	}
}

// R1, R4: what the tables do not name is an error that changes nothing and
// says which side broke the protocol.
func TestMachine_illegalMovesChangeNothing(t *testing.T) {
	for _, script := range [][]string{{}, {"p open"}, {"p call"}, {"p open", "c started"}, {"p open", "p cancel"}, {"p call", "c return"}, {"p call", "c error"}} {
		for k := Open; k < numKinds; k++ {
			p, c := pair(t, script...)
			for _, m := range []*Machine{p, c} {
				before := *m
				if _, err := m.MaySend(k); err == nil && (!says[m.side][k] || sends[m.state][k] == illegal) {
					t.Errorf("%v: %v may send %v", script, m.side, k)
				}
				if *m != before {
					t.Errorf("%v: asking whether %v may send %v changed it", script, m.side, k)
				}
				_, err := m.Receive(&Message{Kind: k, Seq: m.got + 1, Err: errMine})
				if _, wrong := errors.AsType[*PeerError](err); err != nil && (!wrong || *m != before) {
					t.Errorf("%v: %v received %v: %v, state %v, want no change from %v", script, m.side, k, err, m.state, before.state)
				}
				if allowed := says[m.side.Peer()][k] && receives[before.state][k] != illegal; allowed != (err == nil) {
					t.Errorf("%v: %v received %v: error %v, want allowed %v", script, m.side, k, err, allowed)
				}
			}
		}
	}
}

// R2, E-29, H-19: repetitions are dropped, gaps are errors.
func TestMachine_ordersMessages(t *testing.T) {
	p, _ := pair(t, "p open", "c started", "c yield")
	if do, err := p.Receive(&Message{Kind: Yield, Seq: 2}); do != Late || err != nil {
		t.Errorf("repeated yield: %v, %v, want it dropped", do, err)
	}
	if _, err := p.Receive(&Message{Kind: Yield, Seq: 4}); err == nil || !strings.Contains(err.Error(), "3 to 3 are missing") {
		t.Errorf("gap: error %v", err)
	}
	if do, err := p.Receive(&Message{Kind: Yield, Seq: 3}); do != Deliver || err != nil {
		t.Errorf("next yield after the gap: %v, %v, want it delivered", do, err)
	}
}

// R3, E-05: after Stop nothing more is sent, and nothing more is accepted.
func TestMachine_stopEndsOneDirection(t *testing.T) {
	p, c := pair(t, "p open", "c started", "p stop")
	if _, err := p.MaySend(Yield); !errors.Is(err, fault.ErrClosed) {
		t.Errorf("yield after stop: %v, want ErrClosed", err)
	}
	if _, err := c.Receive(&Message{Kind: Yield, Seq: 2}); err == nil {
		t.Error("a yield after the peer's stop was accepted")
	}
	if _, err := c.MaySend(Yield); err != nil {
		t.Errorf("the other direction: %v", err)
	}
}

// R5, E-11, E-12: an error overtakes data; what was sent before it may still
// be delivered, what was not is refused.
func TestMachine_errorOvertakesData(t *testing.T) {
	p, _ := pair(t, "p open", "c started")
	do, err := p.Receive(&Message{Kind: Error, Seq: 3, Err: errMine})
	if do != Interrupt|Finish || err != nil || p.Drained() {
		t.Fatalf("error: %v, %v, drained %v", do, err, p.Drained())
	}
	for seq := uint64(2); seq <= 3; seq++ {
		if do, err := p.Receive(&Message{Kind: Yield, Seq: seq}); do != Deliver || err != nil {
			t.Errorf("yield %d: %v, %v, want it delivered", seq, do, err)
		}
	}
	if !p.Drained() || p.State() != Done {
		t.Errorf("drained %v, state %v after the last of it", p.Drained(), p.State())
	}
	if do, _ := p.Receive(&Message{Kind: Yield, Seq: 4}); do != Late {
		t.Errorf("a yield after that: %v, want it dropped", do)
	}
}

// R6, C-04, C-10: a cancel is acknowledged in every state, and does nothing to
// what has ended.
func TestMachine_cancelIsAlwaysAcknowledged(t *testing.T) {
	cancel := &Message{Kind: Cancel, Err: canceled(parentID, childID)}
	for _, script := range [][]string{{"p open"}, {"p call"}, {"p open", "c started"}, {"p open", "p cancel"}, {"p call", "c return"}, {"p call", "c error"}} {
		_, c := pair(t, script...)
		done := c.State() == Done
		cause := c.Cause()
		do, err := c.Receive(cancel)
		if err != nil || do&SendAck == 0 {
			t.Errorf("%v: %v, %v, want an ack", script, do, err)
		}
		if first := cause == nil && !done; first != (do&Interrupt != 0) {
			t.Errorf("%v: %v, want interrupt %v", script, do, first)
		}
	}
}

// R7, D-12: of two cancellers one is recorded, on every occasion.
func TestMachine_firstCauseWins(t *testing.T) {
	_, c := pair(t, "p open", "c started")
	first := canceled(otherID, childID)
	if do := c.Interrupt(first); do != Interrupt {
		t.Errorf("first cancel: %v", do)
	}
	if do, _ := c.Receive(&Message{Kind: Cancel, Err: canceled(parentID, childID)}); do != SendAck {
		t.Errorf("second cancel: %v, want only an ack", do)
	}
	if c.Cause() != error(first) || !c.Canceller().Equal(otherID) {
		t.Errorf("cause %v, canceller %v, want the first", c.Cause(), c.Canceller())
	}
}

// R8, C-19, C-20, C-21, B-09: what a child ends with.
func TestMachine_whatAChildEndsWith(t *testing.T) {
	own := canceled(parentID, childID)
	foreign := canceled(otherID, otherID)
	for _, tt := range []struct {
		name    string
		started bool
		cause   error
		err     error
		kind    Kind
		want    error
	}{
		{"result", true, nil, nil, Return, nil},
		{"failure", true, nil, errMine, Error, errMine},
		{"not started B-09", false, nil, nil, Error, fault.ErrNotStarted},
		{"canceled, returns a value C-19", true, own, nil, Error, own},
		{"canceled, returns the cause", true, own, own, Error, own},
		{"canceled, wraps the cause", true, own, fmt.Errorf("reading: %w", own), Error, own},
		{"canceled, fails in its cleanup C-20", true, own, errMine, Error, errMine},
		{"canceled, failure masked by the cancel C-21", true, own, errors.Join(errMine, own), Error, errMine},
		{"not canceled, relays a foreign cancel D-06", true, nil, foreign, Error, foreign},
		{"canceled by a foreign cancel first D-02", true, own, foreign, Error, foreign},
	} {
		m := New(Child, childID, parentID)
		m.Receive(&Message{Kind: Open})
		if tt.started {
			m.Sent(Started)
		}
		if tt.cause != nil {
			m.Interrupt(tt.cause)
		}
		kind, out := m.End(tt.err)
		if kind != tt.kind || !errors.Is(out, tt.want) {
			t.Errorf("%s: %v %v, want %v %v", tt.name, kind, out, tt.kind, tt.want)
		}
	}
}

// R9, R10, C-01, C-05, C-22 to C-24, D-13: what a parent raises.
func TestMachine_whatAParentRaises(t *testing.T) {
	mine := canceled(parentID, childID)
	byOther := canceled(otherID, childID)
	relayed := canceled(parentID, otherID)
	relayed.Path = []identity.ActorID{otherID, childID}
	remote := &fault.RemoteError{Message: "boom", Source: childID}
	for _, tt := range []struct {
		name    string
		asked   bool
		failure error
		err     error
		want    []error
	}{
		{"result", false, nil, nil, nil},
		{"own cancel C-01", true, mine, nil, nil},
		{"own cancel, block passes it on", true, mine, fmt.Errorf("reading: %w", mine), nil},
		{"own actor's cancel, not asked here C-05", false, mine, nil, []error{mine}},
		{"own cancel, but not the child's own word", true, relayed, nil, []error{relayed}},
		{"another's cancel", false, byOther, nil, []error{byOther}},
		{"another's cancel came first D-13", true, byOther, nil, []error{byOther}},
		{"block fails C-22", true, mine, errMine, []error{errMine}},
		{"block fails, another's cancel D-02", true, byOther, errMine, []error{errMine}},
		{"both fail C-23", true, remote, errMine, []error{errMine, remote}},
		{"child fails", false, remote, nil, []error{remote}},
		{"child fails instead of acking C-20", true, remote, nil, []error{remote}},
		{"block passes the failure on", false, remote, fmt.Errorf("reading: %w", remote), []error{remote}},
	} {
		m := New(Parent, parentID, childID)
		m.Sent(Open)
		m.Receive(&Message{Kind: Started, Seq: 1})
		if tt.asked {
			m.Sent(Cancel)
		}
		if tt.failure == nil {
			m.Receive(&Message{Kind: Return, Seq: 2})
		} else {
			m.Receive(&Message{Kind: Error, Seq: 1, Err: tt.failure})
		}
		got := m.Leave(tt.err)
		if (got == nil) != (tt.want == nil) {
			t.Errorf("%s: raised %v, want %v", tt.name, got, tt.want)
		}
		for _, want := range tt.want {
			if !errors.Is(got, want) {
				t.Errorf("%s: raised %v, want %v in it", tt.name, got, want)
			}
		}
		if len(tt.want) == 1 && errors.Is(got, errMine) && got != errMine {
			t.Errorf("%s: raised %v, want the block's error unchanged", tt.name, got)
		}
	}
}

// R11, H-02: a lost link is an error, once, and comes after what was known.
func TestMachine_linkLost(t *testing.T) {
	lost := &fault.LinkLost{Why: "gone"}
	p, _ := pair(t, "p open", "c started")
	if do := p.Lose(lost); do != Interrupt|Finish {
		t.Errorf("lose: %v", do)
	}
	if _, failure := p.Ended(); failure != error(lost) || !p.Canceller().Equal(childID) {
		t.Errorf("failure %v, canceller %v", failure, p.Canceller())
	}
	if do := p.Lose(errMine); do != 0 {
		t.Errorf("lose again: %v", do)
	}
	p, _ = pair(t, "p call", "c return")
	p.Lose(lost)
	if ended, failure := p.Ended(); !ended || failure != nil {
		t.Errorf("a link lost after the result: failure %v", failure)
	}
}

func TestMachine_streamAllocatesNothing(t *testing.T) {
	p, c := pair(t, "p open", "c started")
	msg := Message{Kind: Yield}
	if n := testing.AllocsPerRun(100, func() {
		msg.Seq, _ = c.MaySend(Yield)
		c.Sent(Yield)
		if do, err := p.Receive(&msg); do != Deliver || err != nil {
			t.Fatal(do, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per message, want 0", n)
	}
}
