package cli

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// A signaled is the cause of a context that a signal canceled.
type signaled struct {
	signal os.Signal
	code   Code
}

// Error names the signal.
func (s *signaled) Error() string { return "got signal " + s.signal.String() }

// Is makes a signaled match [context.Canceled], which it is a case of.
func (s *signaled) Is(target error) bool { return target == context.Canceled }

// abortKey is the key of the channel that [Abort] returns.
type abortKey struct{}

// Abort returns a channel that is closed when a second signal asks to skip the
// orderly part of a stop. It is nil in a context that did not come from [Main].
func Abort(ctx context.Context) <-chan struct{} {
	abort, _ := ctx.Value(abortKey{}).(chan struct{})
	return abort
}

// codesOf are the signals that ask us to stop, and what we exit with if work is
// cut short.
var codesOf = map[os.Signal]Code{
	os.Interrupt:    Interrupted,
	syscall.SIGTERM: Terminated,
	syscall.SIGHUP:  Hungup,
}

// withSignals returns a context that the first of those signals cancels. The
// second closes [Abort], the third exits at once. stop ends that; the signals
// then act as they do by default. Who runs us under nohup does not want SIGHUP
// to stop us: it stays ignored.
func withSignals(parent context.Context, exit func(int)) (ctx context.Context, stop func()) {
	signals := make(chan os.Signal, 3) // As many as mean something; more are dropped.
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	abort := make(chan struct{})
	ctx, cancel := context.WithCancelCause(context.WithValue(parent, abortKey{}, abort))
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 1; ; n++ {
			select {
			case <-done:
				return
			case sig := <-signals:
				switch n {
				case 1:
					cancel(&signaled{sig, codesOf[sig]})
				case 2:
					close(abort)
				default:
					exit(int(codesOf[sig]))
				}
			}
		}
	})
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		wg.Wait()
		cancel(context.Canceled)
	}
}
