package actorcontext

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"
	"time"

	"github.com/tandem-actors/tandem/identity"
)

func messages() []Message {
	id := identity.UUID{0: 0xC1, 15: 0xD0}
	return []Message{
		{Kind: Open, Context: id, Target: childID.UUID, Caller: parentID, Endpoint: "sum", Timeout: time.Second, Trace: [25]byte{1, 24: 1}, Payload: []byte("arg")},
		{Kind: Call, Context: id, Target: childID.UUID, Caller: parentID, Endpoint: "sum", Payload: []byte{}},
		{Kind: Started, From: Child, Context: id, Seq: 1, Payload: []byte("first")},
		{Kind: Yield, Context: id, Seq: 300, Payload: []byte("value")},
		{Kind: Stop, From: Child, Context: id, Seq: 2, Payload: []byte{}},
		{Kind: Return, From: Child, Context: id, Seq: 3, Payload: []byte("result")},
		{Kind: Error, From: Child, Context: id, Seq: 3, Payload: []byte("boxed")},
		{Kind: Cancel, Context: id, Payload: []byte("boxed")},
		{Kind: Ack, From: Child, Context: id, Payload: []byte{}},
		{Kind: Kill, Context: id, Target: childID.UUID, Caller: parentID, Payload: []byte("boxed")},
		{Kind: Killed, Context: id, Seq: 1, Payload: []byte{}},
		{Kind: Ping, Context: id, Seq: 9, Payload: []byte{}},
		{Kind: Pong, Seq: 9, Payload: []byte{}},
	}
}

func TestWire_roundTrip(t *testing.T) {
	for _, want := range messages() {
		got, err := ParseMessage(AppendMessage(nil, &want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v: got %+v, %v, want %+v", want.Kind, got, err, want)
		}
	}
}

// The bytes are what other versions and languages rely on.
func TestWire_goldenBytes(t *testing.T) {
	yield := messages()[3]
	const want = "01" + "04" + "c10000000000000000000000000000d0" + "ac02" + "76616c7565"
	if got := hex.EncodeToString(AppendMessage(nil, &yield)); got != want {
		t.Errorf("yield is %s, want %s", got, want)
	}
	ack := messages()[8]
	if got := AppendMessage(nil, &ack)[1]; got != byte(Ack)|0x80 {
		t.Errorf("kind byte of a child's ack is %#x", got)
	}
}

// H-17: whatever arrives, it is an error or a message, never a panic.
func TestWire_refusesEveryTruncation(t *testing.T) {
	for _, msg := range messages() {
		msg.Payload = nil
		frame := AppendMessage(nil, &msg)
		for n := range frame {
			if _, err := ParseMessage(frame[:n]); err == nil {
				t.Errorf("%v cut to %d of %d bytes was accepted", msg.Kind, n, len(frame))
			}
		}
	}
	for _, frame := range [][]byte{{2, 1}, {1, 0}, {1, byte(numKinds)}, {1, 0xFF}} {
		if _, err := ParseMessage(frame); err == nil {
			t.Errorf("frame %x was accepted", frame)
		}
	}
}

func TestWire_yieldAllocatesNothing(t *testing.T) {
	msg := messages()[3]
	b := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := ParseMessage(AppendMessage(b, &msg)); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per message, want 0", n)
	}
}

func FuzzParseMessage(f *testing.F) {
	for _, msg := range messages() {
		f.Add(AppendMessage(nil, &msg))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		msg, err := ParseMessage(frame)
		if err != nil {
			return
		}
		again, err := ParseMessage(AppendMessage(nil, &msg))
		if err != nil || !bytes.Equal(again.Payload, msg.Payload) {
			t.Fatalf("%+v does not survive: %+v, %v", msg, again, err)
		}
	})
}
