package otelsetup

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tandem-actors/tandem/telemetry"
)

// A cancelSampler records every span of a cancel wave and leaves the rest to
// next. Cancels are rare and are what people look for, and sampling across
// linked traces would otherwise leave holes in the wave.
type cancelSampler struct{ next sdktrace.Sampler }

// ShouldSample looks for the id of a wave among the start attributes.
func (s cancelSampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	for _, a := range p.Attributes {
		if a.Key == telemetry.KeyCancelID {
			return sdktrace.SamplingResult{
				Decision:   sdktrace.RecordAndSample,
				Tracestate: trace.SpanContextFromContext(p.ParentContext).TraceState(),
			}
		}
	}
	return s.next.ShouldSample(p)
}

// Description names the sampler and the one that it wraps.
func (s cancelSampler) Description() string { return "CancelSampler{" + s.next.Description() + "}" }

// samplerFromEnv returns what OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG
// ask for. The SDK reads them too, but does not let anyone wrap the result.
func samplerFromEnv() (sdktrace.Sampler, error) {
	name := strings.ToLower(strings.TrimSpace(os.Getenv("OTEL_TRACES_SAMPLER")))
	switch name {
	case "", "parentbased_always_on":
		return sdktrace.ParentBased(sdktrace.AlwaysSample()), nil
	case "parentbased_always_off":
		return sdktrace.ParentBased(sdktrace.NeverSample()), nil
	case "always_on":
		return sdktrace.AlwaysSample(), nil
	case "always_off":
		return sdktrace.NeverSample(), nil
	case "traceidratio", "parentbased_traceidratio":
		ratio, err := ratioFromEnv()
		if err != nil {
			return nil, err
		}
		if name == "traceidratio" {
			return sdktrace.TraceIDRatioBased(ratio), nil
		}
		return sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio)), nil
	default:
		return nil, fmt.Errorf("OTEL_TRACES_SAMPLER: unknown sampler %q", name)
	}
}

func ratioFromEnv() (float64, error) {
	arg := strings.TrimSpace(os.Getenv("OTEL_TRACES_SAMPLER_ARG"))
	if arg == "" {
		return 1, nil
	}
	ratio, err := strconv.ParseFloat(arg, 64)
	if err != nil || !(ratio >= 0 && ratio <= 1) { // So that NaN is wrong, too.
		return 0, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG: %q is not a ratio from 0 to 1", arg)
	}
	return ratio, nil
}
