//go:build unix

package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// role names what the test binary does instead of testing.
const role = "TANDEM_PROCESS_TEST"

func TestMain(m *testing.M) {
	if r := os.Getenv(role); r != "" {
		if err := play(r); err != nil {
			fmt.Fprintln(os.Stderr, r+":", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// play is the main function of a child.
func play(r string) error {
	ctx, stop := Lifeline(context.Background())
	defer stop()
	pids := []int{os.Getpid()}
	switch r {
	case "stubborn": // Nothing but SIGKILL ends it.
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
		ctx = context.Background()
	case "family": // A parent and a child, both stubborn, in one group.
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
		ctx = context.Background()
		fallthrough
	case "leaver": // It ends by itself and leaves a child that holds its output.
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), role+"=deaf")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			return err
		}
		pids = append(pids, cmd.Process.Pid)
	case "deaf":
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
		block(context.Background())
	case "middle": // It has a group of its own.
		g := NewGroup()
		for _, r := range []string{"stubborn", "polite", "family"} {
			_, theirs, err := launch(ctx, g, r, Command{})
			if err != nil {
				return err
			}
			pids = append(pids, theirs...)
		}
	case "mute":
		return nil
	case "talker":
		fmt.Print("one\ntwo\n" + strings.Repeat("x", MaxLine) + "\nlast")
		fmt.Fprintln(os.Stderr, "oops")
	case "failing":
		os.Exit(7)
	}
	if err := SayReady(pids); err != nil {
		return err
	}
	if r == "leaver" || r == "talker" {
		return nil
	}
	block(ctx)
	return context.Cause(ctx)
}

// block waits for ctx without the runtime thinking that this is a deadlock.
func block(ctx context.Context) {
	never := make(chan os.Signal, 1)
	signal.Notify(never, syscall.SIGWINCH)
	for {
		select {
		case <-never:
		case <-ctx.Done():
			return
		}
	}
}

// launch starts a child and returns the pids that it reports.
func launch(ctx context.Context, g *Group, r string, cmd Command) (*Child, []int, error) {
	cmd.Path = os.Args[0]
	cmd.Env = []string{role + "=" + r}
	c, err := g.Start(ctx, cmd)
	if err != nil {
		return nil, nil, err
	}
	line, err := c.Ready(ctx)
	if err != nil {
		return c, nil, err
	}
	var pids []int
	return c, pids, json.Unmarshal(line, &pids)
}

func mustLaunch(t *testing.T, g *Group, r string, cmd Command) (*Child, []int) {
	t.Helper()
	c, pids, err := launch(deadline(t), g, r, cmd)
	if err != nil {
		t.Fatal(err)
	}
	return c, pids
}

// newGroup returns a Group that is closed, with everything in it, after the test.
func newGroup(t *testing.T) *Group {
	t.Helper()
	g := NewGroup()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // Kill what a failed test left.
		if err := g.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return g
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// collected reports whether nothing is left of a process of ours, no zombie either.
func collected(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// dead reports whether pid runs no more; its new parent may not have collected it.
func dead(pid int) bool {
	if collected(pid) {
		return true
	}
	out, err := exec.Command("ps", "-o", "stat=", "-p", fmt.Sprint(pid)).Output()
	return err == nil && strings.HasPrefix(string(out), "Z")
}

// awaitDead waits until all are dead.
func awaitDead(t *testing.T, pids []int) {
	t.Helper()
	ctx := deadline(t)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for _, pid := range pids {
		for !dead(pid) {
			select {
			case <-tick.C:
			case <-ctx.Done():
				t.Fatalf("process %d lives on", pid)
			}
		}
	}
}

func TestChild_stopIsQuickWhenItObeys(t *testing.T) {
	g := newGroup(t)
	c, pids := mustLaunch(t, g, "polite", Command{StopGrace: time.Minute})
	start := time.Now()
	if err := c.Stop(deadline(t)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("an obedient child took %v to stop", took)
	}
	if pids[0] != c.PID() || !collected(c.PID()) {
		t.Errorf("process %d, of child %d, is still there", pids[0], c.PID())
	}
	if c.Err() == nil {
		t.Error("Err of a child that a signal ended is nil")
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Errorf("second Stop = %v", err)
	}
}

func TestChild_stubbornGroupIsKilled(t *testing.T) {
	g := newGroup(t)
	c, pids := mustLaunch(t, g, "family", Command{StopGrace: 50 * time.Millisecond})
	if err := c.Stop(deadline(t)); err != nil {
		t.Fatal(err)
	}
	if !collected(c.PID()) {
		t.Errorf("process %d is still there", c.PID())
	}
	awaitDead(t, pids)
}

func TestChild_endOfContextSkipsGrace(t *testing.T) {
	g := newGroup(t)
	c, pids := mustLaunch(t, g, "stubborn", Command{StopGrace: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := c.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	awaitDead(t, pids)
}

// A leftover that holds the output open neither blocks the end nor outlives it.
func TestChild_leavesNothingInItsGroup(t *testing.T) {
	g := newGroup(t)
	var out lockedBuffer
	c, pids := mustLaunch(t, g, "leaver", Command{Stdout: &out})
	select {
	case <-c.Done():
	case <-deadline(t).Done():
		t.Fatal("the end of the child was not noticed")
	}
	if err := c.Err(); err != nil {
		t.Errorf("Err = %v, want nil for exit status 0", err)
	}
	if !collected(pids[0]) {
		t.Error("the child is a zombie")
	}
	if runtime.GOOS == "linux" { // Linux; elsewhere leftovers are not found.
		awaitDead(t, pids)
	}
}

func TestChild_outputComesInWholeLines(t *testing.T) {
	g := newGroup(t)
	var out, errs lockedBuffer
	c, _ := mustLaunch(t, g, "talker", Command{Stdout: &out, Stderr: &errs})
	<-c.Done()
	want := []string{"one\n", "two\n", strings.Repeat("x", MaxLine-1) + "\n", "x\n", "last\n"}
	if got := out.writes; strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("stdout came as %.100q", got)
	}
	if got := errs.writes; len(got) != 1 || got[0] != "oops\n" {
		t.Errorf("stderr came as %q", got)
	}
}

func TestChild_notReady(t *testing.T) {
	g := newGroup(t)
	for r, want := range map[string]string{"mute": "without one", "failing": "without one"} {
		c, _, err := launch(deadline(t), g, r, Command{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Ready = %v, want %q", r, err, want)
		}
		<-c.Done()
		if failed := c.Err() != nil; failed != (r == "failing") {
			t.Errorf("%s: Err = %v", r, c.Err())
		}
	}
	c, err := g.Start(deadline(t), Command{Path: "sleep", Args: []string{"60"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if _, err := c.Ready(ctx); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("Ready in a canceled context = %v, want its cause", err)
	}
}

func TestGroup_startNamesWhatIsMissing(t *testing.T) {
	g := newGroup(t)
	_, err := g.Start(deadline(t), Command{Path: "/no/such/program"})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("Start = %v", err)
	}
}

func TestGroup_closeStopsAll(t *testing.T) {
	g := newGroup(t)
	var all []int
	for _, r := range []string{"polite", "stubborn", "family"} {
		_, pids := mustLaunch(t, g, r, Command{StopGrace: 100 * time.Millisecond})
		all = append(all, pids...)
	}
	if err := g.Close(deadline(t)); err != nil {
		t.Fatal(err)
	}
	for _, pid := range all[:3] { // Ours; the fourth is family.
		if !collected(pid) {
			t.Errorf("process %d is still there", pid)
		}
	}
	awaitDead(t, all)
	if _, err := g.Start(t.Context(), Command{Path: "true"}); !errors.Is(err, ErrClosed) {
		t.Errorf("Start on a closed group = %v, want ErrClosed", err)
	}
}

// Scenarios G-13, J-30: the parent has no chance to do anything.
func TestGroup_killedParentTakesChildrenWithIt(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux")
	}
	g := newGroup(t)
	c, pids := mustLaunch(t, g, "middle", Command{})
	if err := syscall.Kill(c.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-c.Done()
	awaitDead(t, pids[:4]) // All but the child of family, which the shim of a worker has to find.
	_ = syscall.Kill(pids[4], syscall.SIGKILL)
}

func TestLifeline_endOfStdinMeansParentGone(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, stop := watch(t.Context(), r)
	defer stop()
	_, _ = w.WriteString("noise")
	if ctx.Err() != nil {
		t.Error("canceled while the parent lives")
	}
	_ = w.Close()
	select {
	case <-ctx.Done():
	case <-deadline(t).Done():
		t.Fatal("the end of stdin was not noticed")
	}
	if err := context.Cause(ctx); !errors.Is(err, ErrParentGone) {
		t.Errorf("cause = %v, want ErrParentGone", err)
	}
}

func TestLifeline_stopEndsTheWatch(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	ctx, stop := watch(t.Context(), r)
	stop() // Hangs if the reader does not end.
	if err := context.Cause(ctx); errors.Is(err, ErrParentGone) {
		t.Errorf("cause after stop = %v", err)
	}
}

func TestLifeline_inARealChild(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"=polite")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	ready, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer ready.Close()
	cmd.ExtraFiles = []*os.File{w}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	_ = cmd.Wait()
	if !strings.Contains(stderr.String(), ErrParentGone.Error()) {
		t.Errorf("child ended with %q, want ErrParentGone", stderr.String())
	}
}

// lockedBuffer keeps what each Write got.
type lockedBuffer struct {
	mu     sync.Mutex
	writes []string
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writes = append(b.writes, string(p))
	return len(p), nil
}
