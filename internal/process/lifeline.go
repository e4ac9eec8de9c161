package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// ErrParentGone is the cause of a context that [Lifeline] canceled.
var ErrParentGone = errors.New("parent process is gone")

// Lifeline is for the child's side. It returns a context that is canceled
// with [ErrParentGone] when standard input ends, which it does when the parent
// is dead. What is read is thrown away, so nobody else may read standard
// input. stop ends the watch.
func Lifeline(ctx context.Context) (lifeline context.Context, stop context.CancelFunc) {
	return watch(ctx, stdin())
}

// watch reads in until its end or ctx's.
func watch(ctx context.Context, in *os.File) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { // Ends when in does, or a deadline does it to in.
		if _, err := io.Copy(io.Discard, in); !errors.Is(err, os.ErrDeadlineExceeded) {
			cancel(ErrParentGone)
		}
	})
	interrupt := func() bool { return in.SetReadDeadline(time.Unix(1, 0)) == nil }
	context.AfterFunc(ctx, func() { interrupt() })
	return ctx, func() {
		cancel(context.Canceled)
		if interrupt() { // Else the read lasts as long as the process.
			wg.Wait()
		}
	}
}

// SayReady is for the child's side. It tells the parent, once, that this
// process is ready, and v as JSON, and closes descriptor 3. It fails in a
// process that was started without that descriptor.
func SayReady(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("say ready: %w", err)
	}
	f := os.NewFile(3, "ready")
	if _, err := f.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("say ready: %w", err)
	}
	return f.Close()
}
