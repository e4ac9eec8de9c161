package fault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"github.com/tandem-actors/tandem/identity"
)

// Bounds of an error on the wire. What is longer is cut when it is packed, and
// refused when it arrives.
const (
	maxText  = 16 << 10
	maxPath  = 32
	maxDepth = 8
)

// box is an error on the wire. A box with a canceller is a [Canceled].
type box struct {
	Type      string             `cbor:"1,keyasint,omitempty"`
	Message   string             `cbor:"2,keyasint,omitempty"`
	Stack     string             `cbor:"3,keyasint,omitempty"`
	Source    identity.ActorID   `cbor:"4,keyasint"`
	Path      []identity.ActorID `cbor:"5,keyasint,omitempty"`
	Detail    cbor.RawMessage    `cbor:"6,keyasint,omitempty"`
	Canceller *identity.ActorID  `cbor:"7,keyasint,omitempty"`
	Cause     *box               `cbor:"8,keyasint,omitempty"`
	Wave      identity.UUID      `cbor:"9,keyasint,omitempty"`
	Hop       int                `cbor:"10,keyasint,omitempty"`
	Span      []byte             `cbor:"11,keyasint,omitempty"`
}

// labels names the sentinels on the wire. A label, once released, is for ever.
var labels = map[string]error{
	"closed":      ErrClosed,
	"not_found":   ErrNotFound,
	"no_endpoint": ErrNoEndpoint,
	"wrong_kind":  ErrWrongKind,
	"not_started": ErrNotStarted,
	"unreachable": ErrUnreachable,
	"busy":        ErrBusy,
	"misuse":      ErrMisuse,
	"deadline":    context.DeadlineExceeded,
}

// details makes the types whose fields cross the wire.
var details = map[string]func() error{
	"link_lost":   func() error { return new(LinkLost) },
	"overrun":     func() error { return new(Overrun) },
	"bad_message": func() error { return new(BadMessage) },
	"too_large":   func() error { return new(TooLarge) },
	"too_slow":    func() error { return new(TooSlow) },
}

var decoder = must(cbor.DecOptions{
	MaxNestedLevels:  64,
	MaxArrayElements: 1024,
	MaxMapPairs:      64,
	UTF8:             cbor.UTF8DecodeInvalid, // File names are in errors.
}.DecMode())

func must[T any](v T, err error) T {
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return v
}

// Marshal packs err on behalf of self: what self relays keeps its source and
// gets self appended to its path, what self failed with starts a path.
func Marshal(err error, self identity.ActorID) []byte {
	return must(cbor.Marshal(pack(err, self, 0)))
}

// pack boxes err. A cause, at a depth above 0, is quoted, not relayed.
func pack(err error, self identity.ActorID, depth int) *box {
	if c, ok := Cancellation(err); ok {
		if c == nil { // A bare context.Canceled: nobody else asked (scenario C-16).
			c = &Canceled{Canceller: self}
		}
		return packCanceled(c, self, depth)
	}
	parts := failures(err)
	if r, ok := errors.AsType[*RemoteError](parts[0]); ok && len(parts) == 1 {
		b := &box{Type: r.Type, Message: r.Message, Stack: r.Stack, Source: r.Source, Path: relay(r.Path, self, depth)}
		b.Detail = detail(r.known)
		return b
	}
	b := &box{Message: clip(fmt.Sprint(err)), Source: self, Path: []identity.ActorID{self}}
	b.Type, b.Detail = describe(parts[0])
	if p, ok := errors.AsType[*Panic](err); ok {
		b.Stack = clip(p.Stack)
	}
	return b
}

func packCanceled(c *Canceled, self identity.ActorID, depth int) *box {
	b := &box{Source: c.Source, Path: relay(c.Path, self, depth), Canceller: &c.Canceller, Wave: c.Wave, Hop: c.Hop, Span: c.Span[:]}
	if b.Source.IsZero() {
		b.Source = self
	}
	if c.Cause != nil && depth < maxDepth {
		b.Cause = pack(c.Cause, c.Canceller, depth+1)
	}
	return b
}

