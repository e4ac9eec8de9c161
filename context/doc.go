// Package actorcontext (folder context) is one side of a linked pair of tasks
// as a pure state machine: no goroutine, no clock, no lock, no I/O. Its
// driver (package cluster) feeds it what the peer said and what the local task
// does, and carries out what it answers.
//
// A parent opens a context on an endpoint of another actor; a child runs it.
// Both sides use the same [Machine]; they differ only in which kinds of
// message they may send. The tables in state.go are the protocol: what they do
// not name is an error that says which side broke it.
//
// # Rules
//
//	R1  A context is opened once. Open waits for Started; Call does not, and
//	    carries nothing but its result.
//	R2  Started, Yield, Stop and Return are ordered: numbered from 1 in each
//	    direction. A number seen before is dropped; a gap condemns the context.
//	R3  A direction that said Stop says no more Yields.
//	R4  Exactly one Return or Error ends a context, and the child sends it.
//	R5  Error does not wait for the data before it. It says how many ordered
//	    messages precede it, and those may still be read.
//	R6  Cancel asks the child to end. It is always acknowledged, also when the
//	    context has ended or was never heard of.
//	R7  The first cause wins, on each side; what comes later is an echo.
//	R8  A canceled child ends with an Error, whatever its endpoint returns: its
//	    own failure if it has one, otherwise the cancel.
//	R9  Absorption. A cancel is swallowed where the parent leaves iff the parent
//	    asked, the error names the parent as canceller, and it comes from the
//	    child itself. Any other is raised.
//	R10 A parent's own failure is raised unchanged; a failure of the child's own
//	    is joined to it, an acknowledgement never is.
//	R11 A lost link ends the context on the side that notices, as an error.
//
// The numbers of the scenarios that each rule serves stand beside its test.
package actorcontext
