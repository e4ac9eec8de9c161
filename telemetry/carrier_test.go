package telemetry

import (
	"testing"

	"go.opentelemetry.io/otel/trace"
)

func spanContext() trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID:    trace.TraceID{0: 1, 15: 2},
		SpanID:     trace.SpanID{0: 3, 7: 4},
		TraceFlags: trace.FlagsSampled,
	})
}

func TestCarrier_keepsSpanContext(t *testing.T) {
	want := spanContext()
	c := Inject(trace.ContextWithSpanContext(t.Context(), want))
	if c.IsZero() {
		t.Fatal("Inject of a valid span context gave the zero Carrier")
	}
	if c[0] != 1 || c[15] != 2 || c[16] != 3 || c[23] != 4 || c[24] != 1 {
		t.Errorf("Inject = % x, want trace id, span id, flags", c)
	}
	got := trace.SpanContextFromContext(Extract(t.Context(), c))
	if !got.Equal(want.WithRemote(true)) {
		t.Errorf("Extract(Inject(%v)) = %v", want, got)
	}
	if !got.Equal(c.SpanContext()) {
		t.Errorf("SpanContext = %v, Extract gave %v", c.SpanContext(), got)
	}
}

func TestCarrier_keepsUnsampled(t *testing.T) {
	want := spanContext().WithTraceFlags(0)
	got := Inject(trace.ContextWithSpanContext(t.Context(), want)).SpanContext()
	if got.IsSampled() || got.TraceID() != want.TraceID() {
		t.Errorf("unsampled %v became %v", want, got)
	}
}

func TestCarrier_zeroIsNone(t *testing.T) {
	ctx := t.Context()
	if c := Inject(ctx); !c.IsZero() {
		t.Errorf("Inject without a span = % x, want zero", c)
	}
	for _, c := range []Carrier{{}, {0: 1}, {16: 1}, {24: 1}} {
		if Extract(ctx, c) != ctx {
			t.Errorf("Extract(% x) made a context from half an id", c)
		}
	}
}

func TestCarrier_doesNotAllocate(t *testing.T) {
	without := t.Context()
	with := trace.ContextWithSpanContext(without, spanContext())
	for name, f := range map[string]func(){
		"Inject without a span":  func() { Inject(without) },
		"Inject":                 func() { Inject(with) },
		"Extract of nothing":     func() { Extract(without, Carrier{}) },
		"SpanContext of nothing": func() { Carrier{}.SpanContext() },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

func BenchmarkInject_noSpan(b *testing.B) {
	b.ReportAllocs()
	ctx := b.Context()
	for b.Loop() {
		Inject(ctx)
	}
}
