package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tandem-actors/tandem/builtin/search"
	"github.com/tandem-actors/tandem/cluster"
)

// parent is our end of a context with a searcher.
type parent = cluster.Parent[search.Down, search.Up, search.Summary]

// A feeder is one searcher's share of a job. One goroutine gives it batches,
// another one takes what it found.
type feeder struct {
	job   *job
	slots chan struct{} // Full: the giving goroutine waits for a batch to be done.

	mu    sync.Mutex // Guards under.
	under []*batch   // given and not done, the oldest first; at most window

	// The rest belongs to the taking goroutine.
	seen int    // records of the oldest batch that the searcher sent
	line []byte // the begin of a line that goes on in the next message
}

// body is the block of the context.
func (f *feeder) body(ctx context.Context, c *parent, _ cluster.None) error {
	ctx, stop := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop(nil)
	wg.Go(func() { // Ends with the queue, or with ctx.
		if err := f.give(ctx, c); err != nil {
			stop(err)
		}
	})
	for up, err := range c.All(ctx) {
		if err != nil {
			return err
		}
		if err := f.take(up); err != nil {
			return err
		}
		if err := c.Send(ctx, search.Down{Acks: 1}); err != nil {
			return err
		}
		if up.Done { // After the ack: the last batch of all ends the stream.
			f.done(up.Bytes)
		}
	}
	return nil
}

// give gives batch after batch, a window ahead, until all of the job is done.
func (f *feeder) give(ctx context.Context, c *parent) error {
	for {
		select {
		case f.slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		b := f.job.queue.next(ctx)
		if b == nil {
			return c.CloseSend(ctx)
		}
		f.mu.Lock()
		f.under = append(f.under, b)
		f.mu.Unlock()
		if err := c.Send(ctx, search.Down{Paths: b.paths}); err != nil {
			return err
		}
	}
}

// done takes the oldest batch off the list.
func (f *feeder) done(read int64) {
	f.mu.Lock()
	b := f.under[0]
	f.under = f.under[1:]
	f.mu.Unlock()
	f.seen = 0
	f.job.files.Add(int64(len(b.paths)))
	f.job.bytes.Add(read)
	f.job.out.bar.done(len(b.paths))
	f.job.queue.finish()
	<-f.slots
}

// take prints what is new. The error is why there is no more output, or what
// is wrong with up.
func (f *feeder) take(up search.Up) error {
	f.mu.Lock()
	under := f.under
	f.mu.Unlock()
	if len(under) == 0 {
		return errors.New("a message about no batch")
	}
	b := under[0]
	for _, found := range up.Found {
		if found.File < 0 || found.File >= len(b.paths) {
			return fmt.Errorf("a message about file %d of %d", found.File, len(b.paths))
		}
		f.print(b, f.job.prefix+string(b.paths[found.File]), found)
	}
	return f.job.out.flush()
}

func (f *feeder) print(b *batch, name string, found search.Found) {
	out := f.job.out
	for rest := found.Lines; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			f.line = append(f.line, rest...)
			break
		}
		if f.isNew(b) {
			out.match(name, f.line, rest[:i])
		}
		f.line, rest = f.line[:0], rest[i+1:]
	}
	if found.Binary && f.isNew(b) {
		out.binary(name)
	}
	if found.Err != "" && f.isNew(b) {
		out.complain(name, found.Err)
	}
}

// isNew counts a record of b and reports whether it is not printed yet: of a
// batch that a lost searcher had begun, the first ones are.
func (f *feeder) isNew(b *batch) bool {
	f.seen++
	if f.seen <= b.printed {
		return false
	}
	b.printed = f.seen
	return true
}
