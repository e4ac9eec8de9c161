// Package discovery knows which actors there are and where they live: a
// [Client] in each node writes its actors down and looks others up, and a few
// [Registrar] processes keep copies of what all clients wrote.
//
// The rules, by number; tests name the one they hold.
//
//  1. One writer. The log of a node's run is written by that run alone, one
//     operation per sequence number. Copies differ only in how far they got.
//  2. Merge. Of two copies the longer one holds. What overlaps is skipped, a gap
//     is filled by a snapshot, and a snapshot never makes a copy shorter.
//  3. Runs. A run is told by its uuid, fresh per process start. Runs of one name
//     never write over each other: a newer run is evidence against the older
//     ones, which are probed at once and stay as long as they answer.
//  4. Obits. Who finds a run dead lays an obit over its copy; nobody else's log
//     is ever changed. An obit holds for the run's incarnation and those below:
//     a living run that hears of it raises its incarnation, and the suspended
//     copy is back as it was.
//  5. Graves. An obit stays when the copy it covers is dropped, so an old copy
//     elsewhere cannot bring the run back. Leaving is an obit that
//     nothing refutes.
//  6. Evidence. Three missed heartbeats, or a client that saw the transport
//     fail, make a registrar probe the run. No answer hides it at once; no
//     answer a second later evicts it. An answer ends the matter. While the
//     registrar's own bus fails, and shortly after, nobody is judged, and
//     silence does not count while that bus carries nothing.
//  7. Hearing. A registrar that hears a run itself does not take others' word
//     against it: it probes and lets the run refute. A run that it only knows
//     through gossip is left to the registrars that hear it, unless none
//     of them has heard it for a minute.
//  8. Order. Of several live actors with one name the newest registration comes
//     first, by the clock of its node; if equal, the greater uuid.
//  9. Gossip is a hint: it carries heads, which say how long a log is and its
//     hash. What is missing is pulled, from the node or, out of its reach, from
//     the registrar that told.
//  10. Denial. A registrar that has just started, or had no bus, tells who is
//     there, but not for two heartbeats that somebody is not.
//
// Not yet there: consent of a second registrar before an eviction, and a brake
// on evictions when many nodes would go at once.
package discovery
