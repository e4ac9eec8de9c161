package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"time"

	"github.com/tandem-actors/tandem/builtin/search"
	"github.com/tandem-actors/tandem/cluster"
)

// window is how many batches one searcher holds: while it works on one, the
// next is there.
const window = 2

// A job is one search.
type job struct {
	opts      options
	node      *cluster.Node
	searchers []*cluster.Portal
	out       *output
	queue     *queue
	root      string
	prefix    string
	alive     atomic.Int64 // searchers
	files     atomic.Int64
	bytes     atomic.Int64
}

func newJob(c *crew, opts options, out *output) *job {
	j := &job{
		opts: opts, node: c.node, searchers: c.searchers, out: out,
		queue: newQueue(window * len(c.searchers)), prefix: opts.prefix(),
	}
	j.alive.Store(int64(len(c.searchers)))
	return j
}

// run searches until all is searched, enough was found or ctx is done. Nothing
// of it runs on when it returns, on no node.
func (j *job) run(ctx context.Context) (err error) {
	if j.root, err = j.opts.root(); err == nil {
		var info os.FileInfo
		if info, err = os.Stat(j.root); err == nil && !info.IsDir() {
			err = errors.New("not a directory")
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", j.opts.dir, reason(err))
	}
	start := time.Now()
	err = j.node.Nursery(ctx, func(_ context.Context, nursery *cluster.Nursery) error {
		nursery.Go(j.walk)
		for _, p := range j.searchers {
			nursery.Go(func(ctx context.Context) error { return j.feed(ctx, p) })
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	if j.opts.verbose {
		took := time.Since(start).Seconds()
		files := j.files.Load() // Without those that an early end left under way.
		j.out.say("%d lines; %d files done, %.1f MB in %.2f s, %.0f files/s, on %d searchers",
			j.out.count(), files, float64(j.bytes.Load())/1e6, took, float64(files)/took, len(j.searchers))
	}
	return err
}

// feed keeps one searcher at work. If it is lost, the others get what it had
// under way; only the loss of the last one is an error.
func (j *job) feed(ctx context.Context, p *cluster.Portal) error {
	f := &feeder{job: j, slots: make(chan struct{}, window)}
	query := search.Query{Pattern: []byte(j.opts.pattern), Root: []byte(j.root)}
	sum, err := search.Task.Open(ctx, p, query, f.body)
	switch {
	case j.out.ended() != nil: // Its own, or another one's: cancel the rest.
		return j.out.ended()
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil && len(f.under) > 0:
		err = errors.New("ended early")
	}
	if err == nil {
		if j.opts.verbose {
			j.out.say("%v: %d files, %.1f MB, %d lines", p, sum.Files, float64(sum.Bytes)/1e6, sum.Lines)
		}
		return nil
	}
	j.out.say("%v is lost: %v", p, err)
	for _, b := range f.under {
		j.queue.again <- b
	}
	if j.alive.Add(-1) > 0 {
		return nil
	}
	select {
	case <-j.queue.empty:
		return nil
	default:
		return errors.New("no searcher is left")
	}
}

// reason returns what is wrong with a path, without the path.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
