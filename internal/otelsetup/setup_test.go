package otelsetup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/tandem-actors/tandem/internal/otlpsink"
	"github.com/tandem-actors/tandem/telemetry"
)

// setenv clears all OTEL_ variables for the test and then sets pairs.
func setenv(t *testing.T, pairs ...string) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "") // An empty variable counts as unset.
		}
	}
	for _, kv := range pairs {
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
	}
}

func TestStart_installsOnlyWhatIsAskedFor(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"
	for _, c := range []struct {
		env                   []string
		traces, metrics, logs bool
	}{
		{nil, false, false, false},
		{[]string{"OTEL_SERVICE_NAME=x", "OTEL_TRACES_SAMPLER=always_on"}, false, false, false},
		{[]string{endpoint}, true, true, true},
		{[]string{endpoint, "OTEL_SDK_DISABLED=TRUE"}, false, false, false},
		{[]string{endpoint, "OTEL_SDK_DISABLED=no"}, true, true, true},
		{[]string{endpoint, "OTEL_METRICS_EXPORTER=none", "OTEL_LOGS_EXPORTER=none"}, true, false, false},
		{[]string{endpoint, "OTEL_TRACES_EXPORTER=none"}, false, true, true},
		{[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:1/v1/traces"}, true, false, false},
		{[]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://127.0.0.1:1/v1/metrics"}, false, true, false},
		{[]string{"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://127.0.0.1:1/v1/logs"}, false, false, true},
		{[]string{"OTEL_TRACES_EXPORTER=otlp"}, true, false, false},
	} {
		t.Run(strings.Join(c.env, " "), func(t *testing.T) {
			setenv(t, append(c.env, "OTEL_EXPORTER_OTLP_TIMEOUT=50")...)
			p, err := build(t.Context(), "test", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = p.shutdown(t.Context()) }()
			if p.traces != nil != c.traces || p.metrics != nil != c.metrics || p.logs != nil != c.logs {
				t.Errorf("traces %v, metrics %v, logs %v, want %v %v %v",
					p.traces != nil, p.metrics != nil, p.logs != nil, c.traces, c.metrics, c.logs)
			}
		})
	}
}

func TestStart_namesTheWrongVariable(t *testing.T) {
	const on = "OTEL_TRACES_EXPORTER=otlp"
	for _, wrong := range []string{
		"OTEL_TRACES_SAMPLER=sometimes", "OTEL_PROPAGATORS=pigeon", "OTEL_TRACES_SAMPLER_ARG=2", "OTEL_TRACES_SAMPLER_ARG=NaN",
	} {
		name, _, _ := strings.Cut(wrong, "=")
		setenv(t, on, "OTEL_TRACES_SAMPLER=traceidratio", wrong)
		shutdown, err := Start(t.Context(), "test", slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: Start = %v, want an error that names the variable", wrong, err)
		}
		shutdown(t.Context())
	}
}

func TestStart_exportsToTheEndpoint(t *testing.T) {
	sink, err := otlpsink.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sink.Close() }()
	setenv(t, append(sink.Env(), "OTEL_RESOURCE_ATTRIBUTES=team=a")...)
	var log bytes.Buffer
	shutdown, err := Start(t.Context(), "test", slog.New(slog.NewTextHandler(&log, nil)), telemetry.KeyServiceInstance.String("n1"))
	if err != nil {
		t.Fatal(err)
	}
	defer otel.SetTracerProvider(noop.NewTracerProvider())
	_, span := otel.Tracer("test").Start(t.Context(), "work")
	span.End()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	shutdown(canceled) // As after Ctrl-C.
	spans := sink.Spans()
	if len(spans) != 1 || spans[0].Name != "work" || spans[0].Service != "test" || spans[0].Instance != "n1" {
		t.Fatalf("arrived: %+v, want one span work of test, n1", spans)
	}
	resource := spans[0].Resource
	if resource["team"] != "a" || resource["process.pid"] != int64(os.Getpid()) {
		t.Errorf("resource = %v, want team and process.pid", resource)
	}
	for key := range resource {
		if strings.Contains(key, "command") {
			t.Errorf("resource tells %s", key)
		}
	}
	shutdown(t.Context())
	if log.Len() > 0 {
		t.Errorf("logged %q, want nothing", log.String())
	}
}

func TestStart_shutdownIsBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // Accepts and never answers.
	if err != nil {
		t.Fatal(err)
	}
	lost := make(chan error, 1)
	defer otel.SetErrorHandler(&losses{log: slog.New(slog.DiscardHandler)})
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { lost <- err }))
	defer func() { // The SDK still tries; its end must not show up in other tests.
		_ = l.Close()
		<-lost
	}()
	setenv(t, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://"+l.Addr().String())
	p, err := build(t.Context(), "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, span := p.traces.Tracer("test").Start(t.Context(), "lost")
	span.End()
	start := time.Now()
	if err := p.shutdown(t.Context()); err == nil {
		t.Error("shutdown lost a span without an error")
	}
	if took := time.Since(start); took > 5*flushTime {
		t.Errorf("shutdown took %v", took)
	}
}

// Nobody listens there, so every export is lost; the program is not to blame.
func TestStart_deadCollectorIsOneWarning(t *testing.T) {
	setenv(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_LOGS_EXPORTER=none")
	var log bytes.Buffer
	shutdown, err := Start(t.Context(), "test", slog.New(slog.NewJSONHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer otel.SetTracerProvider(noop.NewTracerProvider())
	_, span := otel.Tracer("test").Start(t.Context(), "lost")
	span.End()
	shutdown(t.Context())
	var line struct{ Level, Msg, Error string }
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatalf("logged %q, want one line: %v", log.String(), err)
	}
	if line.Level != "WARN" || !strings.Contains(line.Error, "127.0.0.1:1") {
		t.Errorf("logged %+v, want a warning that names the address", line)
	}
}

func TestLosses_saidOnceAndThenOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := &losses{log: slog.New(slog.NewTextHandler(&log, nil))}
		for range 130 { // One per second.
			l.Handle(errors.New("refused"))
			time.Sleep(time.Second)
		}
		var times []string
		for line := range strings.Lines(log.String()) {
			_, n, _ := strings.Cut(strings.TrimSpace(line), "error=refused times=")
			times = append(times, n)
		}
		if want := []string{"1", "60", "60"}; !slices.Equal(times, want) {
			t.Errorf("lines say %q times, want %q:\n%s", times, want, log.String())
		}
	})
}

