// Package echo is the smallest actor that the node binary carries: it answers
// with what it gets, which shows that a cluster works.
package echo

import (
	"context"

	"github.com/tandem-actors/tandem/cluster"
)

// Name is the name under which nodes register the actor.
const Name = "echo"

// Call returns its argument.
const Call = cluster.Func[string, string]("echo")

// Endpoint returns [Call] to be spawned.
func Endpoint() cluster.Endpoint {
	return Call.Serve(func(_ context.Context, text string) (string, error) { return text, nil })
}
