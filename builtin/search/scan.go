package search

import (
	"bytes"
	"errors"
	"io"
	"slices"
)

// chunk is how much is read at once, which is what GNU grep reads at once: a
// NUL byte makes a file binary from the chunk on in which it is found. (After a
// longer line grep reads more, also of later files.)
const chunk = 96 << 10

// newline ends a line, wherever bytes are needed.
var newline = []byte{'\n'}

// A Result says what Scan read.
type Result struct {
	Bytes int64
	Lines int64 // that were emitted
	// Binary says that r contains NUL bytes, and a match that was not emitted
	// for that reason. Nothing behind it was read.
	Binary bool
}

// Scan calls emit for each line of r that contains pattern, with its number,
// from 1, and without its newline. A last line without a newline counts, an
// empty pattern matches every line, and carriage returns are like any byte:
// what grep -nF does in the C locale, binary files included. text is valid
// until emit returns.
//
// A line has to fit into memory. pattern must not contain newlines. The error
// is that of r or of emit, which ends the scan.
func Scan(r io.Reader, pattern []byte, emit func(line int64, text []byte) error) (Result, error) {
	return new(scanner).scan(r, pattern, emit)
}

// A scanner keeps the buffer from one file to the next.
type scanner struct{ buf []byte }

func (s *scanner) scan(r io.Reader, pattern []byte, emit func(int64, []byte) error) (res Result, err error) {
	count := func(line int64, text []byte) error {
		res.Lines++
		return emit(line, text)
	}
	buf, line, nul := s.buf[:0], int64(1), false
	defer func() { s.buf = buf }()
	for {
		rest := len(buf) // the begin of a line
		buf = slices.Grow(buf, chunk)
		n, err := io.ReadFull(r, buf[rest:rest+chunk])
		buf = buf[:rest+n]
		res.Bytes += int64(n)
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return res, err
		}
		nul = nul || bytes.IndexByte(buf[rest:], 0) >= 0
		full := len(buf) // what this round is done with
		if nul {
			if len(buf) > 0 && bytes.Contains(buf, pattern) {
				res.Binary = true
				return res, nil
			}
			full -= min(len(buf), max(0, len(pattern)-1))
		} else {
			if !last { // Keep the begin of a line, however long; rest has no newline.
				full = wholeLines(buf, rest)
			}
			if line, err = scanLines(buf[:full], line, pattern, count); err != nil {
				return res, err
			}
		}
		if last {
			return res, nil
		}
		buf = buf[:copy(buf, buf[full:])]
	}
}

// wholeLines returns the length of the whole lines in buf, given that the first
// rest bytes contain no newline.
func wholeLines(buf []byte, rest int) int {
	i := bytes.LastIndexByte(buf[rest:], '\n')
	if i < 0 {
		return 0
	}
	return rest + i + 1
}

// scanLines scans whole lines, the first of which has that number, and returns
// the number of the line behind them. It looks at matches, not at lines.
func scanLines(data []byte, line int64, pattern []byte, emit func(int64, []byte) error) (int64, error) {
	counted := 0 // the newlines before it are in line
	for pos := 0; pos < len(data); {
		i := bytes.Index(data[pos:], pattern)
		if i < 0 {
			break
		}
		begin := pos + bytes.LastIndexByte(data[pos:pos+i], '\n') + 1
		line += int64(bytes.Count(data[counted:begin], newline))
		counted = begin
		end := len(data)
		if j := bytes.IndexByte(data[pos+i:], '\n'); j >= 0 {
			end = pos + i + j
		}
		if err := emit(line, data[begin:end]); err != nil {
			return line, err
		}
		pos = end + 1
	}
	return line + int64(bytes.Count(data[counted:], newline)), nil
}