// describe returns the label of err's type, and its fields if it is one of ours.
func describe(err error) (string, cbor.RawMessage) {
	if r, ok := errors.AsType[*RemoteError](err); ok { // One of several.
		return r.Type, detail(r.known)
	}
	for _, label := range slices.Sorted(maps.Keys(details)) {
		known := reflect.New(reflect.TypeOf(details[label]()))
		if errors.As(err, known.Interface()) {
			return label, detail(known.Elem().Interface().(error))
		}
	}
	for _, label := range slices.Sorted(maps.Keys(labels)) {
		if errors.Is(err, labels[label]) {
			return label, nil
		}
	}
	if t, ok := errors.AsType[typed](err); ok && labels[t.ErrorType()] == nil && details[t.ErrorType()] == nil {
		return clip(t.ErrorType()), nil
	}
	return TypeOf(err), nil
}

// TypeOf returns the name of err's Go type, which is its label elsewhere. What
// package fmt wrapped around it does not count.
func TypeOf(err error) string {
	for u := errors.Unwrap(err); u != nil && reflect.TypeOf(err).String() == "*fmt.wrapError"; u = errors.Unwrap(err) {
		err = u
	}
	return reflect.TypeOf(err).String()
}

// typed is an error with a stable label.
type typed interface {
	error
	ErrorType() string
}

// detail encodes the fields of err, if it is of a type in [details].
func detail(err error) cbor.RawMessage {
	t, ok := err.(typed) //nolint:errorlint // The fields of this very value.
	if !ok || details[t.ErrorType()] == nil {
		return nil
	}
	return must(cbor.Marshal(err))
}

// Unmarshal unpacks what [Marshal] packed: a [*Canceled] or a [*RemoteError].
// Bytes that it cannot read give an error that is neither.
func Unmarshal(data []byte) (error, error) {
	b := new(box)
	if err := decoder.Unmarshal(data, b); err != nil {
		return nil, fmt.Errorf("decode error: %w", err)
	}
	return b.unpack(0)
}

func (b *box) unpack(depth int) (error, error) {
	if depth > maxDepth || len(b.Path) > maxPath {
		return nil, errors.New("decode error: nested too deep or relayed too often")
	}
	if b.Canceller != nil {
		c := &Canceled{Canceller: *b.Canceller, Source: b.Source, Path: b.Path, Wave: b.Wave, Hop: b.Hop}
		copy(c.Span[:], b.Span)
		if c.Canceller.IsZero() {
			return nil, errors.New("decode error: canceled by nobody")
		}
		if b.Cause != nil {
			cause, err := b.Cause.unpack(depth + 1)
			if err != nil {
				return nil, err
			}
			c.Cause = cause
		}
		return c, nil
	}
	r := &RemoteError{
		Type: clip(b.Type), Message: clip(b.Message), Stack: clip(b.Stack),
		Source: b.Source, Path: b.Path, known: labels[b.Type],
	}
	if make := details[b.Type]; make != nil {
		known := make()
		if err := decoder.Unmarshal(b.Detail, known); err != nil {
			return nil, fmt.Errorf("decode %s: %w", b.Type, err)
		}
		r.known = known
	}
	return r, nil
}

// relay returns path with self at its end; a full path keeps both ends.
func relay(path []identity.ActorID, self identity.ActorID, depth int) []identity.ActorID {
	if depth > 0 {
		return path
	}
	if n := len(path); n >= maxPath {
		path = append(path[:n/2:n/2], path[n/2+1:]...)
	}
	return append(slices.Clip(path), self)
}

// clip shortens s to its first and last parts.
func clip(s string) string {
	if len(s) > maxText {
		s = s[:maxText/2] + "\n…\n" + s[len(s)-maxText/2:]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
