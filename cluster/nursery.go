package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tandem-actors/tandem/fault"
)

// A Nursery owns tasks and actors: none of them outlives the call to
// [Node.Nursery] that made it. Its methods may be called by several goroutines
// at once, while the body or one of the tasks runs.
type Nursery struct {
	node  *Node
	ctx   context.Context // Of the nursery's scope, which is a function's extent.
	stop  context.CancelCauseFunc
	tasks sync.WaitGroup

	mu          sync.Mutex // Guards what follows.
	errs        []error
	interrupted bool // The end of the scope ended something early.
}

// Nursery runs body in a scope that owns what body starts, and returns when all
// of it has ended. The first failure, of body, of a task or by somebody else's
// cancel of an actor, cancels the rest. Nursery returns every failure, joined
// if there are several; what was canceled only because of another is none.
//
// Actors do not end by themselves: unless something fails, the scope lasts
// until each was canceled, through its [Portal] or with [Nursery.Cancel].
func (n *Node) Nursery(ctx context.Context, body func(ctx context.Context, nursery *Nursery) error) error {
	scope, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	nu := &Nursery{node: n, ctx: scope, stop: stop}
	returned := false
	defer func() {
		if !returned { // body panicked or exited: nothing may outlive it.
			nu.Cancel(ErrClosed)
			nu.tasks.Wait()
		}
	}()
	nu.fail(body(scope, nu))
	nu.tasks.Wait()
	returned = true
	if len(nu.errs) == 0 && nu.interrupted && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return join(nu.errs...)
}

// Go runs task on a goroutine of its own. Its ctx is done when the scope is
// canceled.
func (nu *Nursery) Go(task func(ctx context.Context) error) {
	nu.tasks.Go(func() { nu.fail(task(nu.ctx)) })
}

// Spawn is [Node.Spawn] for an actor that the nursery owns.
func (nu *Nursery) Spawn(ctx context.Context, name string, endpoints ...Endpoint) (*Portal, error) {
	a, err := nu.node.spawn(ctx, name, endpoints)
	if err != nil {
		return nil, fmt.Errorf("spawn %q: %w", name, err)
	}
	nu.tasks.Go(func() { nu.own(a) })
	return &Portal{nu.node, a.id}, nil
}

// own ends a with the scope, or the scope with a.
func (nu *Nursery) own(a *actor) {
	select {
	case <-a.ctx.Done():
	case <-nu.ctx.Done():
		nu.mu.Lock()
		nu.interrupted = true
		nu.mu.Unlock()
		nu.node.cancelActor(a, newCancel(nu.node.self(nu.ctx), nu.cause()), func() {})
	}
	if c, ok := a.canceledBy(); ok && !c.Canceller.Equal(nu.node.self(nu.ctx)) {
		nu.fail(c)
	}
	timer := time.NewTimer(nu.node.cfg.CancelGrace)
	defer timer.Stop()
	select {
	case <-a.ended:
	case <-timer.C:
		nu.fail(&TooSlow{Actor: a.id, Grace: nu.node.cfg.CancelGrace.String()})
	}
}

// Cancel ends everything in the scope because of cause, which may be nil. It
// does not wait. The cancel is absorbed: it does not make Nursery fail.
func (nu *Nursery) Cancel(cause error) {
	if cause == nil {
		cause = errRequested
	}
	nu.stop(cause)
}

var errRequested = errors.New("nursery canceled")

// fail records err and cancels the rest, unless err is only the echo of a
// cancel that is under way.
func (nu *Nursery) fail(err error) {
	if err == nil {
		return
	}
	err = fault.Sane(err)
	echo := nu.ctx.Err() != nil && fault.IsCancellation(err, context.Cause(nu.ctx))
	nu.mu.Lock()
	if echo {
		nu.interrupted = true
	} else {
		nu.errs = append(nu.errs, err)
	}
	nu.mu.Unlock()
	if !echo {
		nu.stop(err)
	}
}

// cause returns why the scope ends, nil for a plain request.
func (nu *Nursery) cause() error {
	if cause := context.Cause(nu.ctx); cause != errRequested { //nolint:errorlint // This very value.
		return cause
	}
	return nil
}
