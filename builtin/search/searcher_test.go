package search_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandem-actors/tandem/builtin/search"
	"github.com/tandem-actors/tandem/cluster"
)

type parent = cluster.Parent[search.Down, search.Up, search.Summary]

// open runs body with a searcher on another node.
func open(t *testing.T, query search.Query, body func(ctx context.Context, c *parent) error) (search.Summary, error) {
	t.Helper()
	ctx := t.Context()
	near, err := cluster.Start(ctx, cluster.Config{Name: "near"})
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := cluster.Start(ctx, cluster.Config{Name: "far", Peer: near})
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	if _, err := far.Spawn(ctx, search.Name, search.Endpoint()); err != nil {
		t.Fatal(err)
	}
	p, err := near.WaitFor(ctx, search.Name)
	if err != nil {
		t.Fatal(err)
	}
	return search.Task.Open(ctx, p, query, func(ctx context.Context, c *parent, _ cluster.None) error { return body(ctx, c) })
}

// tree writes files and returns a query for needles in them.
func tree(t *testing.T, files map[string]string) search.Query {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return search.Query{Pattern: []byte("needle"), Root: []byte(root)}
}

// batch returns the message that gives paths to a searcher.
func batch(paths ...string) search.Down {
	var d search.Down
	for _, p := range paths {
		d.Paths = append(d.Paths, []byte(p))
	}
	return d
}

func TestSearcher_answersBatchByBatch(t *testing.T) {
	files := nasty()
	files["name with \xff and\nnewline"] = "a needle"
	query := tree(t, files)
	lines, total, last := make(map[string]string), int64(0), ""
	sum, err := open(t, query, func(ctx context.Context, c *parent) error {
		for name, content := range files { // One batch at a time.
			last = name
			if err := c.Send(ctx, batch(name, "absent", "../out", ".")); err != nil {
				return err
			}
			notes := [4]string{}
			for up, err := range c.All(ctx) {
				if err != nil {
					return err
				}
				for _, f := range up.Found {
					notes[f.File] += f.Err
					if f.Binary {
						notes[f.File] += "binary"
					}
					if f.File == 0 {
						lines[name] += string(f.Lines)
					}
				}
				total += up.Bytes
				if err := c.Send(ctx, search.Down{Acks: 1}); err != nil {
					return err
				}
				if up.Done {
					break
				}
			}
			want, binary := scan(t, content, "needle")
			if lines[name] != want || notes[0] == "binary" != binary {
				t.Errorf("%q: got %.100q and %q, want %.100q, binary %v", name, lines[name], notes[0], want, binary)
			}
			if notes[1] != "no such file or directory" || notes[2] != "path leads out of the root" || notes[3] != "not a regular file" {
				t.Errorf("%q: notes on bad files: %q", name, notes)
			}
		}
		return c.CloseSend(ctx)
	})
	if err != nil {
		t.Fatalf("%q: %v", last, err)
	}
	if sum.Files != int64(4*len(files)) || sum.Bytes != total {
		t.Errorf("summary %+v, want %d files, %d bytes", sum, 4*len(files), total)
	}
}

// What is more than a context buffers arrives whole, because it waits for acks.
func TestSearcher_waitsForAcks(t *testing.T) {
	text := strings.Repeat(strings.Repeat("needle ", 100)+"\n", 10_000) // 7 MB of matches
	query := tree(t, map[string]string{"big": text})
	synctest.Test(t, func(t *testing.T) {
		var got bytes.Buffer
		_, err := open(t, query, func(ctx context.Context, c *parent) error {
			if err := c.Send(ctx, batch("big")); err != nil {
				return err
			}
			var arrived, acked atomic.Int64
			for up, err := range c.All(ctx) {
				if err != nil {
					return err
				}
				for _, f := range up.Found {
					got.Write(f.Lines)
				}
				if n := arrived.Add(1) - acked.Load(); n > search.MaxUnacked {
					return fmt.Errorf("%d messages ahead of the acks", n)
				} else if n == search.MaxUnacked || up.Done {
					synctest.Wait() // It had every chance to send more.
					acked.Add(n)
					if err := c.Send(ctx, search.Down{Acks: int(n)}); err != nil {
						return err
					}
				}
				if up.Done {
					return c.CloseSend(ctx)
				}
			}
			return errors.New("ended before the batch was done")
		})
		if err != nil {
			t.Fatal(err)
		}
		if want, _ := scan(t, text, "needle"); got.String() != want {
			t.Errorf("got %d bytes, want %d", got.Len(), len(want))
		}
	})
}

func TestSearcher_cancelEndsABigFile(t *testing.T) {
	query := tree(t, nil)
	big := filepath.Join(string(query.Root), "big")
	if err := os.WriteFile(big, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(big, 1<<42); err != nil { // Hours of reading, no bytes on disk.
		t.Skip(err)
	}
	enough := errors.New("enough")
	var canceled time.Time
	_, err := open(t, query, func(ctx context.Context, c *parent) error {
		if err := c.Send(ctx, batch("big")); err != nil {
			return err
		}
		canceled = time.Now()
		return enough
	})
	if !errors.Is(err, enough) {
		t.Errorf("Open = %v, want %v", err, enough)
	}
	if _, late := errors.AsType[*cluster.TooSlow](err); late {
		t.Errorf("the searcher went on for %v", time.Since(canceled))
	}
}

func TestSearcher_refusesWhoBreaksTheRules(t *testing.T) {
	query := tree(t, map[string]string{"f": strings.Repeat("needle\n", 1<<19)}) // More than MaxUnacked messages.
	for name, c := range map[string]struct {
		query search.Query
		send  search.Down
		times int
		want  string
	}{
		"newline":       {search.Query{Pattern: []byte("a\nb"), Root: query.Root}, search.Down{}, 0, "newline"},
		"relative root": {search.Query{Pattern: []byte("a"), Root: []byte("here")}, search.Down{}, 0, "absolute"},
		"acks":          {query, search.Down{Acks: 1}, 1, "more acks"},
		"batches":       {query, batch("f"), search.MaxBatches + 2, "more than 16 batches"},
	} {
		_, err := open(t, c.query, func(ctx context.Context, p *parent) error {
			for range c.times {
				if err := p.Send(ctx, c.send); err != nil {
					return err
				}
			}
			<-ctx.Done()
			return context.Cause(ctx)
		})
		if _, remote := errors.AsType[*cluster.RemoteError](err); !remote || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Open = %v, want a RemoteError with %q", name, err, c.want)
		}
		if name == "batches" && !errors.Is(err, cluster.ErrBusy) {
			t.Errorf("%s: %v is not ErrBusy", name, err)
		}
	}
}
