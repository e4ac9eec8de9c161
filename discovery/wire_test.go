package discovery

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tandem-actors/tandem/identity"
)

func samples() []*message {
	a := newAuthor(1)
	a.write(op{Actor: testUUID('a', 1), Name: "bob", Endpoints: []string{"greet"}, Registered: 7})
	a.write(op{Actor: testUUID('a', 1), Gone: &Why{"over", "alice"}})
	h, id := a.log.mark(a.head), a.head.Node
	ob := []obit{{Node: id, Inc: math.MaxUint64, Reason: "left", By: "r", At: 1}}
	return []*message{
		{Kind: kindUpdate, Update: &a.deltas[0]},
		{Kind: kindUpdate, Update: &a.deltas[1]},
		{Kind: kindUpdate, From: "r", Update: &a.copies[1][0]},
		{Kind: kindLeave, Update: &update{Head: h}},
		{Kind: kindAck, Update: &update{Head: h}},
		{Kind: kindProbe, Node: id.UUID, Actor: testUUID('a', 1)},
		{Kind: kindAlive, Has: true, Update: &update{Head: h}},
		{Kind: kindPull, Node: id.UUID},
		{Kind: kindObit, Obits: ob},
		{Kind: kindState, Heads: []vouch{{h, time.Second}}, Obits: ob},
		{Kind: kindEvidence, Node: id.UUID, Why: Why{Reason: "reset"}},
		{Kind: kindQuery, Name: "bob"},
		{Kind: kindAnswer, Found: []found{{identity.ActorID{Name: "bob", UUID: testUUID('a', 1), Node: id}, 7}}},
		{Kind: kindName, Name: "bob"},
	}
}

func TestDecode_refusesWhatNobodyMaySend(t *testing.T) {
	bad := map[string]func(m *message){
		"unknown kind":    func(m *message) { m.Kind = 99 },
		"without":         func(m *message) { m.Update = nil },
		"has no uuid":     func(m *message) { m.Update.Head.Node.UUID = identity.UUID{} },
		"is empty":        func(m *message) { m.Update.Ops[0].Name = "" },
		"U+0007":          func(m *message) { m.Update.Ops[0].Endpoints = []string{"a\ab"} },
		"after 0":         func(m *message) { m.Update.Ops[0].Seq = 0 },
		"in a log of":     func(m *message) { m.Update.Ops[0].Seq = 3 },
		"follows 1":       func(m *message) { m.Update.Head.Seq = 9; m.Update.Ops = append(m.Update.Ops, op{Seq: 3}) },
		"part 2 of 2":     func(m *message) { m.Update.Part, m.Update.Parts = 2, 2 },
		"that is gone":    func(m *message) { m.Update.Parts = 1; m.Update.Ops[0].Gone = &Why{} },
		"reason is too":   func(m *message) { m.Update.Ops[0].Gone = &Why{Reason: strings.Repeat("x", maxWhy+1)} },
		"1025 endpoints":  func(m *message) { m.Update.Ops[0].Endpoints = make([]string, maxEndpoints+1) },
		"name \"\" is em": func(m *message) { m.Kind = kindQuery },
	}
	for want, spoil := range bad {
		m := samples()[0]
		m.Update = &update{m.Update.Head, []op{m.Update.Ops[0]}, 0, 0}
		spoil(m)
		if _, err := decode(m.encode()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("decode = %v, want %q", err, want)
		}
	}
	if _, err := decode(make([]byte, maxMessage+1)); err == nil {
		t.Error("a message over the limit was read")
	}
	m := samples()[0].encode()
	if _, err := decode(bytes.Replace(m, []byte{0, wireVersion}, []byte{0, wireVersion + 1}, 1)); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("decode of version 2 = %v, want a refusal", err)
	}
}

func TestClip_makesTextFit(t *testing.T) {
	for _, s := range []string{"short", strings.Repeat("ü", maxWhy), "bad\xff", strings.Repeat("\xff", 2*maxWhy)} {
		got := clip(s)
		m := &message{Kind: kindEvidence, Node: testUUID('n', 1), Why: Why{Reason: got}}
		if _, err := decode(m.encode()); err != nil {
			t.Errorf("clip(%.20q): %v", s, err)
		}
	}
}

func TestOp_undoesEntry(t *testing.T) {
	e := Entry{identity.ActorID{Name: "bob", UUID: testUUID('a', 1), Node: nodeID(1)}, []string{"greet"}, 7, time.Unix(1, 5).UTC()}
	if got := e.op().entry(nodeID(1)); got.Actor != e.Actor || got.Seq != e.Seq || !got.Registered.Equal(e.Registered) {
		t.Errorf("there and back: %+v, want %+v", got, e)
	}
}

// FuzzDecode checks that what decode accepts means the same when it is sent on,
// and can be merged.
func FuzzDecode(f *testing.F) {
	for _, m := range samples() {
		f.Add(m.encode())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decode(data)
		if err != nil {
			return
		}
		again, err := decode(m.encode())
		if err != nil {
			t.Fatalf("sent on: %v", err)
		}
		if !bytes.Equal(again.encode(), m.encode()) {
			t.Fatalf("sent on: %+v, want %+v", again, m)
		}
		r := newRegistry(time.Second)
		if m.Update != nil {
			r.merge(epoch, *m.Update, true)
		}
		for _, v := range m.Heads {
			r.observe(epoch, v.Head, false)
		}
		for _, ob := range m.Obits {
			r.bury(epoch, ob)
		}
	})
}
