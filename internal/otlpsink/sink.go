// Package otlpsink is a receiver of traces for tests: programs under test
// export to it over OTLP/HTTP on loopback, and the test asks what arrived.
package otlpsink

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// maxBody bounds one export, unpacked; a longer one is refused with status 413.
const maxBody = 16 << 20

// maxSpans bounds what a Sink keeps; more are refused with status 507.
const maxSpans = 1 << 18

// A Sink receives traces and keeps them. It is safe for concurrent use.
type Sink struct {
	url    string
	server *http.Server
	wg     sync.WaitGroup

	mu      sync.Mutex // guards what follows
	spans   []Span
	changed chan struct{} // closed when spans grows, then replaced
}

// Start starts a Sink on a free port of loopback.
func Start() (*Sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start OTLP sink: %w", err)
	}
	s := &Sink{url: "http://" + l.Addr().String(), changed: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", s.traces)
	s.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	s.wg.Go(func() { _ = s.server.Serve(l) }) // Ends when Close closes the server.
	return s, nil
}

// URL returns the base URL, as OTEL_EXPORTER_OTLP_ENDPOINT wants it.
func (s *Sink) URL() string { return s.url }

// Env returns the environment that makes a program export its traces, and
// only these, here, soon after they end, all of them.
func (s *Sink) Env() []string {
	return []string{
		"OTEL_SDK_DISABLED=false",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + s.url + "/v1/traces",
		"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
		"OTEL_TRACES_SAMPLER=always_on",
		"OTEL_BSP_SCHEDULE_DELAY=100",
	}
}

// Close stops the Sink and waits for it; what it kept stays readable. It may
// be called twice.
func (s *Sink) Close() error {
	err := s.server.Close()
	s.wg.Wait()
	return err
}

// Spans returns what arrived so far, in order of arrival. The caller must not
// change the attributes.
func (s *Sink) Spans() []Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.spans)
}

// WaitFor blocks until done says so of all spans that arrived, and returns
// them. If ctx ends first, the error lists the names of those that did.
func (s *Sink) WaitFor(ctx context.Context, done func([]Span) bool) ([]Span, error) {
	for {
		s.mu.Lock()
		spans, changed := slices.Clone(s.spans), s.changed
		s.mu.Unlock()
		if done(spans) {
			return spans, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			names := make([]string, len(spans))
			for i, span := range spans {
				names[i] = span.Service + ": " + span.Name
			}
			return spans, fmt.Errorf("wait for spans: %w; got %d [%s]", context.Cause(ctx), len(spans), strings.Join(names, ", "))
		}
	}
}

func (s *Sink) traces(w http.ResponseWriter, r *http.Request) {
	if t := r.Header.Get("Content-Type"); t != "application/x-protobuf" {
		http.Error(w, "want application/x-protobuf, got "+t, http.StatusUnsupportedMediaType)
		return
	}
	data, err := body(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if len(data) > maxBody {
		http.Error(w, "export too large", http.StatusRequestEntityTooLarge)
		return
	}
	var req collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(data, &req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := s.add(convert(req.GetResourceSpans())); err != nil {
		http.Error(w, err.Error(), http.StatusInsufficientStorage)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf") // An empty response is an empty message.
}

func (s *Sink) add(spans []Span) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.spans)+len(spans) > maxSpans {
		return errors.New("sink is full")
	}
	s.spans = append(s.spans, spans...)
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

// body reads at most one byte more than maxBody.
func body(r *http.Request) ([]byte, error) {
	var in io.Reader = r.Body
	switch enc := r.Header.Get("Content-Encoding"); enc {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, fmt.Errorf("read gzip: %w", err)
		}
		in = z
	default:
		return nil, fmt.Errorf("unknown content encoding %q", enc)
	}
	return io.ReadAll(io.LimitReader(in, maxBody+1))
}
