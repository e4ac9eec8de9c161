package transport

import (
	"bytes"
	"testing"

	"github.com/tandem-actors/tandem/identity"
)

// framesOf collects what nextFrame yields.
func framesOf(frames []byte) [][]byte {
	var all [][]byte
	for frame := []byte(nil); len(frames) > 0; {
		frame, frames = nextFrame(frames)
		all = append(all, frame)
	}
	return all
}

func TestBatch_roundTrip(t *testing.T) {
	sender := identity.New()
	want := [][]byte{[]byte("one"), {}, bytes.Repeat([]byte("x"), 300)}
	data := appendBatch(nil, sender)
	for _, frame := range want {
		data = appendFrame(data, frame)
	}
	got, frames, err := parseBatch(data)
	if err != nil || got != sender {
		t.Fatalf("parseBatch() = %v, %v, want sender %v", got, err, sender)
	}
	for i, frame := range framesOf(frames) {
		if !bytes.Equal(frame, want[i]) || cap(frame) != len(frame) {
			t.Errorf("frame %d is %q with capacity %d, want %q", i, frame, cap(frame), want[i])
		}
	}
}

func FuzzParseBatch(f *testing.F) {
	good := appendFrame(appendBatch(nil, identity.UUID{7}), []byte("frame"))
	f.Add([]byte{})
	f.Add(good)
	f.Add(good[:batchHeader])
	f.Add(good[:len(good)-1])
	f.Add(append(bytes.Clone(good[:batchHeader]), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01))
	f.Add(append(bytes.Clone(good[:batchHeader]), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f))
	f.Fuzz(func(t *testing.T, data []byte) {
		sender, frames, err := parseBatch(data)
		if err != nil {
			return
		}
		all := framesOf(frames)
		if len(all) == 0 {
			t.Fatal("a batch without frames")
		}
		again := appendBatch(nil, sender)
		for _, frame := range all {
			again = appendFrame(again, frame)
		}
		sender2, frames2, err := parseBatch(again)
		if err != nil || sender2 != sender {
			t.Fatalf("parseBatch() of what was written = %v, %v", sender2, err)
		}
		for i, frame := range framesOf(frames2) {
			if !bytes.Equal(frame, all[i]) {
				t.Errorf("frame %d is %x, was %x", i, frame, all[i])
			}
		}
	})
}
