package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/trace"
)

// A Carrier takes a trace across the wire in the frames that open or cancel:
// 16 bytes of trace id, 8 of span id, 1 of flags. The zero Carrier carries
// nothing. Trace state and baggage stay behind.
type Carrier [25]byte

// Inject returns a Carrier with the span context of ctx, or the zero Carrier if
// ctx has none. It does not allocate.
func Inject(ctx context.Context) Carrier {
	var c Carrier
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return c
	}
	id, span := sc.TraceID(), sc.SpanID()
	copy(c[:16], id[:])
	copy(c[16:24], span[:])
	c[24] = byte(sc.TraceFlags())
	return c
}

// Extract returns ctx with the span context of c as the remote parent of what
// starts in it. It returns ctx itself if c carries nothing, or half an id.
func Extract(ctx context.Context, c Carrier) context.Context {
	sc := c.SpanContext()
	if !sc.IsValid() {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, sc)
}

// SpanContext returns the remote span context of c, as links need it. It is
// not valid if c carries nothing.
func (c Carrier) SpanContext() trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID:    trace.TraceID(c[:16]),
		SpanID:     trace.SpanID(c[16:24]),
		TraceFlags: trace.TraceFlags(c[24]),
		Remote:     true,
	})
}

// IsZero reports whether c carries nothing.
func (c Carrier) IsZero() bool { return c == Carrier{} }
