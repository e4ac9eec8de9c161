package main

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
)

// A terminal shows what is written to it, but not before it is let go on.
type terminal struct {
	text strings.Builder
	goOn chan struct{}
}

func (w *terminal) Write(p []byte) (int, error) {
	<-w.goOn
	return w.text.Write(p)
}

func TestLines_neverWaitForTheTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &terminal{goOn: make(chan struct{})}
		o := newLines(w)
		o.write("first\n")
		synctest.Wait() // It is being written.
		for i := range maxLines + 10 {
			o.write(strconv.Itoa(i) + "\n")
		}
		close(w.goOn)
		synctest.Wait()
		o.write("last\n")
		o.close()
		if got, want := w.text.String(), "1022\n1023\n(10 lines lost: nobody read them)\nlast\n"; !strings.HasPrefix(got, "first\n0\n1\n") || !strings.HasSuffix(got, want) {
			t.Errorf("printed %q", got)
		}
	})
}

func TestLines_closeLeavesAStoppedTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &terminal{goOn: make(chan struct{})}
		defer close(w.goOn)
		o := newLines(w)
		o.say("node-1", "ended")
		o.close()
	})
}

func TestLines_passOnNothingThatATerminalObeys(t *testing.T) {
	w := &terminal{goOn: make(chan struct{})}
	close(w.goOn)
	o := newLines(w)
	o.say("node-1\x1b[2J", "two\nlines\x07")
	child := &childLog{name: "node-1", out: o}
	for _, line := range []string{
		"not JSON \x1b]0;title\x07\n",
		`{"level":"INFO","msg":"context canceled","canceller":"\u001b[31meve","reason":"\u001b[2J"}` + "\n",
	} {
		if _, err := child.Write([]byte(line)); err != nil {
			t.Error(err)
		}
	}
	o.close()
	if got := w.text.String(); strings.ContainsAny(got, "\x1b\x07") || strings.Count(got, "\n") != 3 {
		t.Errorf("printed %q", got)
	}
}
