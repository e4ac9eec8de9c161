// Package cli holds what our commands have in common: exit codes, the form of
// errors, formats of output, and what signals do.
//
// Data goes to standard output, everything else to standard error. An error is
// one line that says what did not work and one that says what to do.
package cli
