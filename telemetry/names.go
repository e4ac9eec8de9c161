package telemetry

import "go.opentelemetry.io/otel/attribute"

// Instrumentation is the name of the tracer, meter and logger of this module.
const Instrumentation = "github.com/tandem-actors/tandem"

// Names of spans. They are of low cardinality: ids go into attributes.
const (
	SpanSpawn           = "spawn"            // + actor, see [SpawnSpan]; INTERNAL
	SpanRun             = "run"              // + actor/endpoint, see [RunSpan]; SERVER
	SpanCancelRequest   = "cancel request"   // INTERNAL, the root of a wave
	SpanCancelPropagate = "cancel propagate" // PRODUCER, one per linked peer, ends at the ack
	SpanCancelApply     = "cancel apply"     // CONSUMER, links to the victim's run
	SpanWorkerKill      = "worker kill"      // INTERNAL, child of the apply
	SpanRegistryEvict   = "registry evict"   // INTERNAL, links to the failed send
)

// Names of log records that are events within a span.
const (
	EventCancelAck     = "tandem.cancel.ack"
	EventStreamOverrun = "tandem.stream.overrun"
	EventGossipSuspect = "tandem.gossip.suspect"
)

// Keys of attributes that many spans carry.
const (
	KeyCluster   = attribute.Key("tandem.cluster")
	KeyNode      = attribute.Key("tandem.node")
	KeyActorKind = attribute.Key("tandem.actor.kind") // low cardinality
	KeyActorID   = attribute.Key("tandem.actor.id")   // spans and logs only, never metrics
	KeyContextID = attribute.Key("tandem.context.id") // spans and logs only, never metrics
	KeyParentID  = attribute.Key("tandem.parent.id")
	KeyPeerID    = attribute.Key("tandem.peer.id")
	KeyIsolation = attribute.Key("tandem.isolation")
)

// Keys of attributes of running tasks and of links.
const (
	KeyTaskOutcome   = attribute.Key("tandem.task.outcome")
	KeyTaskContinues = attribute.Key("tandem.task.continues")
	KeyLinkRole      = attribute.Key("tandem.link.role")
)

// Keys of attributes of a cancel wave. Each of its spans carries the first
// two, so one query on the id finds the whole wave in any backend.
const (
	KeyCancelID       = attribute.Key("tandem.cancel.id")
	KeyCanceller      = attribute.Key("tandem.cancel.canceller")
	KeyCancelReason   = attribute.Key("tandem.cancel.reason")
	KeyCancelScope    = attribute.Key("tandem.cancel.scope")
	KeyCancelFanout   = attribute.Key("tandem.cancel.fanout")
	KeyCancelHop      = attribute.Key("tandem.cancel.hop")
	KeyCancelAck      = attribute.Key("tandem.cancel.ack")
	KeyCancelRelation = attribute.Key("tandem.cancel.relation")
)

// Keys of attributes of kills and evictions.
const (
	KeyKillRung      = attribute.Key("tandem.kill.rung")
	KeyKillMechanism = attribute.Key("tandem.kill.mechanism")
	KeyKillSurvivors = attribute.Key("tandem.kill.survivors")
	KeyEvictReason   = attribute.Key("tandem.evict.reason")
	KeyRegistryAge   = attribute.Key("tandem.registry.age_ms")
)

// Keys that OpenTelemetry's conventions name, as of semconv 1.43.
const (
	KeyErrorType       = attribute.Key("error.type")
	KeyProcessPID      = attribute.Key("process.pid")
	KeyRPCMethod       = attribute.Key("rpc.method")
	KeyRPCSystem       = attribute.Key("rpc.system.name")
	KeyServerAddress   = attribute.Key("server.address")
	KeyServiceInstance = attribute.Key("service.instance.id")
	KeyServiceName     = attribute.Key("service.name")
)

// RPCSystem is the value of [KeyRPCSystem].
const RPCSystem = "tandem"

// Values of [KeyIsolation].
const (
	IsolationInProcess = "inproc"
	IsolationProcess   = "process"
)

// Values of [KeyTaskOutcome].
const (
	OutcomeOK       = "ok"
	OutcomeError    = "error"
	OutcomeCanceled = "canceled"
	OutcomeOverrun  = "overrun"
	OutcomeKilled   = "killed"
	OutcomeDeadline = "deadline"
)

// Values of [KeyLinkRole].
const (
	RoleVictim    = "victim"
	RoleCanceller = "canceller"
	RolePrevious  = "previous" // the segment before, of a long run
)

// Values of [KeyCancelScope]: what was asked to end.
const (
	ScopeContext = "context"
	ScopeActor   = "actor"
	ScopeNode    = "node"
	ScopeTree    = "tree"
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
	RelationOurs    = "requested_by_us"
	RelationForeign = "foreign"
)

// Values of [KeyKillRung] and [KeyKillMechanism].
const (
	RungAsk  = "ask"
	RungInt  = "INT"
	RungTerm = "TERM"
	RungKill = "KILL"

	MechanismShim   = "shim"
	MechanismCgroup = "cgroup"
	MechanismPIDNS  = "pidns"
	MechanismPGID   = "pgid"
)

// Values of [KeyEvictReason].
const (
	EvictTransportFailure = "transport_failure"
	EvictGossipDead       = "gossip_dead"
	EvictTTL              = "ttl"
	EvictDeregistered     = "deregistered"
	EvictSuperseded       = "superseded"
)

// SpawnSpan returns the name of the span in which an actor starts.
func SpawnSpan(kind string) string { return SpanSpawn + " " + kind }

// OpenSpan returns the name of the CLIENT span that opens a context. It ends
// when the child has started, not when the context ends.
func OpenSpan(kind, endpoint string) string { return kind + "/" + endpoint }

// RunSpan returns the name of the SERVER span in which an endpoint runs.
func RunSpan(kind, endpoint string) string { return SpanRun + " " + kind + "/" + endpoint }
