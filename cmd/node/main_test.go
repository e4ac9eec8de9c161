package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tandem-actors/tandem/internal/cli"
	"github.com/tandem-actors/tandem/transport/broker"
)

// node runs a command to its end.
func node(t *testing.T, args ...string) (code cli.Code, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	code = cli.Run(t.Context(), root(), args, &out, &errOut)
	return code, errOut.String()
}

func TestCommands_refuseBadNamesBeforeAnythingStarts(t *testing.T) {
	for _, args := range []string{
		"run --realm BAD_X",
		"run --name \x07",
		"run --cancel-grace 0s",
		"cancel --realm BAD_X echo",
		"cancel --as \x07 echo",
		"cancel \x07",
		"local --realm BAD_X",
	} {
		code, stderr := node(t, strings.Split(args, " ")...)
		if code != cli.Usage || !strings.Contains(stderr, "\n  hint: give ") {
			t.Errorf("node %q exits %d, prints %q", args, code, stderr)
		}
	}
}

func TestCommands_sayThatNoRegistrarRuns(t *testing.T) {
	b, err := broker.Start(t.Context(), broker.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, args := range []string{"cancel echo", "run --actor echo --log-level error"} {
		code, stderr := node(t, strings.Split(args+" --join "+b.URL(), " ")...)
		if code != cli.Unreachable || !strings.Contains(stderr, "\n  hint: is a registrar running there?") {
			t.Errorf("node %s exits %d, prints %q", args, code, stderr)
		}
	}
}
