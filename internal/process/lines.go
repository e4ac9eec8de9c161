package process

import (
	"bytes"
	"io"
	"sync"
)

// MaxLine is the length in bytes of the longest line, with its newline, that is
// forwarded whole. A longer one goes on in a line of its own.
const MaxLine = 64 << 10

// A lineWriter passes on whole lines. It never fails: a writer that does loses
// the output, and the child does not hear of it.
type lineWriter struct {
	mu  *sync.Mutex // guards to, and what follows
	to  io.Writer
	buf []byte // the begin of a line, shorter than MaxLine
}

// Write implements [io.Writer].
func (l *lineWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(p)
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		end := i + 1
		if i < 0 {
			end = len(p)
		}
		end = min(end, MaxLine-1-len(l.buf)) // Room for a newline.
		if end == i {
			end++ // It is the newline that found no room otherwise.
		}
		l.buf = append(l.buf, p[:end]...)
		p = p[end:]
		if l.buf[len(l.buf)-1] == '\n' {
			l.forward()
		} else if len(l.buf) == MaxLine-1 && len(p) > 0 && p[0] != '\n' {
			l.buf = append(l.buf, '\n')
			l.forward()
		}
	}
	return n, nil
}

// flush passes on a last line that has no newline, with one.
func (l *lineWriter) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.buf) > 0 {
		l.buf = append(l.buf, '\n')
		l.forward()
	}
}

func (l *lineWriter) forward() {
	_, _ = l.to.Write(l.buf)
	l.buf = l.buf[:0]
}
