package discovery

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tandem-actors/tandem/identity"
)

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// testUUID returns the same uuid for the same bytes.
func testUUID(class, n byte) identity.UUID { return identity.UUID{0: class, 6: 0x70, 15: n} }

func nodeID(n byte) identity.NodeID {
	return identity.NodeID{Name: fmt.Sprintf("n%d", n), UUID: testUUID('n', n)}
}

// An author is a run that writes its log, and keeps all it ever published.
type author struct {
	head   head
	log    nodeLog
	deltas []update
	copies [][]update // the snapshot after each delta
}

func newAuthor(n byte) *author {
	a := &author{head: head{Node: nodeID(n), Epoch: uint64(n) + 1}, log: newNodeLog()}
	a.copies = [][]update{a.log.snapshot(a.head)}
	return a
}

func (a *author) write(o op) {
	a.log.seq++
	o.Seq = a.log.seq
	if o.Gone != nil {
		a.log.drop(o.Actor)
	} else {
		a.log.put(o.entry(a.head.Node))
	}
	a.deltas = append(a.deltas, update{Head: a.log.mark(a.head), Ops: []op{o}})
	a.copies = append(a.copies, a.log.snapshot(a.head))
}

// drawAuthor makes a history in which actors come, change and go, and the run
// refutes an obit now and then.
func drawAuthor(t *rapid.T, n byte) *author {
	a := newAuthor(n)
	for range rapid.IntRange(0, 8).Draw(t, "operations") {
		actor := byte(rapid.IntRange(0, 3).Draw(t, "actor"))
		o := op{Actor: testUUID('a', 16*n+actor), Name: fmt.Sprintf("a%d", actor), Registered: int64(actor)}
		if rapid.Bool().Draw(t, "gone") {
			o.Gone = &Why{Reason: "over"}
		}
		if rapid.IntRange(0, 3).Draw(t, "refutes") == 0 {
			a.head.Inc++
		}
		a.write(o)
	}
	return a
}

// digest is what the merge laws are about: for each run how far its copy is and
// whether it is dead.
func (r *registry) digest() string {
	var s []string
	for id, o := range r.runs {
		s = append(s, fmt.Sprint(id, " inc ", o.head.Inc, " seq ", o.log.seq, " hash ", o.log.hash, " of ", len(o.log.entries)))
	}
	for id, ob := range r.obits {
		s = append(s, fmt.Sprint(id, " dead ", ob.Inc))
	}
	slices.Sort(s)
	return fmt.Sprint(s)
}

// A fact is all that one replica may say about one run.
type fact struct {
	parts []update
	obit  *obit
}

func (r *registry) learn(facts []fact) *registry {
	for _, f := range facts {
		for _, u := range f.parts {
			r.merge(epoch, u, false)
		}
		if f.obit != nil {
			r.bury(epoch, *f.obit)
		}
	}
	return r
}

func drawFacts(t *rapid.T, label string, authors []*author) []fact {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) fact {
		a := rapid.SampledFrom(authors).Draw(t, "author")
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			return fact{obit: &obit{Node: a.head.Node, Inc: forever}}
		case 1, 2:
			inc := rapid.Uint64Range(0, a.head.Inc).Draw(t, "inc")
			return fact{obit: &obit{Node: a.head.Node, Inc: inc}}
		default:
			return fact{parts: rapid.SampledFrom(a.copies).Draw(t, "copy")}
		}
	}), 0, 6).Draw(t, label)
}

func TestRegistry_mergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		authors := []*author{drawAuthor(t, 0), drawAuthor(t, 1)}
		x, y, z := drawFacts(t, "x", authors), drawFacts(t, "y", authors), drawFacts(t, "z", authors)
		of := func(facts ...[]fact) string {
			return newRegistry(time.Second).learn(slices.Concat(facts...)).digest()
		}
		if of(x, x) != of(x) {
			t.Error("not idempotent")
		}
		if of(x, y) != of(y, x) {
			t.Error("not commutative")
		}
		if of(x, y, z) != of(y, z, x) {
			t.Error("not associative")
		}
	})
}

