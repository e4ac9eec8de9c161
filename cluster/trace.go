package cluster

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	actorcontext "github.com/tandem-actors/tandem/context"
	"github.com/tandem-actors/tandem/fault"
	"github.com/tandem-actors/tandem/identity"
	"github.com/tandem-actors/tandem/telemetry"
)

// Spans stand at the edges only: open, run, and the cancels. A message of a
// stream costs none. A wave of cancels is one trace: request, and for every
// linked peer a propagate there and an apply here, which links to the span of
// the work that it ended.

// What is not recorded costs a span without attributes.
var (
	asClient = trace.WithSpanKind(trace.SpanKindClient)
	asServer = trace.WithSpanKind(trace.SpanKindServer)
)

// startOpen begins the span of an opener and returns what takes it along.
func (s *side) startOpen(ctx context.Context) [25]byte {
	ctx, s.span = s.node.tracer.Start(ctx, telemetry.OpenSpan(s.peer.Name, s.endpoint), asClient)
	if s.span.IsRecording() {
		s.span.SetAttributes(s.attributes()...)
		s.span.SetAttributes(telemetry.KeyRPCSystem.String(telemetry.RPCSystem), telemetry.KeyRPCMethod.String(s.peer.Name+"/"+s.endpoint))
	}
	return telemetry.Inject(ctx)
}

// endOpen ends the opener's span: when the child has started or, of a call,
// has ended. Later calls do nothing.
func (s *side) endOpen(err error) {
	if !s.span.IsRecording() {
		return
	}
	if err != nil {
		s.span.SetStatus(codes.Error, err.Error())
		s.span.SetAttributes(telemetry.KeyErrorType.String(errorType(err)))
		if c, ok := errors.AsType[*Canceled](err); ok {
			s.span.SetAttributes(cancelAttributes(c)...)
		}
	}
	s.span.End()
}

// startRun begins the span in which an endpoint runs.
func (s *side) startRun(ctx context.Context, parent [25]byte) context.Context {
	ctx, s.span = s.node.tracer.Start(telemetry.Extract(ctx, parent), telemetry.RunSpan(s.me.Name, s.endpoint), asServer)
	if s.span.IsRecording() {
		s.span.SetAttributes(s.attributes()...)
	}
	return ctx
}

// endRun ends it. A cancel is an outcome here, not an error: the one who did
// not ask for it sees the error.
func (s *side) endRun(err error) {
	if s.span.IsRecording() {
		outcome := telemetry.OutcomeOK
		c, canceled := errors.AsType[*Canceled](err)
		_, overrun := errors.AsType[*Overrun](err)
		switch {
		case err == nil:
		case canceled:
			outcome = telemetry.OutcomeCanceled
			s.span.SetAttributes(cancelAttributes(c)...)
		case errors.Is(err, context.DeadlineExceeded):
			outcome = telemetry.OutcomeDeadline
		case overrun:
			outcome = telemetry.OutcomeOverrun
		default:
			outcome = telemetry.OutcomeError
		}
		if err != nil && !canceled {
			s.span.SetStatus(codes.Error, err.Error())
			s.span.SetAttributes(telemetry.KeyErrorType.String(errorType(err)))
		}
		s.span.SetAttributes(telemetry.KeyTaskOutcome.String(outcome))
	}
	s.span.End()
}

func (s *side) attributes() []attribute.KeyValue {
	return []attribute.KeyValue{
		telemetry.KeyNode.String(s.node.id.Name),
		telemetry.KeyActorID.String(s.me.UUID.String()),
		telemetry.KeyContextID.String(s.id.String()),
		telemetry.KeyPeerID.String(s.peer.UUID.String()),
	}
}

func cancelAttributes(c *Canceled) []attribute.KeyValue {
	return []attribute.KeyValue{
		telemetry.KeyCancelID.String(c.Wave.String()),
		telemetry.KeyCanceller.String(c.Canceller.String()),
		telemetry.KeyCancelReason.String(c.Reason()),
		telemetry.KeyCancelHop.Int(c.Hop),
	}
}

func errorType(err error) string {
	if t, ok := errors.AsType[interface {
		error
		ErrorType() string
	}](err); ok {
		return t.ErrorType()
	}
	return fault.TypeOf(err)
}

// A wave is one cancel that is under way to one peer: its spans, and the frame,
// to send it again.
type wave struct {
	request, propagate trace.Span
	frame              []byte
}

