package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/tandem-actors/tandem/internal/cli"
)

const (
	maxLines  = 1024                   // that wait for a reader
	lastLines = 500 * time.Millisecond // for them to be read at the end
)

// lines prints one line per event. It is safe for concurrent use and never
// waits: a terminal that is stopped with Ctrl-S must not stop a cluster. Of
// more than 1024 lines that nobody reads, the new ones are counted and lost.
type lines struct {
	queue chan string   // Never closed: who is late is not heard.
	done  chan struct{} // Closed by close.
	wg    sync.WaitGroup

	mu   sync.Mutex // Guards lost, and the order of what is queued.
	lost int
}

// newLines returns lines that are written to w, until close.
func newLines(w io.Writer) *lines {
	o := &lines{queue: make(chan string, maxLines), done: make(chan struct{})}
	o.wg.Go(func() { o.print(w) })
	return o
}

// say prints a line. What a terminal would obey is replaced.
func (o *lines) say(who, what string) {
	who, what = strings.Map(cli.Printable, who), strings.Map(cli.Printable, what)
	o.write(fmt.Sprintf("%s  %-9s  %s\n", time.Now().Format("15:04:05.000"), who, what))
}

// write prints text as it is.
func (o *lines) write(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost > 0 {
		text = fmt.Sprintf("(%d lines lost: nobody read them)\n", o.lost) + text
	}
	select {
	case o.queue <- text:
		o.lost = 0
	default:
		o.lost++
	}
}

// print writes what is queued. What cannot be written is lost.
func (o *lines) print(w io.Writer) {
	for {
		select {
		case text := <-o.queue:
			_, _ = io.WriteString(w, text)
		case <-o.done:
			for len(o.queue) > 0 { // Nobody else takes from it.
				_, _ = io.WriteString(w, <-o.queue)
			}
			return
		}
	}
}

// close returns when all is written, or, if nobody reads, after half a second:
// then the process ends with its writer.
func (o *lines) close() {
	close(o.done)
	written := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { o.wg.Wait(); close(written) })
	late := time.NewTimer(lastLines)
	defer late.Stop()
	select {
	case <-written:
	case <-late.C:
	}
}
