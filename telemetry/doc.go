// Package telemetry holds the names under which Tandem is observed, and the
// 25 bytes by which a trace crosses the wire. It uses the OpenTelemetry API
// only: without an SDK, which is the program's choice, it costs next to nothing.
package telemetry
