//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tandem-actors/tandem/builtin/search"
	"github.com/tandem-actors/tandem/cluster"
	"github.com/tandem-actors/tandem/discovery"
	"github.com/tandem-actors/tandem/internal/process"
	"github.com/tandem-actors/tandem/transport"
	"github.com/tandem-actors/tandem/transport/broker"
)

// asNode makes the test binary a node of the cluster at that URL, with two
// actors: a searcher, and one that is killed with its node in the middle.
const asNode = "TANDEM_SEARCH_TEST_NODE"

// patience bounds what takes milliseconds on a machine that is not busy.
const patience = 30 * time.Second

func serveNode(url string) error {
	ctx, stop := process.Lifeline(context.Background())
	defer stop()
	node, err := cluster.Start(ctx, cluster.Config{Name: "far", Join: url})
	if err != nil {
		return err
	}
	defer node.Close()
	if _, err := node.Spawn(ctx, search.Name, search.Endpoint()); err != nil {
		return err
	}
	killed := dying("1:needle\n2:needle\n3:nee", func(ctx context.Context) error {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		<-ctx.Done()
		return nil
	})
	if _, err := node.Spawn(ctx, "dying", killed); err != nil {
		return err
	}
	if err := process.SayReady(node.ID()); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// startCluster starts a broker and a registrar.
func startCluster(t *testing.T) (url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	b, err := broker.Start(ctx, broker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	bus, err := transport.Dial(ctx, transport.DialConfig{URL: b.URL(), Name: "registrar"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bus.Close() })
	r, err := discovery.NewRegistrar(ctx, discovery.RegistrarConfig{Name: "r", Bus: bus})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = r.Close(ctx)
	})
	return b.URL()
}

// startNode starts a process that is a node.
func startNode(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	g := process.NewGroup()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := g.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	child, err := g.Start(ctx, process.Command{Path: os.Args[0], Env: []string{asNode + "=" + url}, Stderr: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := child.Ready(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestSearch_joinsACluster(t *testing.T) {
	url := startCluster(t)
	root := nastyTree(t)
	if r := runCommand(t, "--cluster", url, "needle", root); r.code != 2 || !strings.Contains(r.stderr, `no actor named "searcher"`) {
		t.Errorf("without a searcher: %+v", r)
	}
	startNode(t, url)
	startNode(t, url)
	want := runCommand(t, "needle", root)
	got := runCommand(t, "--cluster", url, "-v", "needle", root)
	if got.code != 0 || !strings.Contains(got.stderr, "on 2 searchers") {
		t.Errorf("exit status %d, stderr %.300q", got.code, got.stderr)
	}
	if g, w := lines(got.stdout, ""), lines(want.stdout, ""); !slices.Equal(g, w) {
		t.Errorf("in the cluster %d lines, alone %d", len(g), len(w))
	}
}

func TestSearch_namesTheClusterThatIsNotThere(t *testing.T) {
	r := runCommand(t, "--cluster=nats://127.0.0.1:1", "x")
	if r.code != 2 || !strings.Contains(r.stderr, "127.0.0.1:1") || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("exit status %d, stderr %q, want one line with the address", r.code, r.stderr)
	}
}

// A killed process says nothing; its peers find out.
func TestJob_killedSearcherLosesNothing(t *testing.T) {
	url := startCluster(t)
	startNode(t, url)
	root := t.TempDir()
	files := make(map[string]string)
	for i := range 3 * batchFiles {
		files[fmt.Sprintf("f%03d", i)] = strings.Repeat("needle\n", 5)
	}
	write(t, root, files)

	c := new(crew)
	t.Cleanup(c.close)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, name := range []string{"near", "own"} {
		if _, err := c.start(ctx, cluster.Config{Name: name, Join: url}); err != nil {
			t.Fatal(err)
		}
	}
	c.node = c.own[0]
	if _, err := c.own[1].Spawn(ctx, "own searcher", search.Endpoint()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"dying", "own searcher"} {
		p, err := c.node.WaitFor(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		c.searchers = append(c.searchers, p)
	}
	if got := oneByOne(t, c, root, files); !strings.Contains(got, "dying@far is lost: link to far lost") {
		t.Errorf("stderr = %q, want the loss of the link", got)
	}
}
