//go:build unix

package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// kill sends sig to this process.
func kill(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(syscall.Getpid(), sig); err != nil {
		t.Fatal(err)
	}
}

func await[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s did not happen", what)
	}
	return v
}

func TestSignals_askThenAbortThenExit(t *testing.T) {
	exited := make(chan int, 1)
	ctx, stop := withSignals(t.Context(), func(code int) { exited <- code })
	defer stop()
	kill(t, syscall.SIGINT)
	await(t, "cancel", ctx.Done())
	if isClosed(Abort(ctx)) {
		t.Error("the first signal aborts")
	}
	kill(t, syscall.SIGINT)
	await(t, "abort", Abort(ctx))
	kill(t, syscall.SIGTERM)
	if code := await(t, "exit", exited); code != 143 {
		t.Errorf("exits %d, want 143", code)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestSignals_quietExitCode(t *testing.T) {
	for sig, want := range map[syscall.Signal]Code{syscall.SIGINT: Interrupted, syscall.SIGTERM: Terminated, syscall.SIGHUP: Hungup} {
		ctx, stop := withSignals(t.Context(), func(int) {})
		root := &cobra.Command{Use: "tool", RunE: func(cmd *cobra.Command, _ []string) error {
			kill(t, sig)
			<-cmd.Context().Done()
			return errors.Join(errors.New("read"), cmd.Context().Err())
		}}
		var stdout, stderr bytes.Buffer
		if code := Run(ctx, root, nil, &stdout, &stderr); code != want || stderr.Len() > 0 {
			t.Errorf("%v: exits %d and prints %q, want %d and nothing", sig, code, stderr.String(), want)
		}
		stop()
		if context.Cause(ctx).Error() != "got signal "+sig.String() {
			t.Errorf("cause is %v", context.Cause(ctx))
		}
	}
}

// nohup lets us live on when the terminal is gone.
func TestSignals_ignoredHangupStaysIgnored(t *testing.T) {
	signal.Ignore(syscall.SIGHUP)
	defer func() { // Only Notify ends an Ignore.
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGHUP)
		signal.Stop(c)
	}()
	ctx, stop := withSignals(t.Context(), func(int) {})
	defer stop()
	kill(t, syscall.SIGHUP)
	kill(t, syscall.SIGTERM)
	await(t, "cancel", ctx.Done())
	if got := context.Cause(ctx).Error(); got != "got signal terminated" {
		t.Errorf("cause is %s", got)
	}
}
