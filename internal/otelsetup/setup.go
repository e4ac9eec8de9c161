// Package otelsetup installs the OpenTelemetry SDK in our programs, if their
// environment asks for it. It is the only place that imports the SDK: who
// embeds a node in a program of his own brings his own, or none.
package otelsetup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/tandem-actors/tandem/telemetry"
)

// flushTime bounds the export of what is left at shutdown.
const flushTime = time.Second

// batchTime is how long a finished span may wait for others, unless
// OTEL_BSP_SCHEDULE_DELAY says otherwise: what a killed process loses.
const batchTime = time.Second

// Start installs a provider for each of traces, metrics and logs that the
// environment asks for: by OTEL_{TRACES,METRICS,LOGS}_EXPORTER, by
// OTEL_EXPORTER_OTLP_ENDPOINT or by the signal's own endpoint. Without these,
// or if OTEL_SDK_DISABLED is true, nothing is installed and nothing is sent
// anywhere. The other OTEL_ variables mean what the specification says, but
// the exporter console writes to standard error, and the default of
// OTEL_PROPAGATORS is tracecontext, so baggage has to be asked for.
//
// service and attrs describe the program; OTEL_SERVICE_NAME and
// OTEL_RESOURCE_ATTRIBUTES overrule them. Spans of a cancel wave are always
// recorded, whatever the sampler says. Telemetry that is lost later on, for
// example because nobody answers at the endpoint, is no error of the program:
// log hears of the first time, and then at most once a minute how often.
//
// shutdown is never nil. It exports what is left, for at most a second, even
// if its ctx is done, and may be called twice. An error says which variable is
// wrong; then nothing is installed.
func Start(ctx context.Context, service string, log *slog.Logger, attrs ...attribute.KeyValue) (shutdown func(context.Context), err error) {
	nothing := func(context.Context) {}
	propagator, err := propagators()
	if err != nil {
		return nothing, fmt.Errorf("set up telemetry: %w", err)
	}
	lost := &losses{log: log}
	otel.SetErrorHandler(lost)
	p, err := build(ctx, service, attrs)
	if err != nil {
		return nothing, errors.Join(fmt.Errorf("set up telemetry: %w", err), p.shutdown(ctx))
	}
	otel.SetTextMapPropagator(propagator)
	if p.traces != nil {
		otel.SetTracerProvider(p.traces)
	}
	if p.metrics != nil {
		otel.SetMeterProvider(p.metrics)
	}
	if p.logs != nil {
		otel.SetLoggerProvider(p.logs)
	}
	var once sync.Once
	return func(ctx context.Context) {
		once.Do(func() {
			if err := p.shutdown(ctx); err != nil {
				lost.Handle(err)
			}
		})
	}, nil
}

// providers holds what was asked for; the rest is nil.
type providers struct {
	traces  *sdktrace.TracerProvider
	metrics *sdkmetric.MeterProvider
	logs    *sdklog.LoggerProvider
}

// build makes the providers that the environment asks for, and changes nothing
// outside. What it returns is to be shut down even if there is an error.
func build(ctx context.Context, service string, attrs []attribute.KeyValue) (*providers, error) {
	p := new(providers)
	if !asked("TRACES") && !asked("METRICS") && !asked("LOGS") {
		return p, nil
	}
	res, err := describe(ctx, service, attrs)
	if err != nil {
		return p, fmt.Errorf("describe this program: %w", err)
	}
	if asked("TRACES") {
		if p.traces, err = traces(ctx, res); err != nil {
			return p, fmt.Errorf("traces: %w", err)
		}
	}
	if asked("METRICS") {
		reader, err := metricReader(ctx)
		if err != nil {
			return p, fmt.Errorf("metrics: %w", err)
		}
		p.metrics = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithResource(res))
	}
	if asked("LOGS") {
		exporter, err := logExporter(ctx)
		if err != nil {
			return p, fmt.Errorf("logs: %w", err)
		}
		p.logs = sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)), sdklog.WithResource(res))
	}
	return p, nil
}

func traces(ctx context.Context, res *resource.Resource) (*sdktrace.TracerProvider, error) {
	sampler, err := samplerFromEnv()
	if err != nil {
		return nil, err
	}
	exporter, err := spanExporter(ctx)
	if err != nil {
		return nil, err
	}
	var batch []sdktrace.BatchSpanProcessorOption
	if os.Getenv("OTEL_BSP_SCHEDULE_DELAY") == "" {
		batch = append(batch, sdktrace.WithBatchTimeout(batchTime))
	}
	return sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter, batch...),
		sdktrace.WithResource(res),
		sdktrace.WithSampler(cancelSampler{sampler}),
	), nil
}

// asked reports whether the environment wants signal to be exported.
func asked(signal string) bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	if exporter := os.Getenv("OTEL_" + signal + "_EXPORTER"); exporter != "" {
		return exporter != "none"
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") != ""
}

// describe returns the resource. Command-line arguments are no part of it:
// people write secrets there.
func describe(ctx context.Context, service string, attrs []attribute.KeyValue) (*resource.Resource, error) {
	own := append([]attribute.KeyValue{
		telemetry.KeyServiceName.String(service),
		telemetry.KeyServiceInstance.String(uuid.NewString()),
	}, attrs...)
	return resource.New(
		ctx,
		resource.WithTelemetrySDK(),
		resource.WithHost(),
		resource.WithProcessPID(),
		resource.WithContainer(),
		resource.WithAttributes(own...),
		resource.WithFromEnv(),
	)
}

// propagators returns what OTEL_PROPAGATORS names, of the W3C ones.
func propagators() (propagation.TextMapPropagator, error) {
	value := os.Getenv("OTEL_PROPAGATORS")
	if value == "" {
		value = "tracecontext"
	}
	var list []propagation.TextMapPropagator
	for name := range strings.SplitSeq(value, ",") {
		switch strings.TrimSpace(name) {
		case "tracecontext":
			list = append(list, propagation.TraceContext{})
		case "baggage":
			list = append(list, propagation.Baggage{})
		case "none", "":
		default:
			return nil, fmt.Errorf("OTEL_PROPAGATORS: %q is none of tracecontext, baggage, none", name)
		}
	}
	return propagation.NewCompositeTextMapPropagator(list...), nil
}

// shutdown flushes and ends all providers side by side, in bounded time.
func (p *providers) shutdown(ctx context.Context) error {
	// A program that ends because ctx did still wants its last spans out.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	var wg sync.WaitGroup
	var errs [3]error
	if p.traces != nil {
		wg.Go(func() { errs[0] = p.traces.Shutdown(ctx) })
	}
	if p.metrics != nil {
		wg.Go(func() { errs[1] = p.metrics.Shutdown(ctx) })
	}
	if p.logs != nil {
		wg.Go(func() { errs[2] = p.logs.Shutdown(ctx) })
	}
	wg.Wait()
	return errors.Join(errs[:]...)
}
