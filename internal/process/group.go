package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"time"
)

// ErrClosed is returned by Start on a closed Group.
var ErrClosed = errors.New("process: group closed")

// A Command says what to run.
type Command struct {
	// Path is the program, as os/exec takes it; Args come after its name.
	Path string
	Args []string
	// Env is added to the environment of this process; later entries win.
	Env []string
	// Dir is where it runs; if empty, where this process does.
	Dir string
	// Stdout and Stderr get the output of the child, one whole line with its
	// newline per Write, and never two at once. A line longer than [MaxLine]
	// is broken. If nil, the output is thrown away. A Write must not block: a
	// child is not reaped before its output has been taken.
	Stdout, Stderr io.Writer
	// StopGrace is how long Stop waits after SIGTERM before it kills the
	// group. If zero, it is 3 seconds; if negative, Stop kills at once.
	StopGrace time.Duration
}

// A Group is a set of child processes that live no longer than it. Its zero
// value is not usable, see [NewGroup]. It is safe for concurrent use.
type Group struct {
	spawns chan func() // Unbuffered: Start waits for the spawner.
	done   chan struct{}
	wg     sync.WaitGroup // the spawner and one reaper per child

	mu       sync.Mutex // guards what follows
	closed   bool
	children []*Child // those that run
}

// NewGroup returns an empty Group, to be closed.
func NewGroup() *Group {
	g := &Group{spawns: make(chan func()), done: make(chan struct{})}
	g.wg.Go(g.spawn) // Ends when Close closes done.
	return g
}

// spawn starts all children, on one thread that lives until they are gone: the
// kernel takes the death of the thread that started a child for the parent's.
func (g *Group) spawn() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		select {
		case f := <-g.spawns:
			f()
		case <-g.done:
			return
		}
	}
}

// Start starts a child. It returns when the program runs, not when it is
// ready, see [Child.Ready]. ctx bounds Start only.
func (g *Group) Start(ctx context.Context, c Command) (*Child, error) {
	child := newChild(c)
	result := make(chan error, 1)
	select {
	case g.spawns <- func() { result <- g.start(child) }:
	case <-g.done:
		return nil, fmt.Errorf("start %s: %w", c.Path, ErrClosed)
	case <-ctx.Done():
		return nil, fmt.Errorf("start %s: %w", c.Path, context.Cause(ctx))
	}
	if err := <-result; err != nil { // Bounded by fork and exec.
		return nil, fmt.Errorf("start %s: %w", c.Path, err)
	}
	return child, nil
}

// start runs on the spawner.
func (g *Group) start(c *Child) error {
	g.mu.Lock() // Held, so that Close sees every child.
	defer g.mu.Unlock()
	if g.closed {
		return ErrClosed
	}
	ready, w, err := os.Pipe()
	if err != nil {
		return err
	}
	c.cmd.ExtraFiles = []*os.File{w}            // Descriptor 3 of the child.
	if _, err = c.cmd.StdinPipe(); err == nil { // The lifeline; Wait closes it.
		err = c.cmd.Start()
	}
	_ = w.Close()
	if err != nil {
		_ = ready.Close()
		return err
	}
	g.children = append(g.children, c)
	g.wg.Go(func() { c.listen(ready) }) // Ends after the reaper at the latest.
	g.wg.Go(func() {                    // Ends when the child does, which Close sees to.
		c.reap(ready)
		g.mu.Lock()
		defer g.mu.Unlock()
		g.children = slices.DeleteFunc(g.children, func(o *Child) bool { return o == c })
	})
	return nil
}

// Close stops all children side by side, as [Child.Stop] does, and waits until
// they are reaped. If ctx ends first, those left are killed at once. It may
// be called twice; then both wait.
func (g *Group) Close(ctx context.Context) error {
	g.mu.Lock()
	first := !g.closed
	g.closed = true
	children := slices.Clone(g.children)
	g.mu.Unlock()
	var wg sync.WaitGroup
	errs := make([]error, len(children))
	for i, c := range children {
		wg.Go(func() { errs[i] = c.Stop(ctx) })
	}
	wg.Wait()
	err := errors.Join(errs...)
	if first {
		close(g.done)
	}
	if err == nil { // Else a child is left that cannot be killed: do not hang for it.
		g.wg.Wait()
	}
	return err
}

// newCommand fills in what does not depend on the Group.
func newCommand(c Command) *exec.Cmd {
	cmd := exec.Command(c.Path, c.Args...)
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.Dir = c.Dir
	cmd.WaitDelay = waitDelay
	cmd.SysProcAttr = attributes()
	return cmd
}