func TestRegistry_neverGoesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		authors := []*author{drawAuthor(t, 0), drawAuthor(t, 1)}
		r := newRegistry(time.Second)
		seq, dead := map[identity.UUID]uint64{}, map[identity.UUID]uint64{}
		for _, f := range drawFacts(t, "facts", authors) {
			r.learn([]fact{f})
			for id, o := range r.runs {
				if o.log.seq < seq[id] {
					t.Error("a copy became shorter")
				}
				seq[id] = o.log.seq
				if inc, ok := dead[id]; ok && !r.isBuried(id) && o.head.Inc <= inc {
					t.Error("a dead run rose without a new incarnation")
				}
			}
			clear(dead)
			for id, ob := range r.obits {
				dead[id] = ob.Inc
			}
		}
	})
}

func TestRegistry_copyIsTheTruthWhateverTheWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawAuthor(t, 0)
		var way []update
		for _, u := range a.deltas {
			for range rapid.IntRange(0, 2).Draw(t, "times") { // Lost, or twice.
				way = append(way, u)
			}
		}
		for range rapid.IntRange(0, 2).Draw(t, "snapshots") {
			way = append(way, rapid.SampledFrom(a.copies).Draw(t, "copy")...)
		}
		r := newRegistry(time.Second)
		for _, u := range rapid.Permutation(way).Draw(t, "way") {
			o := r.merge(epoch, u, true)
			if want := a.copies[o.log.seq][0].Head.Hash; o.log.hash != want {
				t.Fatalf("copy at %d differs from the log", o.log.seq)
			}
			if o.isBehind() != (o.log.seq < o.head.Seq) {
				t.Fatal("a copy that equals its log is torn")
			}
		}
		for _, u := range a.log.snapshot(a.head) {
			r.merge(epoch, u, true)
		}
		o := r.runs[a.head.Node.UUID]
		if len(o.ahead) > 0 {
			t.Fatal("operations are kept that the copy has")
		}
		if o.isBehind() || !maps.EqualFunc(o.log.entries, a.log.entries, func(x, y Entry) bool { return x.Seq == y.Seq }) {
			t.Fatal("with a snapshot, the copy is not the log")
		}
		replayed := map[identity.UUID]bool{} // I9: events tell the same.
		for _, e := range r.events {
			if e.Type == EventActorRegistered {
				replayed[e.Actor.UUID] = true
			} else if e.Actor != nil {
				delete(replayed, e.Actor.UUID)
			}
		}
		if len(replayed) != len(a.log.entries) {
			t.Fatal("replayed events differ from the log")
		}
		if n := len(r.names["a0"]); n > 1 || (n == 1) != hasName(&a.log, "a0") {
			t.Fatal("the index of names differs from the log")
		}
	})
}

func hasName(l *nodeLog, name string) bool {
	for _, e := range l.entries {
		if e.Actor.Name == name {
			return true
		}
	}
	return false
}

func TestRegistry_evictedRunReturnsOnlyByItself_A46(t *testing.T) {
	a := newAuthor(1)
	a.write(op{Actor: testUUID('a', 1), Name: "bob"})
	r := newRegistry(time.Second).learn([]fact{{parts: a.copies[1]}})
	stale := a.copies[1]
	if !r.bury(epoch, obit{Node: a.head.Node, Inc: 0}) {
		t.Fatal("obit not taken")
	}
	check := func(when string, want int) {
		t.Helper()
		if got := len(r.find("bob")); got != want {
			t.Errorf("%s: %d bobs are up, want %d", when, got, want)
		}
	}
	check("buried", 0)
	r.learn([]fact{{parts: stale}})
	check("after stale gossip", 0)
	r.sweep(epoch.Add(time.Hour))
	if len(r.runs) > 0 || len(r.obits) != 1 {
		t.Errorf("after an hour: %d copies and %d obits, want only the obit", len(r.runs), len(r.obits))
	}
	r.learn([]fact{{parts: stale}})
	check("after stale gossip an hour later", 0)
	a.head.Inc = 1
	o := r.merge(epoch, update{Head: a.log.mark(a.head)}, true)
	check("after its heartbeat", 1) // From the stale copy: it was not behind.
	if o.isBehind() || len(r.obits) > 0 {
		t.Errorf("behind %t, %d obits, want neither", o.isBehind(), len(r.obits))
	}
	if r.bury(epoch, obit{Node: a.head.Node, Inc: 0}) {
		t.Error("a refuted obit was taken again")
	}
	r.bury(epoch, obit{Node: a.head.Node, Inc: forever})
	a.head.Inc = 9
	if r.merge(epoch, a.log.snapshot(a.head)[0], true) != nil {
		t.Error("a run that has left came back")
	}
}

