package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-actors/tandem/discovery"
	"github.com/tandem-actors/tandem/identity"
	"github.com/tandem-actors/tandem/transport"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files in testdata")

// A world is a served registrar in memory, and nodes that use it.
type world struct {
	t         *testing.T
	fabric    *transport.Memory
	registrar *discovery.Registrar
	server    *Server
	url       string
	client    *Client
}

func newWorld(t *testing.T, cfg Config) *world {
	t.Helper()
	w := &world{t: t, fabric: transport.NewMemory()}
	bus := w.fabric.Attach()
	t.Cleanup(func() { _ = bus.Close() })
	var err error
	w.registrar, err = discovery.NewRegistrar(t.Context(), discovery.RegistrarConfig{Name: "r1", Bus: bus})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.registrar.Close(context.Background()) })
	cfg.Registrar = w.registrar
	w.server = NewServer(cfg)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- w.server.Serve(l) }()
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
		defer stop()
		if err := errors.Join(w.server.Close(ctx), <-served); err != nil {
			t.Error(err)
		}
	})
	w.url = "http://" + l.Addr().String()
	if w.client, err = NewClient(l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.client.Close)
	return w
}

// join adds a node with one actor for each name.
func (w *world) join(node string, names ...string) *discovery.Client {
	w.t.Helper()
	bus := w.fabric.Attach()
	w.t.Cleanup(func() { _ = bus.Close() })
	id := identity.NodeID{Name: node, UUID: identity.New()}
	client, err := discovery.Join(w.t.Context(), discovery.ClientConfig{Bus: bus, Node: id})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = client.Close(context.Background()) })
	for _, name := range names {
		actor := identity.ActorID{Name: name, UUID: identity.New(), Node: id}
		if err := client.Register(w.t.Context(), actor, []string{"greet"}); err != nil {
			w.t.Fatal(err)
		}
	}
	return client
}

// get returns the answer to a request of a plain client.
func (w *world) get(method, path string) (resp *http.Response, body string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err = http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp, string(text)
}

func TestServer_listsWhatIsRegistered(t *testing.T) {
	w := newWorld(t, Config{})
	if _, body := w.get("GET", "/v1/actors"); body != "{\"actors\":[]}\n" {
		t.Errorf("an empty list is %s", body)
	}
	w.join("n1", "echo", "search")
	w.join("n2", "echo")
	for _, tt := range []struct {
		query Query
		want  string
	}{
		{Query{}, "echo@n1 echo@n2 search@n1"},
		{Query{State: "all"}, "echo@n1 echo@n2 search@n1"},
		{Query{State: "suspect"}, ""},
		{Query{Name: "echo"}, "echo@n1 echo@n2"},
		{Query{Node: "n1"}, "echo@n1 search@n1"},
		{Query{Name: "search", Node: "n2"}, ""},
	} {
		list, err := w.client.Actors(t.Context(), tt.query)
		var got []string
		for _, r := range list.Actors {
			got = append(got, r.Actor.String())
		}
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%+v: %v, %v, want %s", tt.query, got, err, tt.want)
		}
	}
	nodes, err := w.client.Nodes(t.Context())
	if err != nil || len(nodes.Nodes) != 2 || nodes.Nodes[0].Actors != 2 || nodes.Nodes[0].State != discovery.StateUp {
		t.Errorf("nodes are %+v, %v", nodes, err)
	}
	status, err := w.client.Status(t.Context())
	if err != nil || status.Name != "r1" || status.Actors != 3 {
		t.Errorf("status is %+v, %v", status, err)
	}
}

func TestServer_explainsRefusals(t *testing.T) {
	w := newWorld(t, Config{})
	for _, tt := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", "/v1/nothing", 404, "/openapi.json says what there is"},
		{"POST", "/v1/actors", 405, "the API only reads"},
		{"DELETE", "/v1/actors", 405, "the API only reads"},
		{"GET", "/v1/actors?state=foo", 422, "query.state"},
		{"GET", "/v1/actors?nam=echo", 422, "query.nam"},
		{"GET", "/v1/watch?state=up", 422, "query.state"},
	} {
		resp, body := w.get(tt.method, tt.path)
		kind := resp.Header.Get("Content-Type")
		if resp.StatusCode != tt.status || kind != "application/problem+json" || !strings.Contains(body, tt.want) {
			t.Errorf("%s %s: %d, %s, %s, want %d and %q", tt.method, tt.path, resp.StatusCode, kind, body, tt.status, tt.want)
		}
	}
	_, err := w.client.Actors(t.Context(), Query{State: "foo"})
	if e, ok := errors.AsType[*StatusError](err); !ok || e.Status != 422 || !strings.Contains(e.Detail, "query.state") {
		t.Errorf("the client says %v", err)
	}
}

func TestServer_probes(t *testing.T) {
	var why error
	w := newWorld(t, Config{Ready: func() error { return why }})
	for _, path := range []string{"/livez", "/readyz"} {
		if resp, body := w.get("GET", path); resp.StatusCode != 200 {
			t.Errorf("%s: %d, %s", path, resp.StatusCode, body)
		}
	}
	why = errors.New("no broker")
	if resp, body := w.get("GET", "/readyz"); resp.StatusCode != 503 || !strings.Contains(body, "no broker") {
		t.Errorf("not ready: %d, %s", resp.StatusCode, body)
	}
	if resp, _ := w.get("GET", "/livez"); resp.StatusCode != 200 {
		t.Errorf("alive but not ready: %d", resp.StatusCode)
	}
}

func TestServer_describesItselfAsBefore(t *testing.T) {
	w := newWorld(t, Config{Version: "v0"})
	_, body := w.get("GET", "/openapi.json")
	var got bytes.Buffer
	if err := json.Indent(&got, []byte(body), "", "  "); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/openapi.json"
	if *rewrite {
		if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("differs from %s; a released API only grows; run with -rewrite (-want +got):\n%s", golden, diff)
	}
}
