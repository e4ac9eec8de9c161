//go:build unix

package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"syscall"
	"testing"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/tandem-actors/tandem/cluster"
	"github.com/tandem-actors/tandem/internal/otlpsink"
)

// The endpoints of e2e/peer.
const (
	sleep = cluster.Task[cluster.None, string, cluster.None, cluster.None, cluster.None]("sleep")
	visit = cluster.Task[cluster.None, cluster.None, cluster.None, cluster.None, cluster.None]("visit")
	obey  = cluster.Task[cluster.None, cluster.None, string, string, cluster.None]("obey")
)

type (
	idle   = cluster.Parent[cluster.None, cluster.None, cluster.None]
	orders = cluster.Parent[string, string, cluster.None]
)

// An end is how a task of a peer ended, in its own words.
type end struct {
	Task, Err, Canceller, Reason, Source, By string
	CancelCalled                             bool `json:"cancel_called"`
}

// ended waits for the n-th end of a task of p.
func (p *program) ended(n int, task string) (e end) {
	p.t.Helper()
	line := p.prints(n, `^\{"task":"`+task+`".*`)[0]
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		p.t.Fatalf("%q: %v", line, err)
	}
	return e
}

// exporting returns a provider for the test's own node that exports to sink.
func exporting(t *testing.T, sink *otlpsink.Sink) *sdktrace.TracerProvider {
	t.Helper()
	exporter, err := otlptracehttp.New(soon(t), otlptracehttp.WithEndpointURL(sink.URL()+"/v1/traces"))
	if err != nil {
		t.Fatal(err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	t.Cleanup(func() {
		if err := provider.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return provider
}

// D-01, D-03, D-04, D-05 over three node processes: canceller cancels sleeper,
// to which root and just_caller are linked. Each knows by whom and why, in its
// own words and in one trace.
func TestPeers_D01_D05_horizontalCancel(t *testing.T) {
	sink, err := otlpsink.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	l := startLocal(t)
	peers := startPeers(l, sink.Env())
	provider := exporting(t, sink)
	ctx, span := provider.Tracer("test").Start(soon(t), "root")
	root, err := cluster.Start(ctx, cluster.Config{Name: "root", Join: l.nats, TracerProvider: provider})
	if err != nil {
		t.Fatal(err)
	}
	ctx1, waited, ended := openAll(ctx, t, root, func(err error) error {
		peers["just_caller"].ended(1, "visit")
		return err
	})
	span.End()
	if err := root.Close(); err != nil {
		t.Error(err)
	}

	e, ok := errors.AsType[*cluster.Canceled](waited)
	if !ok || e.Canceller.Name != "canceller" || e.Source.Name != "sleeper" || e.Reason() != "budget spent" {
		t.Errorf("D-01: root's wait raised %v", waited)
	}
	if !errors.Is(ended, e) {
		t.Errorf("D-01: root ended with %v, want %v", ended, e)
	}
	if s := ctx1.State(); s.Canceller.Name != "sleeper" || s.CancelCalled || s.CancelAcked {
		t.Errorf("D-01: root's context with sleeper: %+v", s)
	}
	if v := peers["just_caller"].ended(1, "visit"); v.Canceller != "canceller" || v.Source != "sleeper" || v.Reason != "budget spent" || v.CancelCalled || v.By != "sleeper" {
		t.Errorf("D-03: just_caller: %+v", v)
	}
	for _, task := range []string{"sleep", "count"} {
		if s := peers["sleeper"].ended(1, task); s.Canceller != "canceller" || s.Reason != "budget spent" || s.CancelCalled {
			t.Errorf("D-04: sleeper's %s: %+v", task, s)
		}
	}
	if c := peers["canceller"].ended(1, "cancel"); c.Err != "" {
		t.Errorf("D-05: the cancel returned %q", c.Err)
	}
	if o := peers["canceller"].ended(1, "obey"); o.Canceller != "root" {
		t.Errorf("D-05, C-34: canceller's own task ended with %+v", o)
	}
	checkTrace(t, sink, e.Wave.String())
	stopPeers(t, peers)
}

// D-02 over three node processes: root fails while it handles the cancel. Its
// own failure is what it ends with, and the peers are told of it.
func TestPeers_D02_rootFails(t *testing.T) {
	l := startLocal(t)
	peers := startPeers(l, nil)
	root := l.join("root")
	errOwn := errors.New("root's own failure")
	ctx1, waited, ended := openAll(soon(t), t, root, func(error) error { return errOwn })

	if c, ok := errors.AsType[*cluster.Canceled](waited); !ok || c.Canceller.Name != "canceller" {
		t.Errorf("root's wait raised %v", waited)
	}
	if !errors.Is(ended, errOwn) || errors.As(ended, new(*cluster.Canceled)) {
		t.Errorf("root ended with %v, want only %v", ended, errOwn)
	}
	if s := ctx1.State(); s.Canceller.Name != "sleeper" || s.CancelAcked {
		t.Errorf("root's context with sleeper: %+v", s)
	}
	if o := peers["canceller"].ended(1, "obey"); o.Canceller != "root" || o.Reason != errOwn.Error() {
		t.Errorf("canceller's own task ended with %+v", o)
	}
	if s := peers["sleeper"].ended(1, "sleep"); s.Canceller != "canceller" {
		t.Errorf("sleeper's task ended with %+v", s)
	}
	// By the cancel of sleeper or by root's, whichever came first.
	if v := peers["just_caller"].ended(1, "visit"); v.Canceller != "canceller" && v.Canceller != "root" {
		t.Errorf("just_caller's task ended with %+v", v)
	}
	stopPeers(t, peers)
}

// startPeers starts the three node processes and waits until they are ready.
func startPeers(l *local, env []string) map[string]*program {
	l.t.Helper()
	peers := make(map[string]*program)
	for _, actor := range []string{"sleeper", "just_caller", "canceller"} {
		p := start(l.t, env, "peer", "--join", l.nats, "--name", "node-of-"+actor, "--actor", actor)
		p.prints(1, `"ready"`)
		peers[actor] = p
	}
	return peers
}

func stopPeers(t *testing.T, peers map[string]*program) {
	t.Helper()
	for actor, p := range peers {
		if code := p.stop(syscall.SIGTERM); code != 0 {
			t.Errorf("%s: exit code %d", actor, code)
		}
	}
}

// openAll opens the three contexts from root, lets canceller act, and waits for
// the first; what the wait raised is handled, and that ends the rest. It returns
// the handle, what the wait raised, and how the whole ended.
func openAll(ctx context.Context, t *testing.T, root *cluster.Node, handle func(error) error) (ctx1 *idle, waited, ended error) {
	t.Helper()
	find := func(name string) *cluster.Portal {
		p, err := root.Find(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	sleeper, caller, canceller := find("sleeper"), find("just_caller"), find("canceller")
	none := cluster.None{}
	_, ended = sleep.Open(ctx, sleeper, none, func(ctx context.Context, c *idle, first string) error {
		if first != "asleep" {
			t.Errorf("first value %q", first)
		}
		ctx1 = c
		_, err := visit.Open(ctx, caller, none, func(ctx context.Context, _ *idle, _ cluster.None) error {
			_, err := obey.Open(ctx, canceller, none, func(ctx context.Context, c *orders, _ cluster.None) error {
				if err := c.Send(ctx, "sleeper"); err != nil {
					return err
				}
				_, waited = ctx1.Result(context.WithoutCancel(ctx)) // Of ctx1, whichever of them ends first.
				return handle(waited)
			})
			return err
		})
		return err
	})
	return ctx1, waited, ended
}

// checkTrace asserts that one trace shows the opens, the runs, the request, and
// a propagate and an apply for each linked peer.
func checkTrace(t *testing.T, sink *otlpsink.Sink, wave string) {
	t.Helper()
	of := func(spans []otlpsink.Span, name string) (found []otlpsink.Span) {
		for _, s := range spans {
			if s.Name == name && s.Attributes["tandem.cancel.id"] == wave {
				found = append(found, s)
			}
		}
		return found
	}
	spans, err := sink.WaitFor(soon(t), func(spans []otlpsink.Span) bool {
		return len(of(spans, "cancel request")) == 1 && len(of(spans, "cancel apply")) >= 3 && len(of(spans, "cancel propagate")) >= 3 &&
			len(of(spans, "run sleeper/sleep")) == 1 && len(of(spans, "run sleeper/count")) == 1
	})
	if err != nil {
		t.Fatal(err)
	}
	byID := make(map[string]otlpsink.Span)
	for _, s := range spans {
		byID[s.SpanID] = s
	}
	request := of(spans, "cancel request")[0]
	if request.Service != "node-of-canceller" {
		t.Errorf("the request is a span of %s", request.Service)
	}
	if run := of(spans, "run sleeper/sleep")[0]; byID[run.ParentID].Name != "sleeper/sleep" || run.Kind != "server" || run.TraceID != request.TraceID {
		t.Errorf("run %+v has parent %q", run, byID[run.ParentID].Name)
	}
	victims := make(map[string]bool)
	for _, name := range []string{"cancel request", "cancel propagate", "cancel apply"} {
		for _, s := range of(spans, name) {
			// Root, told of the cancel, ends its other contexts in its own name.
			by, passedOn := s.Attributes["tandem.cancel.canceller"], s.Attributes["tandem.cancel.hop"].(int64) > 2
			if s.TraceID != request.TraceID || by != "canceller@node-of-canceller" && (!passedOn || by != "root") {
				t.Errorf("%s of %s: %v", name, s.Service, s.Attributes)
			}
			if name == "cancel apply" && byID[s.ParentID].Name != "cancel propagate" {
				t.Errorf("apply of %s hangs under %q", s.Service, byID[s.ParentID].Name)
			}
			for _, link := range s.Links {
				victims[byID[link.SpanID].Name] = true
			}
		}
	}
	for _, name := range []string{"run sleeper/sleep", "run sleeper/count", "sleeper/sleep", "sleeper/count"} {
		if !victims[name] {
			t.Errorf("no apply links to %q; linked are %v", name, victims)
		}
	}
	if reason := request.Attributes["tandem.cancel.reason"]; !strings.HasSuffix(reason.(string), "budget spent") {
		t.Errorf("reason %q", reason)
	}
}
