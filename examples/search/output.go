package main

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
)

// flushAt is how many bytes are gathered for one write.
const flushAt = 32 << 10

// errEnough ends a search that printed as many lines as were asked for. The
// searchers get it as the cause of their cancel.
var errEnough = errors.New("enough matches")

// errClosed ends a search whose output nobody reads any more, as behind
// `| head`. It is a cause, too.
var errClosed = errors.New("output closed")

// An output prints for all feeders, line by line: lines never mix.
type output struct {
	lines io.Writer
	notes io.Writer
	bar   *bar
	max   int // lines; 0: all

	mu      sync.Mutex // Guards what follows, and writing.
	buf     []byte     // whole lines; written when it reaches flushAt
	printed int
	matched bool
	failed  bool  // something could not be searched
	err     error // why there is no more output
}

// newOutput returns an output to be closed. If stderr is a terminal, a bar
// shows the progress there.
func newOutput(stdout, stderr io.Writer, limit int) *output {
	o := &output{lines: stdout, notes: stderr, max: limit}
	if isTerminal(stderr) {
		o.bar = newBar(stderr)
		o.notes = o.bar
		if isTerminal(stdout) { // Both on one screen: print above the bar.
			o.lines = o.bar
		}
	}
	return o
}

// close prints what is left and returns why the output ended, unless that was
// as it should be.
func (o *output) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.write()
	o.bar.close()
	if errors.Is(o.err, errEnough) {
		return nil
	}
	return o.err
}

// match prints a line that comes in two parts.
func (o *output) match(name string, head, tail []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return
	}
	o.matched = true
	o.buf = append(o.buf, name...)
	o.buf = append(o.buf, ':')
	o.buf = append(o.buf, head...)
	o.buf = append(o.buf, tail...)
	o.buf = append(o.buf, '\n')
	if o.printed++; o.printed == o.max {
		o.write()
		if o.err == nil {
			o.err = errEnough
		}
	} else if len(o.buf) >= flushAt {
		o.write()
	}
}

// flush prints what was gathered. It returns errEnough when as many lines were
// printed as were asked for, and the error of a write that went wrong.
func (o *output) flush() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.write()
	return o.err
}

// ended returns what flush returned last.
func (o *output) ended() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

func (o *output) write() {
	if len(o.buf) == 0 {
		return
	}
	_, err := o.lines.Write(o.buf)
	if errors.Is(err, syscall.EPIPE) {
		err = errClosed
	}
	if o.err == nil {
		o.err = err
	}
	o.buf = o.buf[:0]
}

// count returns how many lines were printed.
func (o *output) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.printed
}

// binary says, as grep does, that there is a match which cannot be shown.
func (o *output) binary(name string) {
	o.mu.Lock()
	o.matched = true
	o.mu.Unlock()
	o.say("%s: binary file matches", name)
}

// complain says what is wrong with a file.
func (o *output) complain(name, why string) {
	o.mu.Lock()
	o.failed = true
	o.mu.Unlock()
	o.say("%s: %s", name, why)
}

// say prints a note.
func (o *output) say(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fmt.Fprintf(o.notes, "search: "+format+"\n", args...)
}
