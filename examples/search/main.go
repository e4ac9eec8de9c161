// Search is grep -rnF on a cluster: it walks a tree and spreads the files over
// every searcher that it finds. It prints the lines that grep prints in the C
// locale, in any order.
//
//	go run ./examples/search [flags] PATTERN [DIR]
//
// It joins the cluster that --cluster or TANDEM_CLUSTER names, whose nodes have
// to see the same files. Without either it starts one in this process. Like
// grep it exits with 0 if there was a match, 1 if not and 2 if anything could
// not be searched. Ctrl-C, or a reader that closes the output, cancels the work
// everywhere.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"go.opentelemetry.io/otel"

	"github.com/tandem-actors/tandem/internal/otelsetup"
)

// Exit statuses. That of a search which a signal ended is what shells use:
// exitSignal and its number, SIGPIPE included.
const (
	exitMatch   = 0
	exitNoMatch = 1
	exitError   = 2
	exitSignal  = 128
)

// A signaled is the cause of a context that a signal canceled.
type signaled struct{ signal syscall.Signal }

// Error names the signal.
func (s signaled) Error() string { return "got signal " + s.signal.String() }

// Is makes a signaled match [context.Canceled], which it is a case of.
func (s signaled) Is(target error) bool { return target == context.Canceled }

func main() { os.Exit(run()) }

// run ties the search to signals. A second signal ends the program at once.
func run() int {
	signal.Ignore(syscall.SIGPIPE) // A closed output is an error of Write: there is work to cancel.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancelCause(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	wg.Go(func() { // Ends with the first signal, or with run.
		select {
		case sig := <-signals:
			signal.Reset(os.Interrupt, syscall.SIGTERM)
			cancel(signaled{sig.(syscall.Signal)})
		case <-ctx.Done():
		}
	})
	code := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if s, ok := errors.AsType[signaled](context.Cause(ctx)); ok && code == exitError {
		return exitSignal + int(s.signal)
	}
	return code
}

// command is the whole program, but for signals, and returns its exit status.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, err := parse(args, os.Getenv, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return exitMatch
	}
	if err != nil {
		fmt.Fprintln(stderr, "search:", err)
		return exitError
	}
	out := newOutput(stdout, stderr, opts.max)
	shutdown, err := otelsetup.Start(ctx, "search", slog.New(slog.NewTextHandler(out.notes, nil)))
	if err == nil {
		err = traced(ctx, opts, out)
	}
	shutdown(ctx)
	if e := out.close(); err == nil {
		err = e
	}
	switch {
	case errors.Is(err, errClosed):
		return exitSignal + int(syscall.SIGPIPE) // Whoever closed it knows.
	case err != nil:
		fmt.Fprintln(stderr, "search:", err)
		return exitError
	case out.failed:
		return exitError
	case out.matched:
		return exitMatch
	default:
		return exitNoMatch
	}
}

// traced gathers searchers and searches, all in one trace.
func traced(ctx context.Context, opts options, out *output) error {
	ctx, span := otel.Tracer("examples/search").Start(ctx, "search")
	defer span.End()
	c, err := gather(ctx, opts)
	if err != nil {
		return err
	}
	defer c.close()
	return newJob(c, opts, out).run(ctx)
}
