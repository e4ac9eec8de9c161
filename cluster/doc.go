// Package cluster runs actors on the nodes of a cluster and links tasks across
// them, so that work elsewhere can be stopped and says who stopped it.
//
// A [Node] runs actors. An actor has a name, a uuid and endpoints: plain typed
// functions. An endpoint is declared by a [Func], which is called, or a [Task],
// which is opened; the same constant serves it and reaches it:
//
//	const Greet = cluster.Func[string, string]("greet")
//
//	greeter, err := node.Spawn(ctx, "greeter", Greet.Serve(greet)) // on one node
//
//	greeter, err := node.Find(ctx, "greeter") // on any other
//	text, err := Greet.Call(ctx, greeter, "world")
//
// Opening a Task links two tasks, the [Parent] and the [Child], into a context:
// one cancel scope on two machines, with a stream both ways. It is the extent
// of a function, so it cannot leak; [Node.Nursery] does the same for tasks and
// actors of one's own.
//
// # Promises
//
// Nothing outlives its scope: Open and Call return when the other side has
// ended, or is lost, or has been given up with a [*TooSlow].
//
// A cancel that I asked for is swallowed where I leave. Anyone else's is
// returned, as a [*Canceled] with the canceller's name and reason, through any
// number of relays. In a canceled endpoint, [context.Cause] is that error.
//
// A peer that crashed, froze or was cut off is a [*LinkLost], never a clean end,
// within LinkTimeout.
//
// Messages arrive in order, once, or the context ends with an error. A receiver
// that falls behind by more than Buffer messages ends it with an [*Overrun];
// there is no backpressure yet, so let fast senders wait for replies.
//
// An endpoint that panics gives its opener a [*RemoteError]; the node lives on.
// Only declared endpoints can be reached, and nothing is looked up by a name
// from the wire.
//
// # Concurrency
//
// Every method may be called by several goroutines at once. Everything that may
// block takes a context and returns its cause when it is done. After
// [Node.Close] nothing that the node started is still running, but for
// endpoints that ignore their cancel, which its error names.
package cluster
