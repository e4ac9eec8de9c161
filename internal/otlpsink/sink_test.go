package otlpsink_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tandem-actors/tandem/internal/otlpsink"
)

func start(t *testing.T) *otlpsink.Sink {
	t.Helper()
	sink, err := otlpsink.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sink.Close() })
	return sink
}

func provider(t *testing.T, sink *otlpsink.Sink, gzip otlptracehttp.Compression) *sdktrace.TracerProvider {
	t.Helper()
	exp, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(sink.URL()+"/v1/traces"), otlptracehttp.WithCompression(gzip))
	if err != nil {
		t.Fatal(err)
	}
	p := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exp), sdktrace.WithResource(resource.NewSchemaless(
		attribute.String("service.name", "svc"), attribute.String("service.instance.id", "i-1"))))
	t.Cleanup(func() { _ = p.Shutdown(context.WithoutCancel(t.Context())) })
	return p
}

func TestSink_keepsWhatArrives(t *testing.T) {
	for name, compression := range map[string]otlptracehttp.Compression{
		"plain": otlptracehttp.NoCompression, "gzip": otlptracehttp.GzipCompression,
	} {
		t.Run(name, func(t *testing.T) {
			sink := start(t)
			tracer := provider(t, sink, compression).Tracer("test")
			_, other := tracer.Start(t.Context(), "other")
			other.End()
			ctx, root := tracer.Start(t.Context(), "root", trace.WithSpanKind(trace.SpanKindProducer),
				trace.WithLinks(trace.Link{SpanContext: other.SpanContext(), Attributes: []attribute.KeyValue{attribute.String("role", "victim")}}))
			_, child := tracer.Start(ctx, "child", trace.WithAttributes(
				attribute.String("s", "x"), attribute.Int("i", 7), attribute.Bool("b", true), attribute.StringSlice("l", []string{"p", "q"})))
			child.SetStatus(codes.Error, "boom")
			child.End()
			root.End()

			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			spans, err := sink.WaitFor(ctx, func(s []otlpsink.Span) bool { return len(s) == 3 })
			if err != nil {
				t.Fatal(err)
			}
			c, r := spans[1], spans[2]
			if c.Name != "child" || c.Kind != "internal" || c.Status != "error" || c.StatusMessage != "boom" || c.Service != "svc" || c.Instance != "i-1" {
				t.Errorf("child arrived as %+v", c)
			}
			if l, _ := c.Attributes["l"].([]any); c.Attributes["s"] != "x" || c.Attributes["i"] != int64(7) || c.Attributes["b"] != true || len(l) != 2 {
				t.Errorf("attributes of child = %v", c.Attributes)
			}
			if c.ParentID != r.SpanID || c.TraceID != r.TraceID || r.ParentID != "" || r.Kind != "producer" || r.Status != "unset" {
				t.Errorf("child %+v is not the child of root %+v", c, r)
			}
			if len(r.Links) != 1 || r.Links[0].SpanID != other.SpanContext().SpanID().String() || r.Links[0].Attributes["role"] != "victim" {
				t.Errorf("links of root = %+v", r.Links)
			}
		})
	}
}

func TestSink_waitEndsWithContext(t *testing.T) {
	sink := start(t)
	_, span := provider(t, sink, otlptracehttp.NoCompression).Tracer("test").Start(t.Context(), "only")
	span.End()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	_, err := sink.WaitFor(ctx, func([]otlpsink.Span) bool { return false })
	if err == nil || !strings.Contains(err.Error(), "enough") || !strings.Contains(err.Error(), "svc: only") {
		t.Errorf("WaitFor = %v, want the cause and the names of what arrived", err)
	}
}

func TestSink_refusesWhatItCannotRead(t *testing.T) {
	sink := start(t)
	for _, c := range []struct {
		kind, encoding, body string
		want                 int
	}{
		{"application/json", "", "{}", http.StatusUnsupportedMediaType},
		{"application/x-protobuf", "", "\xff\xff", http.StatusBadRequest},
		{"application/x-protobuf", "gzip", "not gzip", http.StatusBadRequest},
		{"application/x-protobuf", "br", "", http.StatusBadRequest},
		{"application/x-protobuf", "", "", http.StatusOK},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, sink.URL()+"/v1/traces", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", c.kind)
		req.Header.Set("Content-Encoding", c.encoding)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%+v: status %d", c, resp.StatusCode)
		}
	}
	if n := len(sink.Spans()); n != 0 {
		t.Errorf("%d spans arrived out of nothing", n)
	}
}
