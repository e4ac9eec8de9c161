package process

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

const (
	stopGrace = 3 * time.Second // for the children that do not say
	killWait  = 5 * time.Second // for the kernel to end a killed group
	waitDelay = time.Second     // for output that a descendant holds open
	maxReady  = 64 << 10        // bytes of a ready line
)

// A Child is a process that was started. It is safe for concurrent use.
type Child struct {
	cmd   *exec.Cmd
	grace time.Duration
	lines []*lineWriter
	done  chan struct{} // closed when it is reaped
	err   error         // set before done is closed

	spoke    chan struct{} // closed when line and speakErr are set
	line     json.RawMessage
	speakErr error

	mu     sync.Mutex // guards what follows
	reaped bool       // its pid may belong to somebody else now
}

func newChild(c Command) *Child {
	child := &Child{cmd: newCommand(c), grace: c.StopGrace, done: make(chan struct{}), spoke: make(chan struct{})}
	if child.grace == 0 {
		child.grace = stopGrace
	}
	var mu sync.Mutex // Shared: both may lead to one writer.
	pipe := func(to io.Writer) io.Writer {
		if to == nil {
			return nil
		}
		l := &lineWriter{mu: &mu, to: to}
		child.lines = append(child.lines, l)
		return l
	}
	child.cmd.Stdout, child.cmd.Stderr = pipe(c.Stdout), pipe(c.Stderr)
	return child
}

// PID returns the id of the process and of its group.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Done is closed when the process has ended and is reaped.
func (c *Child) Done() <-chan struct{} { return c.done }

// Err returns how the process ended: nil for exit status 0, or while it runs.
func (c *Child) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// Ready blocks until the child has said that it is ready, by [SayReady], and
// returns the JSON value that it said. It fails when the child closes
// descriptor 3 or ends without a word, and when ctx ends. It may be called
// again and by many at once.
func (c *Child) Ready(ctx context.Context) (json.RawMessage, error) {
	select {
	case <-c.spoke:
	default:
		select {
		case <-c.spoke:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for ready line: %w", context.Cause(ctx))
		}
	}
	if c.speakErr != nil {
		return nil, fmt.Errorf("wait for ready line: %w", c.speakErr)
	}
	return c.line, nil
}

// listen reads the ready line. It ends when the child closes its descriptor or
// a moment after the child ended, see reap.
func (c *Child) listen(ready *os.File) {
	defer close(c.spoke)
	defer ready.Close()
	line, err := bufio.NewReader(io.LimitReader(ready, maxReady)).ReadBytes('\n')
	switch {
	case len(line) == maxReady:
		c.speakErr = fmt.Errorf("longer than %d bytes", maxReady)
	case errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded):
		c.speakErr = errors.New("the child ended or closed descriptor 3 without one")
	case err != nil:
		c.speakErr = err
	case !json.Valid(line):
		c.speakErr = fmt.Errorf("%.64q is not JSON", line)
	default:
		c.line = bytes.TrimSpace(line)
	}
}

// Stop ends the child: SIGTERM to its group, then, when the grace is over or
// ctx ends, SIGKILL. It returns when the child is reaped, with nil however it
// ended, or with an error if the kernel does not end it within 5 seconds.
// Stopping an ended child is nil.
func (c *Child) Stop(ctx context.Context) error {
	if c.grace > 0 && ctx.Err() == nil {
		c.signal(terminate)
		timer := time.NewTimer(c.grace)
		defer timer.Stop()
		select {
		case <-c.done:
			return nil
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	c.signal(kill)
	timer := time.NewTimer(killWait)
	defer timer.Stop()
	select {
	case <-c.done:
		return nil
	case <-timer.C:
		return fmt.Errorf("stop process %d: still there %v after SIGKILL", c.PID(), killWait)
	}
}

// signal sends to the group, unless the child is reaped.
func (c *Child) signal(send func(*os.Process)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.reaped {
		send(c.cmd.Process)
	}
}

// reap waits for the end of the child, kills what is left of its group while
// the dead child still holds the group's id, and collects it.
func (c *Child) reap(ready *os.File) {
	if awaitExit(c.PID()) {
		c.mu.Lock()
		kill(c.cmd.Process)
		c.reaped = true
		c.mu.Unlock()
	}
	err := c.cmd.Wait()
	c.mu.Lock()
	c.reaped = true
	c.mu.Unlock()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // It ended well; somebody else held its output open.
	}
	_ = ready.SetReadDeadline(time.Now().Add(waitDelay)) // Somebody may hold this open, too.
	for _, l := range c.lines {
		l.flush()
	}
	c.err = err
	close(c.done)
}
