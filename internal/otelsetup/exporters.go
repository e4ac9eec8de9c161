package otelsetup

import (
	"context"
	"os"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutlog"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// The exporters are those that autoexport knows, but for console: the standard
// output of our programs belongs to what they print.

func spanExporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	if onConsole("TRACES") {
		return stdouttrace.New(stdouttrace.WithWriter(os.Stderr))
	}
	return autoexport.NewSpanExporter(ctx)
}

func metricReader(ctx context.Context) (sdkmetric.Reader, error) {
	if onConsole("METRICS") {
		exporter, err := stdoutmetric.New(stdoutmetric.WithWriter(os.Stderr))
		if err != nil {
			return nil, err
		}
		return sdkmetric.NewPeriodicReader(exporter), nil
	}
	return autoexport.NewMetricReader(ctx)
}

func logExporter(ctx context.Context) (sdklog.Exporter, error) {
	if onConsole("LOGS") {
		return stdoutlog.New(stdoutlog.WithWriter(os.Stderr))
	}
	return autoexport.NewLogExporter(ctx)
}

func onConsole(signal string) bool { return os.Getenv("OTEL_"+signal+"_EXPORTER") == "console" }
