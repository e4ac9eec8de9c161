package search_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tandem-actors/tandem/builtin/search"
)

// nasty returns contents on which searchers differ.
func nasty() map[string]string {
	pad := strings.Repeat("pad line with nothing in it\n", 4000) // more than a chunk
	return map[string]string{
		"empty":                "",
		"one":                  "needle",
		"no_newline":           "a\nneedle",
		"only_newlines":        "\n\n\n",
		"crlf":                 "x needle\r\nneedle\r\n\r\n",
		"many_in_one_line":     "needle needle needle\nno\nneedleneedle\n",
		"overlapping":          "neeneedle\nneedl\ne\n",
		"latin1":               "needle \xff\xfe\n\x80\n",
		"long_line":            strings.Repeat("x", 300<<10) + "needle" + strings.Repeat("y", 300<<10) + "\nneedle\n",
		"long_last_line":       "needle\n" + strings.Repeat("x", 300<<10) + "needle",
		"late":                 pad + "needle\n" + pad + "needle",
		"across_chunks":        strings.Repeat("x", 96<<10-3) + "needle\nneedle\n",
		"line_across_chunks":   strings.Repeat("x", 96<<10-10) + "\nlong needle\nneedle\n",
		"newline_ends_chunk":   strings.Repeat("x", 96<<10-1) + "\nneedle\n",
		"binary":               "needle\n\x00\nneedle\n",
		"binary_no_match":      "nothing\n\x00\n",
		"binary_late":          "needle\n" + pad + "\x00\nneedle\n",
		"binary_late_no_match": "needle\n" + pad + "\x00\nnothing\n",
		"binary_nul_only":      "\x00",
		"binary_no_newline":    strings.Repeat("\x00", 300<<10) + "needle",
		"binary_across_chunks": "\x00" + strings.Repeat("x", 96<<10-4) + "needle",
		"binary_first_chunk":   "needle\n" + strings.Repeat("x", 96<<10-7-1) + "\x00",
		"binary_second_chunk":  "needle\n" + strings.Repeat("x", 96<<10-7-1) + "\n\x00needle",
	}
}

// scan returns what Scan finds, as grep prints it, and whether it is binary.
func scan(t *testing.T, content, pattern string) (string, bool) {
	t.Helper()
	var out strings.Builder
	res, err := search.Scan(strings.NewReader(content), []byte(pattern), func(line int64, text []byte) error {
		fmt.Fprintf(&out, "%d:%s\n", line, text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); int64(n) != res.Lines {
		t.Errorf("Lines = %d, emitted %d", res.Lines, n)
	}
	if !res.Binary && res.Bytes != int64(len(content)) {
		t.Errorf("Bytes = %d, want %d", res.Bytes, len(content))
	}
	return out.String(), res.Binary
}

// grep returns what grep -nF prints, and whether it calls the file binary.
func grep(t *testing.T, file, pattern string) (string, bool) {
	t.Helper()
	cmd := exec.Command("grep", "-nF", "-e", pattern, file)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() != 1) {
		t.Fatalf("grep: %v %s", err, errs.String())
	}
	return string(out), strings.Contains(errs.String(), "binary file matches")
}

func TestScan_isLikeGrep(t *testing.T) {
	if _, err := exec.LookPath("grep"); err != nil {
		t.Skip(err)
	}
	for name, content := range nasty() {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, pattern := range []string{"needle", "", "n", "\r", "\xff", "pad line", "absent"} {
			got, binary := scan(t, content, pattern)
			want, wantBinary := grep(t, file, pattern)
			if got != want || binary != wantBinary {
				t.Errorf("%s, pattern %q: got %.200q, binary %v; grep says %.200q, binary %v", name, pattern, got, binary, want, wantBinary)
			}
		}
	}
}

// The slow way to do it, for text.
func TestScan_isLikeTheSimplestScan(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		content := make([]byte, r.IntN(200))
		for i := range content {
			content[i] = "ab\n"[r.IntN(3)]
		}
		pattern := strings.Repeat("ab", r.IntN(2)) + strings.Repeat("a", r.IntN(3))
		var want strings.Builder
		n := 0
		for line := range strings.Lines(string(content)) {
			n++
			if line = strings.TrimSuffix(line, "\n"); strings.Contains(line, pattern) {
				fmt.Fprintf(&want, "%d:%s\n", n, line)
			}
		}
		if got, _ := scan(t, string(content), pattern); got != want.String() {
			t.Fatalf("content %q, pattern %q: got %q, want %q", content, pattern, got, want.String())
		}
	}
}

func TestScan_readsAnyHow(t *testing.T) {
	content := nasty()["line_across_chunks"] + nasty()["crlf"]
	want, _ := scan(t, content, "needle")
	var got strings.Builder
	r := iotest.HalfReader(iotest.DataErrReader(strings.NewReader(content)))
	_, err := search.Scan(r, []byte("needle"), func(line int64, text []byte) error {
		fmt.Fprintf(&got, "%d:%s\n", line, text)
		return nil
	})
	if err != nil || got.String() != want {
		t.Errorf("by half reads: %q, %v, want %q", got.String(), err, want)
	}
}

func TestScan_endsWithItsError(t *testing.T) {
	enough := errors.New("enough")
	res, err := search.Scan(strings.NewReader("x\nx\nx\n"), []byte("x"), func(line int64, _ []byte) error {
		if line == 2 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || res.Lines != 2 {
		t.Errorf("Scan = %+v, %v, want 2 lines and the error of emit", res, err)
	}
	if _, err = search.Scan(iotest.ErrReader(enough), nil, nil); !errors.Is(err, enough) {
		t.Errorf("Scan = %v, want the error of the reader", err)
	}
}

func FuzzScan(f *testing.F) {
	for _, content := range nasty() {
		f.Add([]byte(content), []byte("needle"))
	}
	f.Fuzz(func(t *testing.T, content, pattern []byte) {
		if bytes.ContainsAny(pattern, "\n\x00") {
			return // Refused before it gets to Scan.
		}
		last := int64(0)
		res, err := search.Scan(bytes.NewReader(content), pattern, func(line int64, text []byte) error {
			if line <= last || !bytes.Contains(text, pattern) || bytes.IndexByte(text, '\n') >= 0 {
				t.Errorf("line %d after %d: %q", line, last, text)
			}
			last = line
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if found := len(content) > 0 && bytes.Contains(content, pattern); found != (res.Lines > 0 || res.Binary) {
			t.Errorf("found %v, result %+v", found, res)
		}
	})
}

func BenchmarkScan(b *testing.B) {
	text := []byte(strings.Repeat("\tif err := s.node.send(ctx, kind, frame); err != nil {\n\t\treturn err\n\t}\n", 20000) + "needle\n")
	for _, pattern := range []string{"needle", "return err", "absent"} {
		b.Run(pattern, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				_, _ = search.Scan(bytes.NewReader(text), []byte(pattern), func(int64, []byte) error { return nil })
			}
		})
	}
}
