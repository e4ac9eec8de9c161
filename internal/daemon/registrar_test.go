package daemon

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tandem-actors/tandem/transport"
)

const anyPort = "127.0.0.1:0"

// start runs a registrar on free ports unless cfg says others. stop ends it
// and returns its error; it may be called twice.
func start(t *testing.T, cfg Config) (r Ready, stop func() error) {
	t.Helper()
	for _, addr := range []*string{&cfg.HTTP, &cfg.NATSListen, &cfg.Gossip} {
		if *addr == "" {
			*addr = anyPort
		}
	}
	announced := make(chan Ready, 1)
	cfg.Ready = func(r Ready) error { announced <- r; return nil }
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	var err error
	go func() { defer close(ended); err = Registrar(ctx, cfg) }()
	stop = func() error {
		cancel()
		select {
		case <-ended:
			return err
		case <-time.After(20 * time.Second):
			return errors.New("it does not stop")
		}
	}
	t.Cleanup(func() { _ = stop() })
	select {
	case r = <-announced:
	case <-ended:
		t.Fatal(err)
	case <-time.After(20 * time.Second):
		t.Fatal("it does not start")
	}
	return r, stop
}

func TestRegistrar_answersWhenItSaysSo(t *testing.T) {
	r, stop := start(t, Config{Name: "r1"})
	if r.Name != "r1" || r.PID != os.Getpid() || r.NATSRoute != "" {
		t.Errorf("ready says %+v", r)
	}
	for _, path := range []string{"/livez", "/v1/status"} {
		resp, err := http.Get(r.HTTPURL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	for _, addr := range []string{strings.TrimPrefix(r.NATSURL, "nats://"), r.GossipAddr} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Error(err)
			continue
		}
		_ = c.Close()
	}
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	// Everything can be had again.
	_, stop = start(t, Config{
		HTTP: strings.TrimPrefix(r.HTTPURL, "http://"), NATSListen: strings.TrimPrefix(r.NATSURL, "nats://"), Gossip: r.GossipAddr,
	})
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestRegistrar_namesThePortThatIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	port := l.Addr().(*net.TCPAddr).Port
	for want, cfg := range map[Port]Config{
		PortHTTP:        {HTTP: taken, NATSListen: anyPort, Gossip: anyPort},
		PortNATS:        {HTTP: anyPort, NATSListen: taken, Gossip: anyPort},
		PortNATSCluster: {HTTP: anyPort, NATSListen: anyPort, Gossip: anyPort, NATSClusterPort: port},
		PortGossip:      {HTTP: anyPort, NATSListen: anyPort, Gossip: taken},
	} {
		err := Registrar(t.Context(), cfg)
		e, ok := errors.AsType[*ListenError](err)
		if !ok || e.Port != want || !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), strconv.Itoa(port)) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestRegistrar_canBeStoppedWhileItStarts(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	why := errors.New("changed my mind")
	time.AfterFunc(50*time.Millisecond, func() { stop(why) })
	err := Registrar(ctx, Config{HTTP: anyPort, Gossip: anyPort, NATS: "nats://127.0.0.1:1"})
	if !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
}

func TestRegistrar_isReadyWhenItsDiscoveryIs(t *testing.T) {
	cfg, err := Config{HTTP: anyPort, NATSListen: anyPort, Gossip: anyPort}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	r := &registrar{cfg: cfg}
	defer func() {
		if err := stop(r.parts(), time.Minute, nil); err != nil {
			t.Error(err)
		}
		r.wg.Wait()
	}()
	if err := r.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for r.isReady() != nil {
		<-tick.C
	}
	if err := r.discovery.Ready(); err != nil {
		t.Errorf("it is ready, but discovery is not: %v", err)
	}
}

func TestRegistrar_isNotReadyBeforeItHasMetOthers(t *testing.T) {
	nobody, err := net.ListenPacket("udp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer nobody.Close()
	r, _ := start(t, Config{Join: []string{nobody.LocalAddr().String()}})
	resp, err := http.Get(r.HTTPURL + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("alone: %s", resp.Status)
	}
}

// NATS servers of registrars form a cluster, so each serves the nodes of all.
func TestRegistrar_routesNATS(t *testing.T) {
	r1, _ := start(t, Config{Name: "r1", NATSClusterPort: freePort(t)})
	r2, stop := start(t, Config{Name: "r2", NATSRoutes: []string{r1.NATSRoute}, Join: []string{r1.GossipAddr}})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	here, there := dial(t, r1.NATSURL), dial(t, r2.NATSURL)
	_, err := here.Subscribe("greet", "", func(_, reply string, data []byte) { _ = here.Publish(reply, "", data) })
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range tick.C { // Routes come up in the background.
		answer, err := there.Request(ctx, "greet", []byte("hello"))
		if err == nil && string(answer) == "hello" {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("request through the other: %q, %v", answer, err)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func dial(t *testing.T, url string) *transport.NATS {
	t.Helper()
	bus, err := transport.Dial(t.Context(), transport.DialConfig{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = bus.Close() })
	return bus
}

func TestRegistrar_abortSkipsTheGrace(t *testing.T) {
	abort := make(chan struct{})
	close(abort)
	_, stop := start(t, Config{Abort: abort, StopGrace: time.Hour})
	_ = stop() // It may say what was cut off.
}

// A browser connects before it has a question.
func TestRegistrar_silentConnectionDoesNotDelayTheStop(t *testing.T) {
	r, stop := start(t, Config{})
	silent, err := net.Dial("tcp", strings.TrimPrefix(r.HTTPURL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// The seed takes connections and never answers.
func TestRegistrar_abortCutsOffWhatHangs(t *testing.T) {
	mute, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	abort := make(chan struct{})
	close(abort)
	_, stop := start(t, Config{Join: []string{mute.Addr().String()}, Abort: abort, StopGrace: time.Hour})
	_ = stop() // It may say what was cut off.
}

func TestRegistrar_onlyADialIsADialError(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	err := Registrar(ctx, Config{HTTP: anyPort, Gossip: anyPort, NATS: "nats://127.0.0.1:1"})
	if _, ok := errors.AsType[*DialError](err); !ok || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody listens: %v", err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", anyPort)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
