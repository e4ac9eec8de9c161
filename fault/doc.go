// Package fault holds the errors that travel between actors: what each
// promises to carry, and how it crosses the wire.
//
// An error that leaves an endpoint is boxed with [Marshal] and arrives at the
// opener, after any number of relays, as a [*Canceled] or a [*RemoteError].
// Both keep who was at the source and who relayed; a relay appends itself and
// changes nothing else (conformance groups D and I). Nothing is looked up or
// instantiated by a name from the wire: types of other programs are labels.
package fault