// startWave begins the spans of c on its way to peer and notes them in c. A
// cancel that passes on another continues that one's trace.
func (n *Node) startWave(ctx context.Context, c *Canceled, scope string, peer identity.ActorID) *wave {
	w := &wave{}
	ctx = context.WithoutCancel(ctx)
	if c.Span == [25]byte{} {
		ctx, w.request = n.tracer.Start(ctx, telemetry.SpanCancelRequest, trace.WithAttributes(cancelAttributes(c)...),
			trace.WithAttributes(telemetry.KeyNode.String(n.id.Name), telemetry.KeyCancelScope.String(scope)))
	} else {
		ctx = telemetry.Extract(ctx, c.Span)
	}
	ctx, w.propagate = n.startPropagate(ctx, c, peer)
	c.Span = telemetry.Inject(ctx)
	return w
}

func (n *Node) startPropagate(ctx context.Context, c *Canceled, peer identity.ActorID) (context.Context, trace.Span) {
	return n.tracer.Start(ctx, telemetry.SpanCancelPropagate, trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(cancelAttributes(c)...),
		trace.WithAttributes(telemetry.KeyNode.String(n.id.Name), telemetry.KeyPeerID.String(peer.UUID.String())))
}

// end ends the spans of w. ack is how the peer took the cancel, unless err says
// that it did not get through. A nil wave has none.
func (w *wave) end(err error, ack string) {
	if w == nil {
		return
	}
	_, slow := errors.AsType[*TooSlow](err)
	_, lost := errors.AsType[*LinkLost](err)
	switch {
	case slow:
		ack = telemetry.AckTimeout
	case lost || errors.Is(err, ErrUnreachable):
		ack = telemetry.AckUnreachable
	case errors.Is(err, ErrNotFound):
		ack = telemetry.AckAlreadyDone
	}
	w.propagate.SetAttributes(telemetry.KeyCancelAck.String(ack))
	w.propagate.End()
	if w.request != nil {
		w.request.End()
	}
}

// apply records that c arrived here and ended the work of victims, and notes
// that in c, for those to whom it is passed on.
func (n *Node) apply(c *Canceled, me identity.ActorID, relation string, victims ...*side) {
	options := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(cancelAttributes(c)...),
		trace.WithAttributes(telemetry.KeyNode.String(n.id.Name), telemetry.KeyActorID.String(me.UUID.String()), telemetry.KeyCancelRelation.String(relation)),
	}
	for _, victim := range victims {
		options = append(options, trace.WithLinks(trace.Link{
			SpanContext: victim.span.SpanContext(),
			Attributes:  []attribute.KeyValue{telemetry.KeyLinkRole.String(telemetry.RoleVictim)},
		}))
	}
	ctx, span := n.tracer.Start(telemetry.Extract(context.Background(), c.Span), telemetry.SpanCancelApply, options...)
	c.Span = telemetry.Inject(ctx)
	for _, victim := range victims {
		victim.span.AddLink(trace.Link{
			SpanContext: span.SpanContext(),
			Attributes:  []attribute.KeyValue{telemetry.KeyLinkRole.String(telemetry.RoleCanceller)},
		})
	}
	span.End()
}

// applyToActor is apply for all tasks of a, which are told, too.
func (n *Node) applyToActor(a *actor, c *Canceled) {
	n.mu.RLock()
	var victims []*side
	for key, s := range n.sides {
		if key.which == actorcontext.Child && s.actor == a {
			victims = append(victims, s)
		}
	}
	n.mu.RUnlock()
	if len(victims) == 0 && c.Span == [25]byte{} {
		return // The end of an idle actor by its own node is no news.
	}
	relation := telemetry.RelationForeign
	if c.Canceller.Equal(a.id) || c.Canceller.Equal(n.id) {
		relation = telemetry.RelationSelf
	}
	n.apply(c, a.id, relation, victims...)
	for _, s := range victims {
		s.interruptWith(c)
	}
}

// tellOpener returns c as the opener gets it. If the opener did not ask for it
// and so waits for no ack, this is where the wave goes on to it.
func (s *side) tellOpener(c *Canceled) *Canceled {
	told := *c
	if !c.Canceller.Equal(s.peer) {
		told.Hop++
		ctx, span := s.node.startPropagate(telemetry.Extract(context.Background(), c.Span), &told, s.peer)
		told.Span = telemetry.Inject(ctx)
		span.End()
	}
	return &told
}
