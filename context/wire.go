package actorcontext

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/tandem-actors/tandem/identity"
)

// Version is the first byte of every frame. A frame of another version is
// refused as a whole.
const Version = 1

// fromChild is set in a frame's kind byte if the child sent it.
const fromChild = 0x80

// Overhead is how many bytes longer than its payload a frame of the stream can
// be: version, kind, context and number.
const Overhead = 1 + 1 + 16 + binary.MaxVarintLen64

// maxText bounds the names in a frame.
const maxText = 1 << 10

// Which optional fields a kind has, in the order in which they are written.
var (
	hasTarget = [numKinds]bool{Open: true, Call: true, Kill: true} // Target, Caller.
	hasCall   = [numKinds]bool{Open: true, Call: true}             // Endpoint, Timeout, Trace.
)

// AppendMessage appends the frame of msg to b:
//
//	version kind context seq [target caller] [endpoint timeout trace] payload
//
// Numbers are uvarints, texts are preceded by their length, the payload is
// what remains. It does not allocate if b has room.
func AppendMessage(b []byte, msg *Message) []byte {
	kind := byte(msg.Kind)
	if msg.From == Child {
		kind |= fromChild
	}
	b = append(b, Version, kind)
	b = append(b, msg.Context[:]...)
	b = binary.AppendUvarint(b, msg.Seq)
	if hasTarget[msg.Kind] {
		b = append(b, msg.Target[:]...)
		b = append(b, msg.Caller.UUID[:]...)
		b = append(b, msg.Caller.Node.UUID[:]...)
		b = appendText(b, msg.Caller.Name)
		b = appendText(b, msg.Caller.Node.Name)
	}
	if hasCall[msg.Kind] {
		b = appendText(b, msg.Endpoint)
		b = binary.AppendUvarint(b, uint64(max(0, msg.Timeout)))
		b = append(b, msg.Trace[:]...)
	}
	return append(b, msg.Payload...)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// errShort is a frame that ends too early.
var errShort = errors.New("parse frame: too short")

// ParseMessage parses a frame. The payload is a part of it, not a copy. A
// frame that it accepts is, but for the spelling of numbers, what
// [AppendMessage] writes for the message.
func ParseMessage(frame []byte) (msg Message, err error) {
	if len(frame) < 2 {
		return msg, errShort
	}
	if frame[0] != Version {
		return msg, fmt.Errorf("parse frame: version %d, not %d", frame[0], Version)
	}
	msg.Kind = Kind(frame[1] &^ fromChild)
	if frame[1]&fromChild != 0 {
		msg.From = Child
	}
	if msg.Kind == 0 || msg.Kind >= numKinds {
		return msg, fmt.Errorf("parse frame: unknown kind %d", msg.Kind)
	}
	r := reader{b: frame[2:]}
	msg.Context = r.uuid()
	msg.Seq = r.number()
	if hasTarget[msg.Kind] {
		msg.Target = r.uuid()
		msg.Caller.UUID, msg.Caller.Node.UUID = r.uuid(), r.uuid()
		msg.Caller.Name, msg.Caller.Node.Name = r.text(), r.text()
	}
	if hasCall[msg.Kind] {
		msg.Endpoint = r.text()
		if msg.Timeout = time.Duration(r.number()); msg.Timeout < 0 {
			return msg, errors.New("parse frame: timeout out of range")
		}
		copy(msg.Trace[:], r.take(uint64(len(msg.Trace))))
	}
	msg.Payload = r.b
	return msg, r.err
}

// A reader takes a frame apart. After an error it returns zero values.
type reader struct {
	b   []byte
	err error
}

func (r *reader) take(n uint64) []byte {
	if r.err != nil || n > uint64(len(r.b)) {
		r.err = errShort
		return nil
	}
	part := r.b[:n:n]
	r.b = r.b[n:]
	return part
}

func (r *reader) uuid() (id identity.UUID) {
	copy(id[:], r.take(uint64(len(id))))
	return id
}

func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.err = errShort
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) text() string {
	n := r.number()
	if n > maxText {
		r.err = errors.New("parse frame: text too long")
		return ""
	}
	return string(r.take(n))
}