// Standard output belongs to what the programs print.
func TestExporters_consoleIsStandardError(t *testing.T) {
	setenv(t, "OTEL_TRACES_EXPORTER=console", "OTEL_METRICS_EXPORTER=console", "OTEL_LOGS_EXPORTER=console")
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	defer func(stderr *os.File) { os.Stderr = stderr }(os.Stderr)
	os.Stderr = file
	p, err := build(t.Context(), "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, span := p.traces.Tracer("test").Start(t.Context(), "a span")
	span.End()
	counter, err := p.metrics.Meter("test").Int64Counter("a_counter")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 1)
	logs, err := logExporter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(logs.Export(t.Context(), make([]sdklog.Record, 1)), p.shutdown(t.Context())); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a span", "a_counter", "SeverityText"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("standard error lacks %q: %s", want, text)
		}
	}
}

func TestCancelSampler_alwaysRecordsTheWave(t *testing.T) {
	setenv(t, "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0")
	sampler, err := samplerFromEnv()
	if err != nil {
		t.Fatal(err)
	}
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSampler(cancelSampler{sampler})).Tracer("test")
	ctx, work := tracer.Start(t.Context(), "work")
	if work.SpanContext().IsSampled() {
		t.Error("ratio 0 sampled ordinary work")
	}
	ctx, request := tracer.Start(ctx, telemetry.SpanCancelRequest, trace.WithAttributes(telemetry.KeyCancelID.String("c-1")))
	if !request.SpanContext().IsSampled() {
		t.Error("the request of a cancel was not sampled")
	}
	remote := telemetry.Extract(t.Context(), telemetry.Inject(ctx))
	_, apply := tracer.Start(remote, telemetry.SpanCancelApply, trace.WithAttributes(attribute.Int("x", 1), telemetry.KeyCancelID.String("c-1")))
	if !apply.SpanContext().IsSampled() || apply.SpanContext().TraceID() != request.SpanContext().TraceID() {
		t.Error("the wave is not one sampled trace")
	}
}

func TestSampler_fromEnv(t *testing.T) {
	for env, want := range map[string]string{
		"":                          "ParentBased{root:AlwaysOnSampler",
		"always_on":                 "AlwaysOnSampler",
		"ALWAYS_OFF":                "AlwaysOffSampler",
		"traceidratio":              "TraceIDRatioBased{0.25}",
		"parentbased_always_on":     "ParentBased{root:AlwaysOnSampler",
		"parentbased_always_off":    "ParentBased{root:AlwaysOffSampler",
		" parentbased_traceidratio": "ParentBased{root:TraceIDRatioBased{0.25}",
	} {
		setenv(t, "OTEL_TRACES_SAMPLER="+env, "OTEL_TRACES_SAMPLER_ARG=0.25")
		s, err := samplerFromEnv()
		if err != nil || !strings.HasPrefix(s.Description(), want) {
			t.Errorf("OTEL_TRACES_SAMPLER=%q: %v, %v, want %s", env, s, err, want)
		}
	}
}

func TestPropagators_fromEnv(t *testing.T) {
	for env, want := range map[string][]string{
		"":                      {"traceparent", "tracestate"},
		"tracecontext, baggage": {"baggage", "traceparent", "tracestate"},
		"none":                  nil,
	} {
		setenv(t, "OTEL_PROPAGATORS="+env)
		p, err := propagators()
		if err != nil {
			t.Fatal(err)
		}
		got := p.Fields()
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("OTEL_PROPAGATORS=%q: fields %q, want %q", env, got, want)
		}
	}
}
