//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tandem-actors/tandem/builtin/search"
	"github.com/tandem-actors/tandem/cluster"
)

type child = cluster.Child[cluster.None, search.Down, search.Up]

// newCrew returns a crew of one node per endpoint.
func newCrew(t *testing.T, endpoints ...cluster.Endpoint) *crew {
	t.Helper()
	c := new(crew)
	t.Cleanup(c.close)
	for i, e := range append([]cluster.Endpoint{{}}, endpoints...) {
		node, err := c.start(t.Context(), cluster.Config{Peer: c.node})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			c.node = node
			continue
		}
		name := fmt.Sprint("searcher", i)
		if _, err := node.Spawn(t.Context(), name, e); err != nil {
			t.Fatal(err)
		}
		p, err := c.node.WaitFor(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		c.searchers = append(c.searchers, p)
	}
	return c
}

// runJob searches for needles with c.
func runJob(t *testing.T, c *crew, opts options) (result, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	opts.pattern = "needle"
	out := newOutput(&stdout, &stderr, opts.max)
	err := errors.Join(newJob(c, opts, out).run(t.Context()), out.close())
	return result{stdout: stdout.String(), stderr: stderr.String()}, err
}

// dying returns an endpoint that finds lines in the first file that it gets,
// and does what end does when these are printed.
func dying(lines string, end func(ctx context.Context) error) cluster.Endpoint {
	return search.Task.Serve(func(ctx context.Context, c *child, _ search.Query) (sum search.Summary, err error) {
		if err := c.Started(ctx, cluster.None{}); err != nil {
			return sum, err
		}
		begun := false
		for down, err := range c.All(ctx) {
			if err == nil && down.Acks > 0 {
				return sum, end(ctx)
			}
			if err == nil && !begun {
				begun = true
				err = c.Send(ctx, search.Up{Found: []search.Found{{Lines: []byte(lines)}}})
			}
			if err != nil {
				return sum, err
			}
		}
		return sum, nil
	})
}

// oneByOne lets one searcher after the other search for needles, so that the
// first one gets its share, checks what is printed, and returns what is said.
func oneByOne(t *testing.T, c *crew, root string, files map[string]string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	out := newOutput(&stdout, &stderr, 0)
	j := newJob(c, options{dir: root, pattern: "needle"}, out)
	j.root = root
	var wg sync.WaitGroup
	wg.Go(func() { _ = j.walk(t.Context()) })
	for _, p := range c.searchers {
		if err := j.feed(t.Context(), p); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if err := out.close(); err != nil {
		t.Fatal(err)
	}
	var want []string
	for name, content := range files {
		for i := range strings.Count(content, "\n") {
			want = append(want, fmt.Sprintf("%s/%s:%d:needle\n", root, name, i+1))
		}
	}
	slices.Sort(want)
	if got := lines(stdout.String(), ""); !slices.Equal(got, want) {
		t.Errorf("got %d lines, want %d: %.300q", len(got), len(want), got)
	}
	return stderr.String()
}

// What a lost searcher had under way is searched again by another one; nothing
// is printed twice, nothing is missing.
func TestJob_lostSearcherLosesNothing(t *testing.T) {
	root := t.TempDir()
	files := map[string]string{"a": strings.Repeat("needle\n", 100)}
	for i := range 3 * batchFiles {
		files[fmt.Sprintf("b%03d", i)] = "needle\n"
	}
	write(t, root, files)
	for name, end := range map[string]func(ctx context.Context, c *crew) error{
		"failure":   func(context.Context, *crew) error { return errors.New("broken") },
		"early end": func(context.Context, *crew) error { return nil },
		"panic":     func(context.Context, *crew) error { panic("broken") },
		"canceled": func(ctx context.Context, c *crew) error {
			return errors.Join(c.searchers[0].Cancel(ctx, errors.New("broken")), context.Cause(ctx))
		},
		"node closed": func(ctx context.Context, c *crew) error {
			go func() { _ = c.own[1].Close() }() // The crew's close waits for it.
			<-ctx.Done()
			return context.Cause(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var c *crew
			c = newCrew(t, dying("1:needle\n2:needle\n3:nee", func(ctx context.Context) error { return end(ctx, c) }), search.Endpoint())
			if got := oneByOne(t, c, root, files); !strings.HasPrefix(got, "search: searcher1@") || !strings.Contains(got, "is lost: ") || strings.Count(got, "\n") != 1 {
				t.Errorf("stderr = %q, want one warning", got)
			}
		})
	}
}

func TestJob_failsWithTheLastSearcher(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{"a": "needle\n"})
	broken := dying("", func(context.Context) error { return errors.New("broken") })
	c := newCrew(t, broken, broken)
	r, err := runJob(t, c, options{dir: root})
	if err == nil || !strings.Contains(err.Error(), "no searcher is left") {
		t.Errorf("run = %v, want no searcher is left", err)
	}
	if n := strings.Count(r.stderr, "is lost: "); n != 2 {
		t.Errorf("stderr = %q, want two warnings", r.stderr)
	}
}

