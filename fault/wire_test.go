package fault

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tandem-actors/tandem/identity"
)

func actor(name string) identity.ActorID {
	return identity.ActorID{Name: name, UUID: identity.New(), Node: identity.NodeID{Name: "n-" + name, UUID: identity.New()}}
}

// over sends err from each actor to the next, as endpoints that return what
// they got.
func over(t *testing.T, err error, actors ...identity.ActorID) error {
	t.Helper()
	for _, a := range actors {
		got, e := Unmarshal(Marshal(err, a))
		if e != nil {
			t.Fatal(e)
		}
		err = fmt.Errorf("relayed: %w", got)
	}
	return err
}

// I-04 to I-06, I-10: source and type stay, through any number of hops, and
// each relay is in the path.
func TestRemoteError_I06_sourceSurvivesRelays(t *testing.T) {
	hops := []identity.ActorID{actor("a"), actor("b"), actor("c"), actor("d"), actor("e")}
	err := over(t, fmt.Errorf("reading: %w", errors.New("disk on fire")), hops...)
	r, ok := errors.AsType[*RemoteError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	if r.Type != "*errors.errorString" || r.Message != "reading: disk on fire" || r.Source != hops[0] || !reflect.DeepEqual(r.Path, hops) {
		t.Errorf("got %+v", r)
	}
	if want := "a@n-a via b@n-b via c@n-c via d@n-d via e@n-e: reading: disk on fire"; r.Error() != want {
		t.Errorf("text %q, want %q", r, want)
	}
}

// D-06, I-11, K-08, K-09: canceller, source and root cause are never rewritten.
func TestCanceled_D06_attributionSurvivesRelays(t *testing.T) {
	leaf, mid, top, killer := actor("leaf"), actor("mid"), actor("top"), actor("killer")
	want := &Canceled{Canceller: killer, Cause: ErrBusy, Wave: identity.New(), Hop: 2, Span: [25]byte{1, 2, 3}}
	err := over(t, want, leaf, mid, top)
	c, ok := errors.AsType[*Canceled](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	if c.Canceller != killer || c.Source != leaf || len(c.Path) != 3 || c.Wave != want.Wave || c.Hop != 2 || c.Span != want.Span {
		t.Errorf("got %+v", c)
	}
	if !errors.Is(err, context.Canceled) || !errors.Is(err, ErrBusy) {
		t.Errorf("%v does not match context.Canceled and its cause", err)
	}
	if r, ok := errors.AsType[*RemoteError](err); !ok || !r.Source.Equal(killer) {
		t.Errorf("the root cause is %v, want it to be the canceller's", r)
	}
}

// Every error of this package means the same on the other side.
func TestMarshal_ownTypesSurvive(t *testing.T) {
	for label, sentinel := range labels {
		if err := over(t, fmt.Errorf("x: %w", sentinel), actor("a"), actor("b")); !errors.Is(err, sentinel) {
			t.Errorf("%s: %v does not match", label, err)
		}
	}
	a, b := actor("a"), actor("b")
	for _, want := range []error{
		&LinkLost{Peer: a.Node, Why: "no echo"},
		&Overrun{Sender: a, Receiver: b, Endpoint: "e", Capacity: 64},
		&BadMessage{What: "argument", Endpoint: "e", Want: "int", Why: "text"},
		&TooLarge{Size: 2, Limit: 1},
		&TooSlow{Actor: a, Grace: "3s"},
	} {
		err := over(t, fmt.Errorf("x: %w", want), a, b)
		got := reflect.New(reflect.TypeOf(want))
		if !errors.As(err, got.Interface()) || !reflect.DeepEqual(got.Elem().Interface(), want) {
			t.Errorf("%v became %v", want, err)
		}
	}
}

// I-03, I-16: a type of somebody else's is a label.
func TestMarshal_I16_unknownTypesAreLabels(t *testing.T) {
	err := over(t, &identity.NameError{Name: "x", Why: "is odd"}, actor("a"))
	r, _ := errors.AsType[*RemoteError](err)
	if r.Type != "*identity.NameError" || r.Unwrap() != nil || errors.As(err, new(*identity.NameError)) {
		t.Errorf("got %+v", r)
	}
}

// I-15: texts and paths are bounded.
func TestMarshal_I15_isBounded(t *testing.T) {
	var hops []identity.ActorID
	for range maxPath + 10 {
		hops = append(hops, actor("h"))
	}
	err := over(t, errors.New(strings.Repeat("x", 10*maxText)), hops...)
	r, _ := errors.AsType[*RemoteError](err)
	if len(r.Message) > maxText+10 || len(r.Path) > maxPath || r.Path[0] != hops[0] || r.Path[len(r.Path)-1] != hops[len(hops)-1] {
		t.Errorf("message of %d bytes, path of %d", len(r.Message), len(r.Path))
	}
	deep := error(&Canceled{Canceller: actor("x")})
	for range 3 * maxDepth {
		deep = &Canceled{Canceller: actor("x"), Cause: deep}
	}
	over(t, deep, actor("a"))
}

func TestUnmarshal_refusesACancelByNobody(t *testing.T) {
	if got, err := Unmarshal(Marshal(&Canceled{}, actor("a"))); err == nil {
		t.Errorf("got %v", got)
	}
}

func TestIsCancellation(t *testing.T) {
	own, foreign := &Canceled{Canceller: actor("a")}, &Canceled{Canceller: actor("b")}
	other := errors.New("other")
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{own, true},
		{context.Canceled, true},
		{fmt.Errorf("x: %w", own), true},
		{errors.Join(own, context.Canceled), true},
		{foreign, false},
		{other, false},
		{errors.Join(own, other), false},
		{fmt.Errorf("x: %w", errors.Join(other, own)), false},
		{&RemoteError{}, false},
	} {
		if got := IsCancellation(tt.err, own); got != tt.want {
			t.Errorf("IsCancellation(%v) = %v, want %v", tt.err, got, tt.want)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add(Marshal(&Canceled{Canceller: actor("a"), Cause: ErrBusy}, actor("b")))
	f.Add(Marshal(&TooLarge{Size: 2, Limit: 1}, actor("b")))
	f.Add(Marshal(errors.New("x"), actor("b")))
	f.Fuzz(func(t *testing.T, data []byte) {
		err, e := Unmarshal(data)
		if e != nil {
			return
		}
		_ = err.Error()
		if _, e := Unmarshal(Marshal(err, actor("relay"))); e != nil {
			t.Fatalf("%v cannot be relayed: %v", err, e)
		}
	})
}

// C-18, C-20, C-23: what is joined with a cancel, or with another's failure, is
// not lost: the error that arrives is of the kind of the first failure and has
// all texts.
func TestMarshal_C23_joinedFailuresSurvive(t *testing.T) {
	a, b := actor("a"), actor("b")
	canceled := &Canceled{Canceller: a, Source: b}
	slow := &TooSlow{Actor: b, Grace: "3s"}
	remote := over(t, ErrBusy, b)
	for _, tt := range []struct {
		err  error
		want func(error) bool
		text string
	}{
		{errors.Join(canceled, slow), func(err error) bool { return errors.As(err, new(*TooSlow)) }, slow.Error()},
		{fmt.Errorf("x: %w", errors.Join(canceled, errors.New("disk on fire"))), func(err error) bool { return !errors.As(err, new(*Canceled)) }, "disk on fire"},
		{errors.Join(remote, errors.New("disk on fire")), func(err error) bool { return errors.Is(err, ErrBusy) }, "disk on fire"},
		{context.Canceled, func(err error) bool {
			c, ok := errors.AsType[*Canceled](err)
			return ok && c.Canceller == a
		}, "canceled by a@n-a"},
	} {
		got := over(t, tt.err, a)
		if !tt.want(got) || !strings.Contains(got.Error(), tt.text) {
			t.Errorf("%q became %q", tt.err, got)
		}
	}
}

func TestSane_catchesMethodsThatPanic(t *testing.T) {
	var none *nilError
	if err := Sane(none); err == nil || !errors.As(err, new(*Panic)) || !strings.Contains(err.Error(), "*fault.nilError") {
		t.Errorf("got %v", err)
	}
	if err := Sane(ErrBusy); err != ErrBusy {
		t.Errorf("got %v, want it unchanged", err)
	}
	if err := Sane(nil); err != nil {
		t.Errorf("got %v of nil", err)
	}
}

type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }
