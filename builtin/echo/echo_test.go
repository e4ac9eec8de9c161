package echo_test

import (
	"testing"

	"github.com/tandem-actors/tandem/builtin/echo"
	"github.com/tandem-actors/tandem/cluster"
)

func TestCall_returnsItsArgument(t *testing.T) {
	node, err := cluster.Start(t.Context(), cluster.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	p, err := node.Spawn(t.Context(), echo.Name, echo.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"", "hello", "größer\n"} {
		got, err := echo.Call.Call(t.Context(), p, want)
		if err != nil || got != want {
			t.Errorf("Call(%q) = %q, %v", want, got, err)
		}
	}
}
