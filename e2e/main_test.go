//go:build unix

// Package e2e_test drives the real binaries as a user would.
package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait of the tests. It says nothing about speed.
const patience = 30 * time.Second

// bin is where the binaries under test are.
var bin string

func TestMain(m *testing.M) {
	code, err := build(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// build builds the binaries and runs the tests.
func build(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "tandem-e2e-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	bin = dir
	cmd := exec.Command("go", "build", "-o", dir+string(filepath.Separator),
		"../cmd/node", "../cmd/registrar", "../examples/search", "./peer")
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build the binaries: %w\n%s", err, out)
	}
	return m.Run(), nil
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// A program is a running binary.
type program struct {
	t    *testing.T
	cmd  *exec.Cmd
	done chan struct{} // Closed when it has ended.

	mu    sync.Mutex // Guards what follows.
	lines []string
	more  chan struct{} // Closed and replaced when lines grows.
}

// start starts a binary, with what env adds to the environment. It is killed
// when the test ends.
func start(t *testing.T, env []string, name string, args ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(filepath.Join(bin, name), args...), done: make(chan struct{}), more: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr = w, w
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { p.read(out) })
	wg.Go(func() { _ = p.cmd.Wait(); close(p.done) })
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		wg.Wait()
		if t.Failed() {
			t.Logf("%s %s printed:\n%s", name, strings.Join(args, " "), strings.Join(p.printed(), "\n"))
		}
	})
	return p
}

func (p *program) read(r *os.File) {
	defer r.Close()
	for s := bufio.NewScanner(r); s.Scan(); {
		p.mu.Lock()
		p.lines = append(p.lines, s.Text())
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
}

func (p *program) printed() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clip(p.lines)
}

// prints waits for n lines that match pattern, and returns the groups of the
// last.
func (p *program) prints(n int, pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	timeout := time.After(patience)
	for {
		p.mu.Lock()
		lines, more := p.lines, p.more
		p.mu.Unlock()
		left := n
		for _, line := range lines {
			if groups := re.FindStringSubmatch(line); groups != nil {
				if left--; left == 0 {
					return groups
				}
			}
		}
		select {
		case <-more:
		case <-timeout:
			p.t.Fatalf("no %d lines like %q from %v", n, pattern, p.cmd.Args)
		}
	}
}

// stop sends a signal and waits for the end. It returns the exit code.
func (p *program) stop(sig syscall.Signal) int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("%v does not end after %v", p.cmd.Args, sig)
	}
	return p.cmd.ProcessState.ExitCode()
}

// run runs a binary to its end.
func run(t *testing.T, env []string, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(soon(t), filepath.Join(bin, name), args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// A local is a running node local.
type local struct {
	*program
	http, nats string
	pids       []int // The registrar, then the nodes.
}

// startLocal starts a local cluster and waits until all is up.
func startLocal(t *testing.T, env ...string) *local {
	t.Helper()
	l := &local{program: start(t, env, "node", "local")}
	registrar := l.prints(1, `^  registrar +pid (\d+) +(http://\S+) +(nats://\S+)$`)
	l.http, l.nats = registrar[2], registrar[3]
	l.pids = append(l.pids, number(t, registrar[1]))
	for i := 1; i <= 3; i++ {
		l.pids = append(l.pids, number(t, l.prints(1, fmt.Sprintf(`^  node-%d +pid (\d+) `, i))[1]))
	}
	l.prints(6, `actor registered`)
	return l
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// gone waits until no process of the cluster is left.
func (l *local) gone() {
	l.t.Helper()
	for _, pid := range l.pids {
		eventually(l.t, fmt.Sprintf("end of process %d", pid), func() bool { return !alive(pid) })
	}
}

// alive reports whether a process runs. One that waits to be reaped does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) { // Gone meanwhile, or a system without /proc.
		return syscall.Kill(pid, 0) == nil
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(after, "Z")
}

func eventually(t *testing.T, what string, check func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !check(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen within %v", what, patience)
		}
	}
}