// The other searchers hear why they are to stop.
func TestJob_endOfOutputIsTheCause(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	_ = r.Close()
	for cause, c := range map[string]struct {
		stdout io.Writer
		max    int
		want   error
	}{
		"enough matches": {io.Discard, 1, nil},
		"output closed":  {w, 0, errClosed},
	} {
		t.Run(cause, func(t *testing.T) {
			heard := make(chan error, 1)
			crew := findingAndWaiting(t, heard)
			root := t.TempDir()
			for i := range 10 * batchFiles { // Enough for both, of which the waiting one never answers.
				write(t, root, map[string]string{fmt.Sprintf("f%03d", i): ""})
			}
			out := newOutput(c.stdout, io.Discard, c.max)
			err := newJob(crew, options{pattern: "needle", dir: root, max: c.max}, out).run(t.Context())
			if !errors.Is(err, c.want) || !errors.Is(out.close(), c.want) || out.count() == 0 {
				t.Errorf("run = %v after %d lines, want %v after some", err, out.count(), c.want)
			}
			got := <-heard
			canceled, ok := errors.AsType[*cluster.Canceled](got)
			if !ok || !canceled.Canceller.Equal(crew.node.ID()) || canceled.Reason() != cause {
				t.Errorf("the other searcher heard %v, want %s from %v", got, cause, crew.node.ID())
			}
		})
	}
}

// findingAndWaiting returns a crew of a searcher that finds lines in all it is
// given, when the other one has begun, and of one that waits and tells heard
// why it ended.
func findingAndWaiting(t *testing.T, heard chan<- error) *crew {
	t.Helper()
	begun := make(chan struct{})
	waiting := search.Task.Serve(func(ctx context.Context, c *child, _ search.Query) (search.Summary, error) {
		if err := c.Started(ctx, cluster.None{}); err != nil {
			return search.Summary{}, err
		}
		close(begun)
		<-ctx.Done()
		heard <- context.Cause(ctx)
		return search.Summary{}, context.Cause(ctx)
	})
	finding := search.Task.Serve(func(ctx context.Context, c *child, _ search.Query) (search.Summary, error) {
		if err := c.Started(ctx, cluster.None{}); err != nil {
			return search.Summary{}, err
		}
		<-begun
		for _, err := range c.All(ctx) {
			if err == nil {
				err = c.Send(ctx, search.Up{Found: []search.Found{{Lines: []byte("1:needle\n2:needle\n")}}})
			}
			if err != nil {
				return search.Summary{}, err
			}
		}
		return search.Summary{}, nil
	})
	return newCrew(t, finding, waiting)
}

func TestJob_unreadableFileIsNoEnd(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{"a": "needle\n"})
	c := newCrew(t, search.Endpoint())
	var stdout, stderr bytes.Buffer
	out := newOutput(&stdout, &stderr, 0)
	j := newJob(c, options{dir: root, pattern: "needle"}, out)
	j.root = root
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = j.queue.add(t.Context(), &batch{paths: [][]byte{[]byte("gone"), []byte("a")}})
		j.queue.finish()
	})
	if err := j.feed(t.Context(), c.searchers[0]); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if err := out.close(); err != nil {
		t.Error(err)
	}
	if stdout.String() != root+"/a:1:needle\n" || stderr.String() != "search: "+root+"/gone: no such file or directory\n" || !out.failed {
		t.Errorf("stdout %q, stderr %q, failed %v", stdout.String(), stderr.String(), out.failed)
	}
}

// full is a writer that takes nothing.
type full struct{}

var errFull = errors.New("device full")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestJob_endsWithTheOutput(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{"a": "needle\n"})
	c := newCrew(t, search.Endpoint(), search.Endpoint())
	out := newOutput(full{}, io.Discard, 0)
	err := newJob(c, options{dir: root, pattern: "needle"}, out).run(t.Context())
	if !errors.Is(err, errFull) {
		t.Errorf("run = %v, want %v", err, errFull)
	}
}
