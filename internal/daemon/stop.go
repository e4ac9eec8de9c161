package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// lastChance is how long the parts have to end when the grace is over.
const lastChance = 250 * time.Millisecond

// A part ends in order as long as ctx allows it, then at once; it should.
type part struct {
	name  string
	close func(ctx context.Context) error
}

// parts returns what has started, the last one first.
func (r *registrar) parts() (parts []part) {
	if r.http != nil {
		parts = append(parts, part{"http", r.http.Close})
	} else if r.listener != nil {
		parts = append(parts, part{"http", func(context.Context) error { return r.listener.Close() }})
	}
	if r.discovery != nil {
		parts = append(parts, part{"discovery", r.discovery.Close})
	}
	if r.bus != nil {
		parts = append(parts, part{"nats connection", func(context.Context) error { return r.bus.Close() }})
	}
	if r.broker != nil {
		parts = append(parts, part{"nats server", func(context.Context) error { return r.broker.Close() }})
	}
	return parts
}

// stop ends parts, one after the other. The grace is over after that time, or
// with abort. What has not ended soon after that is left behind, and the error
// names it: the process is about to end.
func stop(parts []part, grace time.Duration, abort <-chan struct{}) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), grace, fmt.Errorf("the grace of %v is over", grace))
	defer cancel()
	late := time.NewTimer(grace + lastChance)
	defer late.Stop()
	ended := make(chan error, len(parts)) // Room for all: nobody hears of those that are late.
	var wg sync.WaitGroup                 // Nobody waits for them, either.
	wg.Go(func() {
		for _, p := range parts {
			ended <- p.end(ctx)
		}
	})
	var errs []error
	for len(errs) < len(parts) {
		select {
		case err := <-ended:
			errs = append(errs, err)
		case <-abort:
			abort = nil
			cancel()
			late.Reset(lastChance)
		case <-late.C:
			return errors.Join(append(errs, fmt.Errorf("%s did not end: %w", names(parts[len(errs):]), context.Cause(ctx)))...)
		}
	}
	return errors.Join(errs...)
}

// end gives p half of the time that is left: others follow.
func (p part) end(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok {
		half := time.Until(deadline) / 2
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, half, fmt.Errorf("it did not end within %v", half.Round(time.Millisecond)))
		defer cancel()
	}
	return p.close(ctx)
}

func names(parts []part) string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return strings.Join(names, ", ")
}
