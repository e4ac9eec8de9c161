// Command registrar keeps the names of a cluster, and answers questions about
// it.
package main

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandem-actors/tandem/internal/cli"
	"github.com/tandem-actors/tandem/internal/httpapi"
)

const defaultAddr = "http://127.0.0.1:8400"

func main() { cli.Main(root()) }

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "registrar",
		Short: "Keep the names of a Tandem cluster, and answer questions about it",
		Example: `  registrar serve                    # on this host, with a NATS of its own
  registrar list                     # which actors there are
  registrar watch -o json            # what changes, a line each
  registrar find echo -o json | jq -r .actor.node.name`,
	}
	cmd.AddCommand(
		serveCommand(), listCommand(), findCommand(), nodesCommand(), statusCommand(), watchCommand(),
		cli.VersionCommand(),
	)
	return cmd
}

// An asker holds the flags of commands that ask a registrar.
type asker struct {
	addr    string
	timeout time.Duration
}

func addAsker(cmd *cobra.Command) *asker {
	a := new(asker)
	cmd.Flags().StringVar(&a.addr, "registrar", cmp.Or(os.Getenv("REGISTRAR_ADDR"), defaultAddr),
		"URL of the registrar, also $REGISTRAR_ADDR")
	cmd.Flags().DurationVar(&a.timeout, "timeout", 5*time.Second, "how long to wait for an answer")
	return a
}

// client returns a client of the registrar that the flags name.
func (a *asker) client() (*httpapi.Client, error) {
	if a.timeout <= 0 {
		return nil, cli.Errorf(cli.Usage, "give a duration, like 500ms or 10s", "--timeout %v: not positive", a.timeout)
	}
	c, err := httpapi.NewClient(a.addr)
	if err != nil {
		return nil, cli.Errorf(cli.Usage, "give --registrar or $REGISTRAR_ADDR a URL like "+defaultAddr, "%w", err)
	}
	return c, nil
}

// ask calls question with a client, within the timeout.
func ask[T any](ctx context.Context, a *asker, question func(context.Context, *httpapi.Client) (T, error)) (v T, err error) {
	c, err := a.client()
	if err != nil {
		return v, err
	}
	defer c.Close()
	ctx, stop := context.WithTimeout(ctx, a.timeout)
	defer stop()
	v, err = question(ctx, c)
	return v, explain(err)
}

// explain gives errors of the client an exit code and a hint.
func explain(err error) error {
	if e, ok := errors.AsType[*httpapi.UnreachableError](err); ok {
		hint := "start one with: registrar serve; or say where it is with --registrar or $REGISTRAR_ADDR"
		return &cli.Error{Code: cli.Unreachable, Err: e, Hint: hint}
	}
	if e, ok := errors.AsType[*httpapi.StatusError](err); ok {
		code, what := meaning(e.Status)
		return &cli.Error{Code: code, Err: e, Hint: what}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &cli.Error{Code: cli.Timeout, Err: err, Hint: "is it overloaded? a longer --timeout waits longer"}
	}
	return err
}

// meaning returns the exit code for an answer that says no, and what to do.
func meaning(status int) (code cli.Code, what string) {
	const version = "is it of this version? registrar version says which one this is"
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return cli.Permission, "a proxy may ask for credentials; registrars do not: give --registrar its own address"
	case http.StatusNotFound:
		return cli.NotFound, version
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return cli.Usage, version
	case http.StatusServiceUnavailable:
		return cli.Degraded, "try again in some seconds, or ask another one with --registrar"
	default:
		return cli.Failed, "its log may say more"
	}
}
