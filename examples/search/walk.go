package main

import (
	"context"
	"io/fs"
	"path/filepath"
	"strings"
	"sync/atomic"
)

// A batch is full when it has either. A batch is worth a message, and small
// enough that searchers end at about the same time.
const (
	batchFiles = 32
	batchBytes = 1 << 20
)

// A batch is the files that one searcher gets at a time.
type batch struct {
	paths   [][]byte // relative to the root
	bytes   int64
	printed int // of its records; if it has to be searched again, these are known
}

// A queue hands out batches until each of them is finished.
type queue struct {
	fresh chan *batch   // from the walk; unbuffered, so that the walk keeps pace
	again chan *batch   // from lost searchers; has room for all that they can hold
	empty chan struct{} // closed when all is finished
	open  atomic.Int64  // batches that are not finished, and the walk
}

// newQueue returns a queue for searchers that hold at most n batches.
func newQueue(n int) *queue {
	q := &queue{fresh: make(chan *batch), again: make(chan *batch, n), empty: make(chan struct{})}
	q.open.Store(1)
	return q
}

// add waits until somebody takes b.
func (q *queue) add(ctx context.Context, b *batch) error {
	q.open.Add(1)
	select {
	case q.fresh <- b:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// finish says that a batch, or the walk, is finished.
func (q *queue) finish() {
	if q.open.Add(-1) == 0 {
		close(q.empty)
	}
}

// next waits for a batch. It returns nil when there will be no more, or when
// ctx is done.
func (q *queue) next(ctx context.Context) *batch {
	select {
	case b := <-q.again: // Somebody may be waiting for these lines.
		return b
	default:
	}
	select {
	case b := <-q.again:
		return b
	case b := <-q.fresh:
		return b
	case <-q.empty:
		return nil
	case <-ctx.Done():
		return nil
	}
}

// walk fills the queue with the regular files below the root, in lexical order.
// It does not follow links. What it cannot read it complains of and skips.
func (j *job) walk(ctx context.Context) error {
	b := new(batch)
	err := filepath.WalkDir(j.root, func(path string, d fs.DirEntry, err error) error {
		rel := strings.TrimPrefix(strings.TrimPrefix(path, j.root), "/")
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			j.out.complain(j.prefix+rel, reason(err).Error())
			return nil
		case !d.Type().IsRegular() || !j.opts.wants(d.Name()):
			return nil
		}
		info, err := d.Info()
		if err != nil {
			j.out.complain(j.prefix+rel, reason(err).Error())
			return nil
		}
		b.paths = append(b.paths, []byte(rel))
		b.bytes += info.Size()
		j.out.bar.found()
		if len(b.paths) < batchFiles && b.bytes < batchBytes {
			return nil
		}
		full := b
		b = new(batch)
		return j.queue.add(ctx, full)
	})
	if err == nil && len(b.paths) > 0 {
		err = j.queue.add(ctx, b)
	}
	if err == nil {
		j.queue.finish()
	}
	return err
}