func TestRegistry_tornCopyIsReplaced(t *testing.T) {
	a := newAuthor(1)
	a.write(op{Actor: testUUID('a', 1), Name: "bob"})
	r := newRegistry(time.Second).learn([]fact{{parts: a.copies[1]}})
	o := r.runs[a.head.Node.UUID]
	o.log.drop(testUUID('a', 1))
	if r.merge(epoch, update{Head: a.log.mark(a.head)}, true); !o.isBehind() {
		t.Fatal("a wrong hash was not noticed")
	}
	if r.learn([]fact{{parts: a.copies[1]}}); o.isBehind() || len(r.find("bob")) != 1 {
		t.Error("a snapshot did not mend the copy")
	}
	bad := a.copies[1][0]
	bad.Head.Hash++
	if r.learn([]fact{{parts: []update{bad}}}); !o.isBehind() {
		t.Error("a snapshot that does not fit its own hash was trusted")
	}
}

func TestRegistry_doesNotTrustStrangeWriters(t *testing.T) {
	a := newAuthor(1)
	a.write(op{Actor: testUUID('a', 1), Name: "bob"})
	a.write(op{Actor: testUUID('a', 1), Name: "eve"}) // No client of ours renames.
	r := newRegistry(time.Second)
	for _, u := range a.deltas {
		r.merge(epoch, u, true)
	}
	if x, y := len(r.find("bob")), len(r.find("eve")); x != 0 || y != 1 {
		t.Errorf("renamed: %d bobs and %d eves, want only eve", x, y)
	}
	a.head.Epoch++ // One run does not have two.
	if o := r.merge(epoch, update{Head: a.log.mark(a.head)}, true); o != nil {
		t.Error("a run with another epoch was taken for the same")
	}
}

func TestRegistry_newestIsFoundFirst_A14(t *testing.T) {
	r := newRegistry(time.Second)
	for i, at := range []int64{5, 7, 7, 6} {
		a := newAuthor(byte(i))
		a.write(op{Actor: testUUID('a', byte(i)), Name: "bob", Registered: at})
		r.learn([]fact{{parts: a.copies[1]}})
	}
	var got []identity.UUID
	for _, e := range r.find("bob") {
		got = append(got, e.Actor.UUID)
	}
	if want := []identity.UUID{testUUID('a', 2), testUUID('a', 1), testUUID('a', 3), testUUID('a', 0)}; !slices.Equal(got, want) {
		t.Errorf("find = %v, want %v", got, want)
	}
	if got := r.find(testUUID('a', 2).String()); len(got) > 0 {
		t.Errorf("find by uuid = %v, want nobody", got)
	}
}

func TestRegistry_judgesInTwoRounds(t *testing.T) {
	const beat = time.Second
	a := newAuthor(1)
	r := newRegistry(beat)
	now := epoch
	r.merge(now, update{Head: a.log.mark(a.head)}, true)
	o := r.runs[a.head.Node.UUID]
	dead := verdict{node: a.head.Node, dead: true}
	step := func(d time.Duration, wantDue int) {
		t.Helper()
		now = now.Add(d)
		if got := len(r.due(now, 9)); got != wantDue {
			t.Fatalf("after %v, %d are due, want %d", now.Sub(epoch), got, wantDue)
		}
	}
	step(missedBeats*beat, 0)
	step(1, 1)
	step(0, 0) // One probe at a time.
	r.judge(now, verdict{node: a.head.Node})
	if r.state(o) != StateUp {
		t.Error("our own trouble made a suspect")
	}
	step(confirm, 1)
	r.judge(now, dead)
	if r.state(o) != StateSuspect {
		t.Error("one probe without answer made no suspect")
	}
	step(confirm-1, 0)
	r.pause(now)
	step(1, 0)
	step(missedBeats*beat+settleDown, 1)
	r.pause(now)
	if r.judge(now, dead); r.state(o) != StateSuspect {
		t.Error("a probe counted while our bus failed")
	}
	step(missedBeats*beat+settleDown, 1)
	r.merge(now, update{Head: a.log.mark(a.head)}, true)
	now = now.Add(1)
	r.accuse(a.head.Node.UUID)
	o.asked = now.Add(-2)
	if _, evicted := r.judge(now, dead); evicted || r.state(o) != StateUp {
		t.Error("a sign of life during the probe did not count")
	}
	step(confirm, 1)
	r.judge(now, dead)
	step(confirm, 1)
	if _, evicted := r.judge(now, dead); !evicted || r.state(o) != StateEvicted {
		t.Error("two probes without answer did not evict")
	}
	step(time.Hour, 0)
}

