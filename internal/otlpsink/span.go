package otlpsink

import (
	"encoding/hex"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
)

// A Span is one span as it arrived. Ids are lower-case hex.
type Span struct {
	Name     string
	Kind     string // "internal", "server", "client", "producer" or "consumer"
	TraceID  string
	SpanID   string
	ParentID string // empty at the root
	Start    time.Time
	End      time.Time

	// Attributes holds values as string, bool, int64, float64, []byte, []any
	// or map[string]any.
	Attributes map[string]any
	Links      []Link

	Status        string // "unset", "ok" or "error"
	StatusMessage string

	Service  string         // service.name of the resource
	Instance string         // service.instance.id of the resource
	Resource map[string]any // all of it
}

// A Link ties a span to another one, maybe of another trace.
type Link struct {
	TraceID    string
	SpanID     string
	Attributes map[string]any
}

var kinds = map[trace.Span_SpanKind]string{
	trace.Span_SPAN_KIND_INTERNAL: "internal",
	trace.Span_SPAN_KIND_SERVER:   "server",
	trace.Span_SPAN_KIND_CLIENT:   "client",
	trace.Span_SPAN_KIND_PRODUCER: "producer",
	trace.Span_SPAN_KIND_CONSUMER: "consumer",
}

var statuses = map[trace.Status_StatusCode]string{
	trace.Status_STATUS_CODE_UNSET: "unset",
	trace.Status_STATUS_CODE_OK:    "ok",
	trace.Status_STATUS_CODE_ERROR: "error",
}

func convert(from []*trace.ResourceSpans) []Span {
	var spans []Span
	for _, rs := range from {
		resource := attributes(rs.GetResource().GetAttributes())
		service, _ := resource["service.name"].(string)
		instance, _ := resource["service.instance.id"].(string)
		for _, ss := range rs.GetScopeSpans() {
			for _, p := range ss.GetSpans() {
				span := convertSpan(p)
				span.Service, span.Instance, span.Resource = service, instance, resource
				spans = append(spans, span)
			}
		}
	}
	return spans
}

func convertSpan(p *trace.Span) Span {
	span := Span{
		Name:          p.GetName(),
		Kind:          kinds[p.GetKind()],
		TraceID:       hex.EncodeToString(p.GetTraceId()),
		SpanID:        hex.EncodeToString(p.GetSpanId()),
		ParentID:      hex.EncodeToString(p.GetParentSpanId()),
		Start:         time.Unix(0, int64(p.GetStartTimeUnixNano())), //nolint:gosec // Until the year 2262.
		End:           time.Unix(0, int64(p.GetEndTimeUnixNano())),   //nolint:gosec // Until the year 2262.
		Attributes:    attributes(p.GetAttributes()),
		Status:        statuses[p.GetStatus().GetCode()],
		StatusMessage: p.GetStatus().GetMessage(),
	}
	for _, l := range p.GetLinks() {
		span.Links = append(span.Links, Link{
			TraceID:    hex.EncodeToString(l.GetTraceId()),
			SpanID:     hex.EncodeToString(l.GetSpanId()),
			Attributes: attributes(l.GetAttributes()),
		})
	}
	return span
}

func attributes(from []*common.KeyValue) map[string]any {
	m := make(map[string]any, len(from))
	for _, kv := range from {
		m[kv.GetKey()] = value(kv.GetValue())
	}
	return m
}

func value(v *common.AnyValue) any {
	switch v := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_BoolValue:
		return v.BoolValue
	case *common.AnyValue_IntValue:
		return v.IntValue
	case *common.AnyValue_DoubleValue:
		return v.DoubleValue
	case *common.AnyValue_BytesValue:
		return v.BytesValue
	case *common.AnyValue_ArrayValue:
		list := make([]any, 0, len(v.ArrayValue.GetValues()))
		for _, e := range v.ArrayValue.GetValues() {
			list = append(list, value(e))
		}
		return list
	case *common.AnyValue_KvlistValue:
		return attributes(v.KvlistValue.GetValues())
	default:
		return nil
	}
}
