package search

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/tandem-actors/tandem/cluster"
)

// sendAfter is how long matches wait for more while a long file is read.
const sendAfter = 50 * time.Millisecond

// Endpoint returns [Task] to be spawned. Whoever may open it reads what this
// process may read.
func Endpoint() cluster.Endpoint { return Task.Serve(serve) }

// child is this end of the context.
type child = cluster.Child[cluster.None, Down, Up]

// serve is one search.
func serve(ctx context.Context, c *child, q Query) (Summary, error) {
	if err := q.check(); err != nil {
		return Summary{}, err
	}
	if err := c.Started(ctx, cluster.None{}); err != nil {
		return Summary{}, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	w := &worker{child: c, query: q, batches: make(chan [][]byte, MaxBatches), unacked: make(chan struct{}, MaxUnacked)}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop(nil)
	wg.Go(func() { // Ends when the parent's stream or ctx does.
		if err := w.receive(ctx); err != nil {
			stop(err)
		}
	})
	return w.work(ctx)
}

// A worker is one search under way. One goroutine receives for it, another one
// searches.
type worker struct {
	child   *child
	query   Query
	batches chan [][]byte // Full: the opener broke the rule, the search ends.
	unacked chan struct{} // Full: the searching goroutine waits for an ack.

	// The rest belongs to the searching goroutine.
	scanner scanner
	up      Up
	size    int // of up, in bytes
	since   time.Time
	sum     Summary
}

// receive takes what the opener sends, so that acks never wait behind batches.
func (w *worker) receive(ctx context.Context) error {
	defer close(w.batches)
	for down, err := range w.child.All(ctx) {
		if err != nil {
			return err
		}
		for range down.Acks {
			select {
			case <-w.unacked:
			default:
				return errors.New("search: more acks than messages")
			}
		}
		if len(down.Paths) == 0 {
			continue
		}
		select {
		case w.batches <- down.Paths:
		default:
			return fmt.Errorf("search: more than %d batches under way: %w", MaxBatches, cluster.ErrBusy)
		}
	}
	return nil
}

// work searches batch after batch, until there are no more or ctx is done.
func (w *worker) work(ctx context.Context) (Summary, error) {
	for batch := range w.batches {
		before := w.sum.Bytes
		for i, path := range batch {
			if err := w.search(ctx, i, string(path)); err != nil {
				return Summary{}, err
			}
		}
		w.up.Done, w.up.Bytes = true, w.sum.Bytes-before
		if err := w.send(ctx); err != nil {
			return Summary{}, err
		}
	}
	if ctx.Err() != nil {
		return Summary{}, context.Cause(ctx)
	}
	return w.sum, nil
}

// search searches one file. The error is one that ends the whole search; what
// is wrong with the file goes to the opener.
func (w *worker) search(ctx context.Context, i int, path string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	w.sum.Files++
	f, err := open(string(w.query.Root), path)
	if err != nil {
		return w.report(ctx, i, err)
	}
	defer f.Close()
	var fatal error // an error of this search, not of the file
	in := readFunc(func(p []byte) (int, error) {
		if fatal = w.breathe(ctx); fatal != nil {
			return 0, fatal
		}
		return f.Read(p)
	})
	res, err := w.scanner.scan(in, w.query.Pattern, func(line int64, text []byte) error {
		fatal = w.match(ctx, i, line, text)
		return fatal
	})
	w.sum.Bytes += res.Bytes
	w.sum.Lines += res.Lines
	switch {
	case fatal != nil:
		return fatal
	case err != nil:
		return w.report(ctx, i, err)
	case res.Binary:
		found, err := w.found(ctx, i)
		if err == nil {
			found.Binary = true
		}
		return err
	}
	return nil
}

// open opens a file below root for reading, if it is an ordinary one: anything
// else might block for ever.
func open(root, path string) (*os.File, error) {
	if !filepath.IsLocal(path) {
		return nil, errors.New("path leads out of the root")
	}
	path = filepath.Join(root, path)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	return os.Open(path)
}

// breathe is called between reads. It ends the search when ctx is done and
// sends what has waited for long.
func (w *worker) breathe(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if w.size > 0 && time.Since(w.since) > sendAfter {
		return w.send(ctx)
	}
	return nil
}

// report tells the opener what is wrong with file i. The opener knows the path.
func (w *worker) report(ctx context.Context, i int, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	found, sendErr := w.found(ctx, i)
	if sendErr == nil {
		found.Err = err.Error()
	}
	return sendErr
}

// match adds a line of file i.
func (w *worker) match(ctx context.Context, i int, line int64, text []byte) error {
	found, err := w.found(ctx, i)
	if err != nil {
		return err
	}
	before := len(found.Lines)
	found.Lines = append(strconv.AppendInt(found.Lines, line, 10), ':')
	w.size += len(found.Lines) - before
	for len(text) > 0 {
		if found, err = w.found(ctx, i); err != nil {
			return err
		}
		n := min(len(text), MaxUp-w.size)
		found.Lines = append(found.Lines, text[:n]...)
		w.size += n
		text = text[n:]
	}
	found.Lines = append(found.Lines, '\n')
	w.size++
	return nil
}

// found returns the entry of file i in a message that has room.
func (w *worker) found(ctx context.Context, i int) (*Found, error) {
	if w.size >= MaxUp {
		if err := w.send(ctx); err != nil {
			return nil, err
		}
	}
	if n := len(w.up.Found); n == 0 || w.up.Found[n-1].File != i {
		if w.size == 0 {
			w.since = time.Now()
		}
		w.up.Found = append(w.up.Found, Found{File: i})
		w.size += 32 // Its share of the message, about.
	}
	return &w.up.Found[len(w.up.Found)-1], nil
}

// send sends the message that was gathered, when there is room for it.
func (w *worker) send(ctx context.Context) error {
	select {
	case w.unacked <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := w.child.Send(ctx, w.up); err != nil {
		return err
	}
	w.up, w.size = Up{Found: w.up.Found[:0]}, 0 // What was sent is encoded.
	return nil
}

// readFunc is a function as an [io.Reader].
type readFunc func(p []byte) (int, error)

// Read implements [io.Reader].
func (f readFunc) Read(p []byte) (int, error) { return f(p) }
