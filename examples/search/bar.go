package main

import (
	"io"
	"os"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// A bar shows how many of the files that were found are searched. A nil bar
// shows nothing. It is safe for concurrent use.
type bar struct {
	screen *mpb.Progress
	bar    *mpb.Bar
	total  atomic.Int64
}

func newBar(w io.Writer) *bar {
	screen := mpb.New(mpb.WithOutput(w), mpb.WithWidth(40))
	return &bar{screen: screen, bar: screen.AddBar(
		0,
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.CountersNoUnit("%d of %d files")),
		mpb.AppendDecorators(decor.Percentage()),
	)}
}

// Write prints whole lines above the bar.
func (b *bar) Write(p []byte) (int, error) { return b.screen.Write(p) }

// found counts a file that is to be searched.
func (b *bar) found() {
	if b != nil {
		b.bar.SetTotal(b.total.Add(1), false)
	}
}

// done counts files that are searched.
func (b *bar) done(n int) {
	if b != nil {
		b.bar.IncrBy(n)
	}
}

// close removes the bar. Write must not be called any more.
func (b *bar) close() {
	if b != nil {
		b.bar.Abort(true)
		b.screen.Wait()
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
