// Search is grep -rnF on a cluster: it walks a tree and spreads the files over
// every searcher that it finds.
//
//	go run ./examples/search [flags] PATTERN [DIR]
//
// It joins the cluster that --cluster or TANDEM_CLUSTER names, whose nodes have
// to see the same files. Without either it starts one in this process. Like
// grep it exits with 0 if there was a match, 1 if not and 2 if anything could
// not be searched. Ctrl-C cancels the work everywhere.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"go.opentelemetry.io/otel"

	"github.com/tandem-actors/tandem/internal/otelsetup"
)

// Exit statuses; those of signals are what shells use.
const (
	exitMatch      = 0
	exitNoMatch    = 1
	exitError      = 2
	exitInterrupt  = 128 + int(syscall.SIGINT)
	exitTerminated = 128 + int(syscall.SIGTERM)
)

func main() { os.Exit(run()) }

// run ties the search to signals. A second signal ends the program at once.
func run() int {
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, stopTerm := signal.NotifyContext(interrupted, syscall.SIGTERM)
	defer stopTerm()
	context.AfterFunc(ctx, func() { signal.Reset(os.Interrupt, syscall.SIGTERM) })

	code := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case ctx.Err() == nil || code != exitError:
		return code
	case interrupted.Err() != nil:
		return exitInterrupt
	default:
		return exitTerminated
	}
}

// command is the whole program, but for signals, and returns its exit status.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, err := parse(args, os.Getenv, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitMatch
	}
	if err != nil {
		fmt.Fprintln(stderr, "search:", err)
		return exitError
	}
	shutdown, err := otelsetup.Start(ctx, "search")
	if err != nil {
		fmt.Fprintln(stderr, "search:", err)
		return exitError
	}
	out := newOutput(stdout, stderr, opts.max)
	err = traced(ctx, opts, out)
	if e := out.close(); err == nil {
		err = e
	}
	if e := shutdown(ctx); e != nil {
		fmt.Fprintln(stderr, "search:", e) // The search itself is fine.
	}
	switch {
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
