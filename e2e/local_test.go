//go:build unix

package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tandem-actors/tandem/builtin/echo"
	"github.com/tandem-actors/tandem/builtin/search"
	"github.com/tandem-actors/tandem/cluster"
	"github.com/tandem-actors/tandem/internal/otlpsink"
)

// join starts a node of the test's own in the cluster.
func (l *local) join(name string) *cluster.Node {
	l.t.Helper()
	n, err := cluster.Start(soon(l.t), cluster.Config{Name: name, Join: l.nats})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		if err := n.Close(); err != nil {
			l.t.Error(err)
		}
	})
	return n
}

// listed returns the names of the nodes with actors, as registrar list says.
func (l *local) listed() (nodes []string) {
	l.t.Helper()
	out, errOut, code := run(l.t, nil, "registrar", "list", "-o", "json", "--registrar", l.http)
	var list struct {
		Actors []struct {
			Actor struct{ Node struct{ Name string } }
		}
	}
	if err := json.Unmarshal([]byte(out), &list); code != 0 || err != nil {
		l.t.Fatalf("registrar list: exit %d, %v\n%s%s", code, err, out, errOut)
	}
	for _, a := range list.Actors {
		nodes = append(nodes, a.Actor.Node.Name)
	}
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// The main job: the search's output is that of grep, byte for byte.
func TestLocal_searchEqualsGrep(t *testing.T) {
	grep, err := exec.LookPath("grep")
	if err != nil {
		t.Skip("no grep on this machine to compare with")
	}
	const pattern = "func main()"
	root := filepath.Join(runtime.GOROOT(), "src") //nolint:staticcheck // The tree that the test runs with.
	l := startLocal(t)
	got, errOut, code := run(t, nil, "search", "--cluster", l.nats, "--include", "*.go", pattern, root)
	if code != 0 || errOut != "" {
		t.Fatalf("search: exit %d\n%s", code, errOut)
	}
	cmd := exec.CommandContext(soon(t), grep, "-rnF", "--include=*.go", pattern, root)
	cmd.Env = append(cmd.Environ(), "LC_ALL=C")
	want, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if g, w := sorted(got), sorted(string(want)); g != w {
		t.Errorf("search printed %d bytes, grep %d, and they differ", len(g), len(w))
	}
}

func sorted(text string) string {
	lines := strings.SplitAfter(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// One match is enough: the other searchers are canceled, and their spans name
// the canceller, in the trace of the search.
func TestLocal_searchCancelsTheOthers(t *testing.T) {
	sink, err := otlpsink.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	l := startLocal(t, sink.Env()...)
	root := filepath.Join(runtime.GOROOT(), "src") //nolint:staticcheck // As above.
	out, errOut, code := run(t, sink.Env(), "search", "--cluster", l.nats, "--max", "1", "func", root)
	if code != 0 || strings.Count(out, "\n") != 1 {
		t.Fatalf("search --max 1: exit %d, %q\n%s", code, out, errOut)
	}
	canceled := func(spans []otlpsink.Span) (runs []otlpsink.Span) {
		for _, s := range spans {
			if s.Name == "run searcher/search" && s.Attributes["tandem.task.outcome"] == "canceled" {
				runs = append(runs, s)
			}
		}
		return runs
	}
	spans, err := sink.WaitFor(soon(t), func(spans []otlpsink.Span) bool { return len(canceled(spans)) >= 2 })
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range canceled(spans) {
		if s.Attributes["tandem.cancel.canceller"] != "search" || s.Attributes["tandem.cancel.reason"] != "enough matches" || s.Attributes["tandem.cancel.id"] == "" {
			t.Errorf("span of %v: %v", s.Resource["service.name"], s.Attributes)
		}
	}
	l.prints(2, `context canceled  searcher/search  by search: enough matches$`)
}

// A node is killed: its actors are gone from the registry, a context into it
// ends with LinkLost, and the others do not notice.
func TestLocal_killedNode(t *testing.T) {
	l := startLocal(t)
	n := l.join("observer")
	searchers, err := n.FindAll(soon(t), search.Name)
	if err != nil || len(searchers) != 3 {
		t.Fatalf("found %v, %v, want 3 searchers", searchers, err)
	}
	victim := searchers[slices.IndexFunc(searchers, func(p *cluster.Portal) bool { return p.ID().Node.Name == "node-3" })]
	query := search.Query{Pattern: []byte("x"), Root: []byte(t.TempDir())}
	killed := time.Now()
	_, err = search.Task.Open(soon(t), victim, query,
		func(ctx context.Context, _ *cluster.Parent[search.Down, search.Up, search.Summary], _ cluster.None) error {
			killed = time.Now()
			if err := syscall.Kill(l.pids[3], syscall.SIGKILL); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		})
	if lost, ok := errors.AsType[*cluster.LinkLost](err); !ok || lost.Peer.Name != "node-3" {
		t.Errorf("the context ended with %v, want LinkLost", err)
	}
	t.Logf("link lost after %v", time.Since(killed).Round(time.Millisecond))
	eventually(t, "eviction of node-3", func() bool { return !slices.Contains(l.listed(), "node-3") })
	t.Logf("not listed after %v", time.Since(killed).Round(time.Millisecond))
	if got := l.listed(); !slices.Equal(got, []string{"node-1", "node-2"}) {
		t.Errorf("listed are actors of %v", got)
	}
	l.prints(1, `node-3 +ended: signal: killed`)
	l.prints(1, `node-3 +node evicted`)
	echoes, err := n.FindAll(soon(t), echo.Name)
	if err != nil || len(echoes) != 2 {
		t.Fatalf("found %v, %v, want 2 echoes", echoes, err)
	}
	for _, p := range echoes {
		if got, err := echo.Call.Call(soon(t), p, "still there?"); got != "still there?" || err != nil {
			t.Errorf("%v: %q, %v", p, got, err)
		}
	}
	if code := l.stop(syscall.SIGINT); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	l.gone()
}

// However node local ends, nothing is left of it.
func TestLocal_leavesNothing(t *testing.T) {
	for _, tt := range []struct {
		signal syscall.Signal
		code   int
	}{{syscall.SIGINT, 0}, {syscall.SIGTERM, 0}, {syscall.SIGKILL, -1}} {
		t.Run(tt.signal.String(), func(t *testing.T) {
			l := startLocal(t)
			begun := time.Now()
			if code := l.stop(tt.signal); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			l.gone()
			t.Logf("all gone after %v", time.Since(begun).Round(time.Millisecond))
		})
	}
}

// An actor is canceled from the shell, and the cluster says by whom and why.
func TestLocal_cancelFromTheShell(t *testing.T) {
	l := startLocal(t)
	out, errOut, code := run(t, nil, "node", "cancel", "--join", l.nats, "--as", "alice", "--reason", "too expensive", "searcher")
	if code != 0 || !strings.HasPrefix(out, "canceled searcher@node-") {
		t.Fatalf("node cancel: exit %d, %q\n%s", code, out, errOut)
	}
	l.prints(1, `actor canceled  searcher  by alice: too expensive$`)
}

// What is wrong is said in one line, with a hint.
func TestCommands_wrongInput(t *testing.T) {
	l := startLocal(t)
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"node local --nodes 0", 2, "error: --nodes 0: out of range\n  hint: give a number from 1 to 64\n"},
		{"node local --http 0.0.0.0:0", 2, "not a loopback address"},
		{"node frobnicate", 2, "error: unknown command \"frobnicate\"\n  hint: "},
		{"node run --actor nobody", 2, "error: --actor \"nobody\": no such actor\n  hint: this binary carries echo and searcher\n"},
		{"node run --join nats://127.0.0.1:1", 5, "hint: start a registrar with: registrar serve"},
		{"node cancel --join " + l.nats + " nobody", 3, "hint: see what there is with: registrar list"},
		{"registrar find nobody --registrar " + l.http, 3, "  hint: "},
		{"registrar list --registrar http://127.0.0.1:1", 5, "  hint: "},
		{"registrar list -o xml", 2, "  hint: "},
		{"search --cluster " + l.nats + " pattern /nonexistent", 2, "/nonexistent"},
	} {
		args := strings.Fields(tt.args)
		out, errOut, code := run(t, nil, args[0], args[1:]...)
		if code != tt.code || out != "" || !strings.Contains(errOut, tt.want) || strings.Count(errOut, "\n") > 2 {
			t.Errorf("%s: exit %d, want %d with %q; it printed %q and %q", tt.args, code, tt.code, tt.want, out, errOut)
		}
	}
}
