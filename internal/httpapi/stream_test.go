package httpapi

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandem-actors/tandem/discovery"
	"github.com/tandem-actors/tandem/transport"
)

// errEnough ends a watch of a test that has seen what it wants.
var errEnough = errors.New("enough")

// watch returns the events until one of type last, as `TYPE NODE ACTOR` each.
// It calls began, if that is not nil, at the end of the snapshot.
func (w *world) watch(q Query, last string, began func()) (lines []string) {
	w.t.Helper()
	ctx, stop := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer stop()
	err := w.client.Watch(ctx, q, 10*time.Second, func(e Event) error {
		line := e.Type
		if e.Node != nil {
			line += " " + e.Node.Name
		}
		if e.Actor != nil {
			line += " " + e.Actor.Name
		}
		lines = append(lines, line)
		if e.Type == last {
			return errEnough
		}
		if e.Type == TypeSnapshotEnd && began != nil {
			began()
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		w.t.Fatalf("watch: %v after %v", err, lines)
	}
	return lines
}

func TestWatch_tellsWhatThereIsThenWhatChanges(t *testing.T) {
	w := newWorld(t, Config{})
	w.join("n1", "echo")
	got := w.watch(Query{}, "node_left", func() { _ = w.join("n2", "search").Close(t.Context()) })
	want := "snapshot n1, snapshot n1 echo, snapshot_end, node_up n2, actor_registered n2 search, actor_deregistered n2 search, node_left n2"
	if strings.Join(got, ", ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestWatch_filters(t *testing.T) {
	w := newWorld(t, Config{})
	w.join("n1", "echo", "search")
	w.join("n2", "echo")
	for query, want := range map[Query]string{
		{Name: "echo"}:               "snapshot n1 echo, snapshot n2 echo, snapshot_end",
		{Node: "n2"}:                 "snapshot n2, snapshot n2 echo, snapshot_end",
		{Name: "search", Node: "n1"}: "snapshot n1 search, snapshot_end",
	} {
		if got := w.watch(query, TypeSnapshotEnd, nil); strings.Join(got, ", ") != want {
			t.Errorf("%+v: got %v, want %s", query, got, want)
		}
	}
	got := w.watch(Query{Name: "late"}, "actor_registered", func() { w.join("n3", "other", "late") })
	if want := "snapshot_end, actor_registered n3 late"; strings.Join(got, ", ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestWatch_resetStartsOver(t *testing.T) {
	w := newWorld(t, Config{})
	w.join("n1", "echo")
	serve := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		out := newStream(rw, true)
		if err := w.server.pass(discovery.Event{Type: discovery.EventReset, Index: 9}, Query{}, out); err != nil {
			t.Error(err)
		}
	}))
	defer serve.Close()
	w.client, _ = NewClient(serve.URL)
	got := w.watch(Query{}, TypeSnapshotEnd, nil)
	if want := "reset, snapshot n1, snapshot n1 echo, snapshot_end"; strings.Join(got, ", ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

// open returns a stream as a browser gets it.
func (w *world) open() (resp *http.Response, lines *bufio.Scanner) {
	w.t.Helper()
	ctx, stop := context.WithTimeout(w.t.Context(), 20*time.Second)
	w.t.Cleanup(stop)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/v1/watch", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Accept", mimeSSE)
	resp, err = http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp, bufio.NewScanner(resp.Body)
}

func TestWatch_sendsServerSentEvents(t *testing.T) {
	w := newWorld(t, Config{Heartbeat: 10 * time.Millisecond})
	resp, lines := w.open()
	if got := resp.Header.Get("Content-Type"); got != mimeSSE {
		t.Errorf("content type is %s", got)
	}
	want := []string{"event: snapshot_end", `data: {"type":"snapshot_end","time":"`, "", ": heartbeat", "", ": heartbeat"}
	for _, start := range want {
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), start) || start == "" && lines.Text() != "" {
			t.Fatalf("got line %q, %v, want %q", lines.Text(), lines.Err(), start)
		}
	}
}

