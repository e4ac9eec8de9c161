package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tandem-actors/tandem/discovery"
	"github.com/tandem-actors/tandem/identity"
	"github.com/tandem-actors/tandem/internal/cli"
	"github.com/tandem-actors/tandem/internal/daemon"
	"github.com/tandem-actors/tandem/internal/httpapi"
	"github.com/tandem-actors/tandem/transport"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"registrar": main, "member": member})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"signal": sendSignal,
			"ready":  awaitReady,
			"until":  until,
			"mode":   mode,
		},
	})
}

// member is a command: a node with one actor, until a signal. SIGINT lets it
// leave, anything else does not.
func member() {
	url, name, actor := os.Args[1], os.Args[2], os.Args[3]
	if err := runMember(url, name, actor); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runMember(url, name, actor string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	bus, err := transport.Dial(ctx, transport.DialConfig{URL: url})
	if err != nil {
		return err
	}
	defer bus.Close()
	node := identity.NodeID{Name: name, UUID: identity.New()}
	client, err := discovery.Join(ctx, discovery.ClientConfig{Bus: bus, Node: node})
	if err != nil {
		return err
	}
	id := identity.ActorID{Name: actor, UUID: identity.New(), Node: node}
	if err := client.Register(ctx, id, []string{"greet", "search"}); err != nil {
		return err
	}
	<-ctx.Done()
	closing, stop := context.WithTimeout(context.Background(), 5*time.Second)
	defer stop()
	return client.Close(closing)
}

// exits is `exits CODE COMMAND...`: it runs a command that must exit so.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if got := strconv.Itoa(run(ts, args[1:])); got != args[0] {
		ts.Fatalf("exits %s, want %s", got, args[0])
	}
}

// mode is `mode PERM FILE`: the file must have those permissions.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%#o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// until is `until PATTERN COMMAND...`: it runs a command again and again until
// a line of its standard output, or `exit CODE`, matches.
func until(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile("(?m)" + args[0])
	eventually(ts, args[0], func() error {
		code := run(ts, args[1:])
		if text := fmt.Sprintf("exit %d\n%s", code, ts.ReadFile("stdout")); !pattern.MatchString(text) {
			return errors.New(text)
		}
		return nil
	})
}

// run runs a command and returns its exit code.
func run(ts *testscript.TestScript, command []string) int {
	err := ts.Exec(command[0], command[1:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	ts.Check(err)
	return 0
}

// sendSignal is `signal NAME CODE COMMAND...`: it sends a command the signal
// when that has printed something, and wants it to exit so.
func sendSignal(ts *testscript.TestScript, _ bool, args []string) {
	sig := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}[args[0]]
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	path, err := exec.LookPath(args[2])
	ts.Check(err)
	cmd := exec.CommandContext(ctx, path, args[3:]...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	_, err = stdout.Read(make([]byte, 1))
	ts.Check(errors.Join(err, cmd.Process.Signal(sig)))
	_, _ = io.Copy(io.Discard, stdout)
	_ = cmd.Wait()
	if got := strconv.Itoa(cmd.ProcessState.ExitCode()); got != args[1] || stderr.Len() > 0 {
		ts.Fatalf("exits %s and prints %q, want %s and nothing", got, stderr.String(), args[1])
	}
}

// awaitReady is `ready FILE PREFIX`: it waits for a ready file and puts what it
// says into PREFIX_HTTP, PREFIX_NATS, PREFIX_GOSSIP and PREFIX_PID.
func awaitReady(ts *testscript.TestScript, _ bool, args []string) {
	var text []byte
	eventually(ts, args[0]+" exists", func() (err error) {
		text, err = os.ReadFile(ts.MkAbs(args[0]))
		return err
	})
	var r daemon.Ready
	ts.Check(json.Unmarshal(text, &r))
	ts.Setenv(args[1]+"_HTTP", r.HTTPURL)
	ts.Setenv(args[1]+"_NATS", r.NATSURL)
	ts.Setenv(args[1]+"_GOSSIP", r.GossipAddr)
	ts.Setenv(args[1]+"_PID", strconv.Itoa(r.PID))
}

// eventually tries until try succeeds, for a bounded time.
func eventually(ts *testscript.TestScript, what string, try func() error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(20 * time.Second)
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			ts.Fatalf("%s: %v", what, err)
		}
	}
}

// TestCommands_allCanPrintJSON walks the tree: what prints data has -o.
func TestCommands_allCanPrintJSON(t *testing.T) {
	for _, cmd := range root().Commands() {
		if cmd.Flags().Lookup("output") == nil {
			t.Errorf("%s has no -o", cmd.CommandPath())
		}
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s is described by %q", cmd.CommandPath(), cmd.Short)
		}
	}
}

func TestExplain_everyAnswerHasAHint(t *testing.T) {
	for status, want := range map[int]cli.Code{403: cli.Permission, 404: cli.NotFound, 422: cli.Usage, 503: cli.Degraded, 500: cli.Failed} {
		e, ok := errors.AsType[*cli.Error](explain(&httpapi.StatusError{Status: status, Detail: "no"}))
		if !ok || e.Code != want || e.Hint == "" {
			t.Errorf("%d: %+v, want exit %d with a hint", status, e, want)
		}
	}
}
