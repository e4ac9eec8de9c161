package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tandem-actors/tandem/cluster"
	"github.com/tandem-actors/tandem/internal/cli"
)

// health answers /livez as long as the process runs, and /readyz while the node
// is in its cluster. The zero health serves nowhere.
type health struct {
	server *http.Server
	wg     sync.WaitGroup
	node   atomic.Pointer[cluster.Node]
}

// newHealth serves at addr until close; nowhere, if addr is empty.
func newHealth(addr string, log *slog.Logger) (*health, error) {
	h := new(health)
	if addr == "" {
		return h, nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, cli.Errorf(cli.Failed, "choose another address with --http 127.0.0.1:0 (0 is any free port)", "listen for http: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { say(w, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { say(w, h.check()) })
	h.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second}
	h.wg.Go(func() {
		if err := h.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("health checks ended", slog.String("error", err.Error()))
		}
	})
	log.Info("health checks", slog.String("url", "http://"+l.Addr().String()+"/readyz"))
	return h, nil
}

// ready sets the node that is ready, nil for none.
func (h *health) ready(n *cluster.Node) { h.node.Store(n) }

func (h *health) check() error {
	n := h.node.Load()
	if n == nil {
		return errors.New("the node is starting or leaving")
	}
	return n.Err()
}

func say(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintln(w, err) // The client is gone, then.
		return
	}
	_, _ = fmt.Fprintln(w, "ok")
}

// close stops serving at once.
func (h *health) close() {
	if h.server != nil {
		_ = h.server.Close()
	}
	h.wg.Wait()
}
