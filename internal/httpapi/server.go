package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/tandem-actors/tandem/discovery"
)

const (
	readHeaderTimeout = 5 * time.Second
	idleTimeout       = 2 * time.Minute
	writeTimeout      = 10 * time.Second // of one answer, or of one write to a stream
	maxHeaderBytes    = 16 << 10
)

// A Registrar is what the API shows. [*discovery.Registrar] is one.
type Registrar interface {
	List(query discovery.Query) []discovery.Record
	Nodes() []discovery.NodeRecord
	Status() discovery.Status
	Watch() *discovery.Watcher
}

// A Config says what to serve. Only Registrar is needed.
type Config struct {
	Registrar Registrar
	// Ready returns why /readyz shall fail, or nil. If nil, the server is
	// ready until it is closed.
	Ready func() error
	// Heartbeat is how often a stream without events says that it is alive. If
	// zero, every 15 seconds.
	Heartbeat time.Duration
	// MaxWatchers is how many streams there may be; more are told to come back
	// later. If zero, 256.
	MaxWatchers int
	// Version is the version in the description of the API.
	Version string
	// Logger gets what goes wrong with connections. If nil, nothing is logged.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Heartbeat = cmp.Or(c.Heartbeat, 15*time.Second)
	c.MaxWatchers = cmp.Or(c.MaxWatchers, 256)
	c.Version = cmp.Or(c.Version, "unknown")
	if c.Ready == nil {
		c.Ready = func() error { return nil }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// A Server answers HTTP requests about one registrar.
type Server struct {
	cfg      Config
	http     *http.Server
	camera   *camera
	watchers chan struct{} // A place for each stream; a request that gets none is refused.
	drain    sync.Once
	draining chan struct{} // Closed when the server stops.

	mu     sync.Mutex        // Guards silent.
	silent map[net.Conn]bool // Connections that have not asked anything yet; nil once the server stops.
}

// NewServer returns a server that does not listen yet.
func NewServer(cfg Config) *Server {
	s := &Server{cfg: cfg.withDefaults(), draining: make(chan struct{}), silent: make(map[net.Conn]bool)}
	s.camera = newCamera(s.cfg.Registrar)
	s.watchers = make(chan struct{}, s.cfg.MaxWatchers)
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnState:         s.track,
		ErrorLog:          slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelWarn),
	}
	return s
}

// Serve answers on l until Close, then returns nil. It closes l.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve http: %w", err)
	}
	return nil
}

// Close takes no more requests, tells streams that they end, and waits for
// what runs. When ctx is done it cuts off the rest. It may be called twice.
func (s *Server) Close(ctx context.Context) error {
	s.drain.Do(func() { close(s.draining) })
	s.hangUp()
	if err := s.http.Shutdown(ctx); err != nil {
		return fmt.Errorf("close http server: %w", errors.Join(cmp.Or(context.Cause(ctx), err), s.http.Close()))
	}
	return nil
}

// track knows the connections that are open but have not asked anything, as
// browsers make them in advance. Shutdown would wait for a question.
func (s *Server) track(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(s.silent, c)
	case s.silent == nil:
		_ = c.Close() // Nothing was said.
	default:
		s.silent[c] = true
	}
}

// hangUp closes the connections that have not asked anything.
func (s *Server) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.silent {
		_ = c.Close() // Nothing was said.
	}
	s.silent = nil
}

// handler puts the API together.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	config := huma.DefaultConfig("Tandem registrar", s.cfg.Version)
	config.Info.Description = "Which actors and nodes a Tandem cluster has."
	config.DocsPath, config.SchemasPath, config.CreateHooks = "", "", nil // Nothing from elsewhere, nothing added to bodies.
	config.RejectUnknownQueryParameters = true
	s.register(humago.New(mux, config))
	mux.HandleFunc("HEAD "+pathWatch, watchHead)
	mux.HandleFunc("/", notFound)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		// A stream moves this deadline with each write.
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			s.cfg.Logger.Warn("connection has no write deadline", slog.Any("error", err))
		}
		mux.ServeHTTP(w, r)
	})
}

// notFound answers what no operation matches: only reading is possible.
func notFound(w http.ResponseWriter, r *http.Request) {
	problem := huma.ErrorModel{
		Title: "Not Found", Status: http.StatusNotFound,
		Detail: fmt.Sprintf("nothing is at %q; /openapi.json says what there is", r.URL.Path),
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		problem.Title, problem.Status = "Method Not Allowed", http.StatusMethodNotAllowed
		problem.Detail = "the API only reads: use GET"
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(problem.Status)
	_ = huma.DefaultJSONFormat.Marshal(w, problem) // The client is gone if it fails.
}
