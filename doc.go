// Package tandem is a distributed actor cluster: work on other machines that
// can really be stopped, by anyone entitled, everywhere at once, and that
// always says who stopped it and why.
//
// Programs import package cluster. ARCHITECTURE.md tells what stands on which
// floor and where each rule is.
package tandem