func TestRegistry_leavesToOthersWhatItDoesNotHear(t *testing.T) {
	a := newAuthor(1)
	r := newRegistry(time.Second).learn([]fact{{parts: a.copies[0]}})
	r.accuse(a.head.Node.UUID)
	if got := r.due(epoch.Add(vouchedFor), 9); len(got) > 0 {
		t.Errorf("due = %v, want nobody", got)
	}
	r.runs[a.head.Node.UUID].vouched = epoch.Add(vouchedFor)
	if got := r.due(epoch.Add(2*vouchedFor), 9); len(got) > 0 {
		t.Errorf("vouched for, due = %v, want nobody", got)
	}
	if got := r.due(epoch.Add(2*vouchedFor+1), 9); len(got) != 1 {
		t.Errorf("not vouched for any more, due = %v, want one", got)
	}
}

func TestNodeLog_snapshotPartsAreBounded(t *testing.T) {
	a := newAuthor(1)
	for i := range 300 {
		a.log.seq++
		id := identity.UUID{14: byte(i >> 8), 15: byte(i), 0: 1}
		a.log.put(op{Seq: a.log.seq, Actor: id, Name: "bob", Endpoints: slices.Repeat([]string{"endpoint"}, 200)}.entry(a.head.Node))
	}
	parts := a.log.snapshot(a.head)
	if len(parts) < 3 {
		t.Fatalf("%d parts, want several", len(parts))
	}
	r := newRegistry(time.Second)
	for i, u := range parts {
		if n := len((&message{Kind: kindUpdate, Update: &u}).encode()); n > 2*partSize {
			t.Errorf("part %d has %d bytes, want about %d", i, n, partSize)
		}
		r.merge(epoch, u, true)
	}
	if got := len(r.find("bob")); got != 300 {
		t.Errorf("%d entries arrived, want 300", got)
	}
	r.merge(epoch, parts[1], true) // Again: ignored.
	if o := r.runs[a.head.Node.UUID]; o.isBehind() {
		t.Error("a stray part tore the copy")
	}
}

func TestRegistry_snapshotPartsComeInAnyOrder(t *testing.T) {
	a := newAuthor(1)
	var copies [2][]update // Of one log, the second one longer.
	for i := range copies {
		for range 3 {
			a.write(op{Actor: identity.New(), Name: "bob", Endpoints: slices.Repeat([]string{"endpoint"}, 20_000)})
		}
		copies[i] = a.log.snapshot(a.head)
	}
	older, newer := copies[0], copies[1]
	if len(older) != 3 || len(newer) != 6 {
		t.Fatalf("%d and %d parts, want 3 and 6", len(older), len(newer))
	}
	take := func(now time.Time, parts ...update) func(want int) {
		r := newRegistry(time.Second)
		for _, u := range parts {
			r.merge(now, u, false)
			now = now.Add(pullEvery)
		}
		o := r.runs[a.head.Node.UUID]
		return func(want int) {
			t.Helper()
			if got := len(o.log.entries); got != want || o.torn {
				t.Errorf("copy of %d entries, torn %t, want %d", got, o.torn, want)
			}
			if len(parts) > 0 && !o.pulled.Equal(now.Add(-pullEvery)) {
				t.Error("the last part did not put off the next pull")
			}
		}
	}
	take(epoch, older[2], older[0], older[0], older[1])(3)
	take(epoch, older[2], older[0], older[2])(0)
	mixed := slices.Concat(older[:1], newer[3:], older[1:], newer[:3])
	take(epoch, mixed...)(6)
}

func TestRegistry_snapshotThatStaysIncompleteGivesWay(t *testing.T) {
	a := newAuthor(1)
	a.write(op{Actor: identity.New(), Name: "bob"})
	whole := a.copies[1][0]
	stuck := whole
	stuck.Head.Seq, stuck.Parts = 9, 2
	r := newRegistry(time.Second)
	r.merge(epoch, stuck, false)
	r.merge(epoch.Add(partialFor), whole, false)
	if got := len(r.find("bob")); got != 0 {
		t.Errorf("%d bobs from a snapshot that is older than the one coming in, want none", got)
	}
	r.merge(epoch.Add(2*partialFor), whole, false)
	if got := len(r.find("bob")); got != 1 {
		t.Errorf("%d bobs when no more parts of that came, want 1", got)
	}
}
