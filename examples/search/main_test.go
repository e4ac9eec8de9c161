//go:build unix

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tandem-actors/tandem/builtin/search"
	"github.com/tandem-actors/tandem/internal/otlpsink"
	"github.com/tandem-actors/tandem/telemetry"
)

// asMain makes the test binary the program itself.
const asMain = "TANDEM_SEARCH_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
	}
	if url := os.Getenv(asNode); url != "" {
		if err := serveNode(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// result is what a command left.
type result struct {
	code           int
	stdout, stderr string
}

// lines returns the sorted lines of text, without the name of who wrote them.
func lines(text, who string) []string {
	var l []string
	for line := range strings.Lines(text) {
		l = append(l, strings.TrimPrefix(line, who))
	}
	slices.Sort(l)
	return l
}

func runCommand(t *testing.T, args ...string) result {
	t.Helper()
	t.Setenv("TANDEM_CLUSTER", "")
	var stdout, stderr bytes.Buffer
	code := command(t.Context(), args, &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

func runGrep(t *testing.T, args ...string) result {
	t.Helper()
	cmd := exec.Command("grep", append([]string{"-rnF"}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); errors.Is(err, exec.ErrNotFound) {
		t.Skip(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// sameAsGrep compares everything that both print.
func sameAsGrep(t *testing.T, args ...string) {
	t.Helper()
	got, want := runCommand(t, args...), runGrep(t, args...)
	if got.code != want.code {
		t.Errorf("%q: exit status %d, grep's is %d; stderr %.300s", args, got.code, want.code, got.stderr)
	}
	gotOut, wantOut := lines(got.stdout, ""), lines(want.stdout, "")
	for i := range max(len(gotOut), len(wantOut)) {
		if i >= len(gotOut) || i >= len(wantOut) || gotOut[i] != wantOut[i] {
			t.Errorf("%q: %d lines, grep has %d; sorted, they differ from line %d on: got %.200q, want %.200q", args,
				len(gotOut), len(wantOut), i, gotOut[min(i, len(gotOut)):min(i+1, len(gotOut))], wantOut[min(i, len(wantOut)):min(i+1, len(wantOut))])
			break
		}
	}
	if g, w := lines(got.stderr, "search: "), lines(want.stderr, "grep: "); !slices.Equal(g, w) {
		t.Errorf("%q: stderr %.500q, grep's is %.500q", args, g, w)
	}
}

// write writes a tree of files.
func write(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// nastyTree makes a tree on which searchers differ.
func nastyTree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	long := strings.Repeat("x", 40<<10) // A longer line would leave grep with larger buffers for the files after it.
	write(t, root, map[string]string{
		"a.go":                    "package a // needle\n\nneedle\n",
		"b.txt":                   "needle\n",
		".hidden/.c.go":           "needle",
		"deep/er/and/deeper/d.go": "no\nneedle needle\r\n",
		"empty.go":                "",
		"newlines.go":             "\n\n\n",
		"no newline.go":           "x\nneedle",
		"crlf.go":                 "needle\r\n\r\nneedle\r\n",
		"latin.go":                "n\xe4h needle \xff\n",
		"long.go":                 long + "needle" + long + "\nneedle\n",
		"late.go":                 strings.Repeat("pad\n", 50_000) + "needle\n",
		"binary.go":               "needle\x00\nneedle\n",
		"binary_late.go":          "needle\n" + strings.Repeat("pad\n", 50_000) + "\x00needle\n",
		"binary_no_match.go":      "\x00",
		"name\xff\nwith: all.go":  "needle\n",
		"-dash.go":                "needle\n",
		"unicode/größe.go":        "größe needle\n",
	})
	many := make(map[string]string)
	for i := range 300 {
		many[fmt.Sprintf("many/%d/f%d.go", i%7, i)] = strings.Repeat(fmt.Sprintf("line of %d\nneedle %d\n", i, i), i)
	}
	write(t, root, many)
	for name, target := range map[string]string{"link.go": "a.go", "linkdir": "deep", "dangling.go": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(root, "fifo.go"), 0o600); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestSearch_isLikeGrep(t *testing.T) {
	root := nastyTree(t)
	t.Chdir(root)
	for _, args := range [][]string{
		{"needle"},
		{"needle", "."},
		{"needle", "./many/"},
		{"needle", "many//"},
		{"needle", root},
		{"needle", "linkdir"},
		{"--include=*.go", "needle", root},
		{"--include=*.go", "--include=b.*", "needle", "."},
		{"--include=*er*", "needle"},
		{"", "."},
		{"\r", "."},
		{"größe", "."},
		{"absent", "."},
		{"--include=*.nothing", "needle", "."},
	} {
		sameAsGrep(t, args...)
	}
}

func TestSearch_isLikeGrepOnRealCode(t *testing.T) {
	src := filepath.Join(runtime.GOROOT(), "src") //nolint:staticcheck // Any large tree will do.
	if _, err := os.Stat(src); err != nil {
		t.Skip(err)
	}
	for _, args := range [][]string{
		{"--include=*.go", "context.Context", filepath.Join(src, "net")},
		{"e", filepath.Join(src, "encoding")},
		{"if err != nil {", filepath.Join(src, "os")},
	} {
		sameAsGrep(t, args...)
	}
}

func TestSearch_worksOnAnyNumberOfNodes(t *testing.T) {
	root := nastyTree(t)
	want := runCommand(t, "--nodes=1", "needle", root)
	got := runCommand(t, "-nodes", "7", "-v", "needle", root)
	if g, w := lines(got.stdout, ""), lines(want.stdout, ""); !slices.Equal(g, w) {
		t.Errorf("7 nodes found %d lines, 1 node %d", len(g), len(w))
	}
	for _, want := range []string{"searcher@node-7: ", "files/s, on 7 searchers"} {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("-v says %q, want %q in it", got.stderr, want)
		}
	}
}

func TestSearch_maxIsExact(t *testing.T) {
	root := nastyTree(t)
	if err := os.Remove(filepath.Join(root, "name\xff\nwith: all.go")); err != nil { // It takes two lines for one.
		t.Fatal(err)
	}
	all := lines(runCommand(t, "needle", root).stdout, "")
	for _, n := range []int{1, 2, 1000, len(all) - 1, len(all), len(all) + 1} {
		r := runCommand(t, fmt.Sprintf("--max=%d", n), "needle", root)
		got := lines(r.stdout, "")
		if len(got) != min(n, len(all)) || r.code != 0 {
			t.Errorf("--max=%d: %d lines, exit status %d, stderr %.200s", n, len(got), r.code, r.stderr)
		}
		for _, line := range got {
			if _, found := slices.BinarySearch(all, line); !found {
				t.Errorf("--max=%d: line %.100q is not among all", n, line)
			}
		}
	}
}

func TestSearch_mistakesExitWith2(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, filepath.Dir(file), map[string]string{"file": "x"})
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "search: want PATTERN [DIR]"},
		{[]string{"a", "b", "c"}, "got 3 arguments"},
		{[]string{"needle", "-v"}, "flags go before PATTERN"},
		{[]string{"needle", ".", "--max", "1"}, "flags go before PATTERN"},
		{[]string{"--frobnicate", "x"}, "-frobnicate"},
		{[]string{"--include=[", "x"}, "syntax error in pattern"},
		{[]string{"--max=-1", "x"}, "-max"},
		{[]string{"--nodes=0", "x"}, "-nodes"},
		{[]string{"a\nb"}, "newlines"},
		{[]string{"x", "/no/such/dir"}, "search: /no/such/dir: no such file or directory"},
		{[]string{"x", file}, file + ": not a directory"},
	} {
		r := runCommand(t, c.args...)
		if r.code != 2 || r.stdout != "" || !strings.Contains(r.stderr, c.want) || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%q: exit status %d, stdout %q, stderr %q, want one line with %q", c.args, r.code, r.stdout, r.stderr, c.want)
		}
	}
}

func TestSearch_helpIsOutput(t *testing.T) {
	r := runCommand(t, "-h")
	if r.code != 0 || r.stderr != "" {
		t.Errorf("exit status %d, stderr %q, want 0 and nothing", r.code, r.stderr)
	}
	for _, want := range []string{"usage: search [flags] PATTERN [DIR]\n", "grep -rnF in the C locale, in any order", "TANDEM_CLUSTER"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("-h prints %q, want %q in it", r.stdout, want)
		}
	}
}

// What an end leaves under way is not counted as done, what was printed is.
func TestSearch_verboseAddsUp(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{"a": "needle\nneedle\n"})
	for n, want := range map[string]string{"0": "search: 2 lines; 1 files done, ", "1": "search: 1 lines; 0 files done, "} {
		if r := runCommand(t, "-v", "--max="+n, "needle", root); r.code != 0 || !strings.Contains(r.stderr, want) {
			t.Errorf("--max=%s: exit status %d, stderr %q, want %q in it", n, r.code, r.stderr, want)
		}
	}
}

// Scenario: the user has enough; nothing goes on anywhere.
func TestSearch_signalEndsIt(t *testing.T) {
	for sig, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		root := t.TempDir()
		write(t, root, map[string]string{"a": "needle\n", "b": ""})
		if err := os.Truncate(filepath.Join(root, "b"), 1<<42); err != nil { // Hours of reading.
			t.Skip(err)
		}
		cmd := exec.Command(os.Args[0], "needle", root)
		cmd.Env = append(os.Environ(), asMain+"=1", "TANDEM_CLUSTER=")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil || line != root+"/a:1:needle\n" {
			t.Errorf("first line %q, %v", line, err)
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != want {
			t.Errorf("%v: exit status %d, want %d; stderr %q", sig, code, want, stderr.String())
		}
		if got := stderr.String(); got != "search: got signal "+sig.String()+"\n" {
			t.Errorf("%v: stderr %q does not name the signal alone", sig, got)
		}
	}
}

// Scenario: search ... | head -1. An exit status means that the search left in
// order: who dies of SIGPIPE has none.
func TestSearch_closedOutputEndsIt(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{"a": strings.Repeat("needle\n", 100_000)}) // More than a pipe holds.
	cmd := exec.Command(os.Args[0], "needle", root)
	cmd.Env = append(os.Environ(), asMain+"=1", "TANDEM_CLUSTER=")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != root+"/a:1:needle\n" {
		t.Errorf("first line %q, %v", line, err)
	}
	if err := out.Close(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 141 || stderr.Len() > 0 {
		t.Errorf("%v, stderr %q, want exit status 141 and nothing", cmd.ProcessState, stderr.String())
	}
}

// Telemetry that gets lost, or that goes to the console, changes neither the
// output nor the exit status.
func TestSearch_telemetryIsBesideThePoint(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{"a": "needle\n"})
	for env, want := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1": "telemetry was lost",
		"OTEL_TRACES_EXPORTER=console":                   `"Name":"search"`,
	} {
		cmd := exec.Command(os.Args[0], "needle", root)
		cmd.Env = append(os.Environ(), asMain+"=1", "TANDEM_CLUSTER=", env)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil || string(out) != root+"/a:1:needle\n" {
			t.Errorf("%s: %v, stdout %q", env, err, out)
		}
		if n := strings.Count(stderr.String(), want); n != 1 {
			t.Errorf("%s: stderr says %q %d times, want once: %s", env, want, n, stderr.String())
		}
	}
}

// The whole search is one trace.
func TestSearch_isOneTrace(t *testing.T) {
	sink, err := otlpsink.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	root := t.TempDir()
	write(t, root, map[string]string{"a": "needle\n"})
	cmd := exec.Command(os.Args[0], "needle", root)
	cmd.Env = append(append(os.Environ(), asMain+"=1", "TANDEM_CLUSTER="), sink.Env()...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var names []string
	traces := make(map[string]bool)
	for _, span := range sink.Spans() {
		if span.Name == "search" || strings.HasSuffix(span.Name, "searcher/search") {
			traces[span.TraceID] = true
			names = append(names, span.Name)
		}
	}
	slices.Sort(names)
	open, run := telemetry.OpenSpan(search.Name, "search"), telemetry.RunSpan(search.Name, "search")
	if want := []string{run, run, run, "search", open, open, open}; !slices.Equal(names, want) || len(traces) != 1 {
		t.Errorf("spans %q in %d traces, want %q in one", names, len(traces), want)
	}
}