func TestWatch_heartbeatsToPrograms(t *testing.T) {
	w := newWorld(t, Config{Heartbeat: 10 * time.Millisecond})
	w.watch(Query{}, TypeHeartbeat, nil)
}

func TestWatch_headGetsHeadersOnly(t *testing.T) {
	w := newWorld(t, Config{MaxWatchers: 1})
	for range 3 { // It takes no place, and the connection is free again.
		resp, body := w.get("HEAD", "/v1/watch")
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != mimeSSE || body != "" {
			t.Errorf("HEAD gets %s, %v, %q", resp.Status, resp.Header, body)
		}
	}
	w.watch(Query{}, TypeSnapshotEnd, nil)
}

// A gated registrar answers one question about nodes for each value that it is
// sent.
type gated struct {
	*discovery.Registrar
	asked atomic.Int32
	gate  chan struct{}
}

func (g *gated) Nodes() []discovery.NodeRecord {
	g.asked.Add(1)
	<-g.gate
	return g.Registrar.Nodes()
}

func TestCamera_streamsShareAPhotoBegunAfterTheyCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fabric := transport.NewMemory()
		bus := fabric.Attach()
		defer bus.Close()
		r, err := discovery.NewRegistrar(t.Context(), discovery.RegistrarConfig{Bus: bus})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close(context.Background())
		g := &gated{Registrar: r, gate: make(chan struct{})}
		c := newCamera(g)
		photos := make(chan *photo, 8)
		var wg sync.WaitGroup
		for range 2 { // One begins, the other waits.
			wg.Go(func() { photos <- c.shoot() })
			synctest.Wait()
		}
		for range cap(photos) - 2 { // The rest waits with it.
			wg.Go(func() { photos <- c.shoot() })
		}
		synctest.Wait()
		if n := g.asked.Load(); n != 1 {
			t.Errorf("%d photos are taken at a time", n)
		}
		close(g.gate)
		wg.Wait()
		close(photos)
		different := make(map[*photo]bool)
		for p := range photos {
			different[p] = true
		}
		if n := g.asked.Load(); n != 2 || len(different) != 2 {
			t.Errorf("the registrar was asked %d times for %d photos, want 2", n, len(different))
		}
	})
}

func TestWatch_isBounded(t *testing.T) {
	w := newWorld(t, Config{MaxWatchers: 1, Heartbeat: 10 * time.Millisecond})
	first, lines := w.open()
	lines.Scan()
	second, _ := w.open()
	if second.StatusCode != http.StatusServiceUnavailable || second.Header.Get("Retry-After") == "" {
		t.Errorf("one too many gets %d, %v", second.StatusCode, second.Header)
	}
	_ = first.Body.Close()
	w.server.watchers <- struct{}{} // There is room as soon as the server has noticed.
	<-w.server.watchers
	w.watch(Query{}, TypeSnapshotEnd, nil)
}

func TestServer_closeTellsStreams(t *testing.T) {
	w := newWorld(t, Config{})
	_, lines := w.open()
	lines.Scan()
	if err := w.server.Close(t.Context()); err != nil {
		t.Error(err)
	}
	var text strings.Builder
	for lines.Scan() {
		text.WriteString(lines.Text() + "\n")
	}
	if !strings.Contains(text.String(), "event: end\ndata: ") || lines.Err() != nil {
		t.Errorf("the stream ended with %q, %v", text.String(), lines.Err())
	}
	if _, err := w.client.Status(t.Context()); err == nil {
		t.Error("a closed server answers")
	}
}

// A browser connects before it has a question.
func TestServer_closeHangsUpOnTheSilent(t *testing.T) {
	w := newWorld(t, Config{})
	silent, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	w.get("GET", "/livez") // Connections are accepted in order.
	ctx, stop := context.WithTimeout(t.Context(), 4*time.Second)
	defer stop()
	if err := w.server.Close(ctx); err != nil {
		t.Error(err)
	}
}

func TestServer_registrarCloseEndsStreams(t *testing.T) {
	w := newWorld(t, Config{})
	w.watch(Query{}, TypeEnd, func() { _ = w.registrar.Close(t.Context()) })
}
