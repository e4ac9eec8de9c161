package cluster_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tandem-actors/tandem/cluster"
	"github.com/tandem-actors/tandem/discovery"
	"github.com/tandem-actors/tandem/transport"
	"github.com/tandem-actors/tandem/transport/broker"
)

// patience bounds every wait of the tests. It says nothing about speed.
const patience = 20 * time.Second

// A world is a cluster under test.
type world struct {
	*testing.T
	url   string // Of its NATS server; empty: in memory.
	first *cluster.Node
	nodes []*cluster.Node
	gone  map[*cluster.Node]bool
}

// eachFabric runs test over a fabric in memory and over real NATS. Afterwards
// every table is empty and nothing that we started still runs.
func eachFabric(t *testing.T, test func(w *world)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		defer noLeaks(t)
		w := &world{T: t}
		defer w.close()
		test(w)
	})
	t.Run("nats", func(t *testing.T) {
		defer noLeaks(t)
		w := &world{T: t, url: startNATS(t)}
		defer w.close()
		test(w)
	})
}

// startNATS starts a broker with a registrar until the test ends.
func startNATS(t testing.TB) (url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	b, err := broker.Start(ctx, broker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	bus, err := transport.Dial(ctx, transport.DialConfig{URL: b.URL(), Name: "registrar"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := discovery.NewRegistrar(ctx, discovery.RegistrarConfig{Name: "r", Bus: bus})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := r.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := bus.Close(); err != nil {
			t.Error(err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b.URL()
}

// node starts one more node.
func (w *world) node(name string) *cluster.Node { return w.with(cluster.Config{Name: name}) }

func (w *world) with(cfg cluster.Config) *cluster.Node {
	w.Helper()
	cfg.Join, cfg.Heartbeat, cfg.LinkTimeout = w.url, 50*time.Millisecond, 2*time.Second
	if w.url == "" {
		cfg.Peer = w.first
	}
	n, err := cluster.Start(w.ctx(), cfg)
	if err != nil {
		w.Fatal(err)
	}
	if w.first == nil {
		w.first = n
	}
	w.nodes = append(w.nodes, n)
	return n
}

// ctx returns a context that ends with the test, or when patience does.
func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	w.Cleanup(cancel)
	return ctx
}

// close checks that nothing is left in the tables, and closes the nodes.
func (w *world) close() {
	for _, n := range w.nodes {
		w.eventually(func() error {
			if contexts, _, requests := n.Tables(); contexts+requests != 0 {
				return fmt.Errorf("node %v still holds %d contexts and %d requests", n.ID(), contexts, requests)
			}
			return nil
		})
	}
	for _, n := range slices.Backward(w.nodes) {
		if err := n.Close(); err != nil && !w.Failed() && !w.gone[n] {
			w.Errorf("close %v: %v", n.ID(), err)
		}
	}
}

// eventually waits until check returns nil.
func (w *world) eventually(check func() error) {
	w.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			w.Error(err)
			return
		}
		runtime.Gosched()
		<-time.After(time.Millisecond)
	}
}

// forget says that the test has closed n itself.
func (w *world) forget(n *cluster.Node) {
	w.nodes = slices.DeleteFunc(w.nodes, func(o *cluster.Node) bool { return o == n })
}

// crash makes n vanish.
func (w *world) crash(n *cluster.Node) {
	if w.gone == nil {
		w.gone = make(map[*cluster.Node]bool)
	}
	w.gone[n] = true
	n.Crash()
}

// spawn spawns an actor.
func (w *world) spawn(n *cluster.Node, name string, endpoints ...cluster.Endpoint) *cluster.Portal {
	w.Helper()
	p, err := n.Spawn(w.ctx(), name, endpoints...)
	if err != nil {
		w.Fatal(err)
	}
	return p
}

// find finds an actor from another node.
func (w *world) find(n *cluster.Node, name string) *cluster.Portal {
	w.Helper()
	p, err := n.Find(w.ctx(), name)
	if err != nil {
		w.Fatal(err)
	}
	return p
}

// within fails the test unless ch gets a value in time.
func within[T any](w *world, what string, ch <-chan T) (v T) {
	w.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		w.Fatalf("%s did not happen within %v\n%s", what, patience, stacks())
	}
	return v
}

func stacks() string {
	buf := make([]byte, 1<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

// noLeaks waits until no goroutine of ours is left.
func noLeaks(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		left := ours()
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%d goroutines are left:\n%s", len(left), strings.Join(left, "\n\n"))
			return
		}
		<-time.After(5 * time.Millisecond)
	}
}

// ours lists the goroutines that run code of this module, but for tests and
// what startNATS holds until their end.
func ours() (left []string) {
	for g := range strings.SplitSeq(stacks(), "\n\n") {
		if !strings.Contains(g, "tandem-actors/tandem/") || strings.Contains(g, "testing.tRunner") || strings.Contains(g, "cluster_test.startNATS") {
			continue
		}
		if strings.Contains(g, "discovery.(*Registrar)") || strings.Contains(g, "created by github.com/nats-io") {
			continue
		}
		left = append(left, g)
	}
	return left
}
