package telemetry

import "go.opentelemetry.io/otel/attribute"

// Instrumentation is the name of the tracer, meter and logger of this module.
const Instrumentation = "github.com/tandem-actors/tandem"

// Names of spans. They are of low cardinality: ids go into attributes.
const (
	SpanRun             = "run"              // + actor/endpoint, see [RunSpan]; SERVER
	SpanCancelRequest   = "cancel request"   // INTERNAL, the root of a wave
	SpanCancelPropagate = "cancel propagate" // PRODUCER, one per linked peer, ends at the ack
	SpanCancelApply     = "cancel apply"     // CONSUMER, links to the victim's run
)

// Keys of attributes that many spans carry.
const (
	KeyNode      = attribute.Key("tandem.node")
	KeyActorID   = attribute.Key("tandem.actor.id")   // spans and logs only, never metrics
	KeyContextID = attribute.Key("tandem.context.id") // spans and logs only, never metrics
	KeyPeerID    = attribute.Key("tandem.peer.id")
)

// Keys of attributes of running tasks and of links.
const (
	KeyTaskOutcome = attribute.Key("tandem.task.outcome")
	KeyLinkRole    = attribute.Key("tandem.link.role")
)

// Keys of attributes of a cancel wave. Each of its spans carries the first
// two, so one query on the id finds the whole wave in any backend.
const (
	KeyCancelID       = attribute.Key("tandem.cancel.id")
	KeyCanceller      = attribute.Key("tandem.cancel.canceller")
	KeyCancelReason   = attribute.Key("tandem.cancel.reason")
	KeyCancelScope    = attribute.Key("tandem.cancel.scope")
	KeyCancelHop      = attribute.Key("tandem.cancel.hop")
	KeyCancelAck      = attribute.Key("tandem.cancel.ack")
	KeyCancelRelation = attribute.Key("tandem.cancel.relation")
)

// Keys that OpenTelemetry's conventions name, as of semconv 1.43.
const (
	KeyErrorType       = attribute.Key("error.type")
	KeyRPCMethod       = attribute.Key("rpc.method")
	KeyRPCSystem       = attribute.Key("rpc.system.name")
	KeyServiceInstance = attribute.Key("service.instance.id")
	KeyServiceName     = attribute.Key("service.name")
)

// RPCSystem is the value of [KeyRPCSystem].
const RPCSystem = "tandem"

// Values of [KeyTaskOutcome].
const (
	OutcomeOK       = "ok"
	OutcomeError    = "error"
	OutcomeCanceled = "canceled"
	OutcomeOverrun  = "overrun"
	OutcomeDeadline = "deadline"
)

// Values of [KeyLinkRole].
const (
	RoleVictim    = "victim"
	RoleCanceller = "canceller"
)

// Values of [KeyCancelScope]: what was asked to end.
const (
	ScopeContext = "context"
	ScopeActor   = "actor"
)

// Values of [KeyCancelAck]: how a peer took a cancel.
const (
	AckAcked       = "acked"
	AckAlreadyDone = "already_done"
	AckUnreachable = "unreachable"
	AckTimeout     = "timeout"
)

// Values of [KeyCancelRelation]: who asked, seen from the canceled side.
const (
	RelationSelf    = "self"
	RelationForeign = "foreign"
)

// OpenSpan returns the name of the CLIENT span that opens a context. It ends
// when the child has started, not when the context ends.
func OpenSpan(actor, endpoint string) string { return actor + "/" + endpoint }

// RunSpan returns the name of the SERVER span in which an endpoint runs.
func RunSpan(actor, endpoint string) string { return SpanRun + " " + actor + "/" + endpoint }
