// Package httpapi is the registrar's HTTP face, and the client that our own
// commands use.
//
// It only reads. Errors are problem details (RFC 9457), the description is at
// /openapi.json, and what a version of the API names keeps its meaning.
package httpapi
