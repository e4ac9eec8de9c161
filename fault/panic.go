package fault

import "fmt"

// A Panic is what an endpoint panicked with, or its exit without a return
// (scenario B-24). The node that recovered it lives on.
type Panic struct {
	Value string
	Stack string
}

// Error returns the panic's text without its stack.
func (p *Panic) Error() string { return fmt.Sprintf("endpoint panicked: %s", p.Value) }

// ErrorType returns the stable label of this error in telemetry.
func (*Panic) ErrorType() string { return "panic" }
