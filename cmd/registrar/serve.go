package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tandem-actors/tandem/identity"
	"github.com/tandem-actors/tandem/internal/cli"
	"github.com/tandem-actors/tandem/internal/daemon"
	"github.com/tandem-actors/tandem/internal/otelsetup"
)

// A server holds the flags of serve.
type server struct {
	daemon.Config
	insecure  bool
	readyFile string
	announced bool // The file is there.
	level     slog.Level
	out       *cli.Output
}

func serveCommand() *cobra.Command {
	s := new(server)
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a registrar until Ctrl-C",
		Long: `Run a registrar: it keeps names in memory, carries a NATS server unless --nats
names one, and shares what it knows with the registrars that --join names.

When everything answers, the addresses are printed on standard output; with
-o json as one line. SIGINT, SIGTERM or SIGHUP stops it in order, a second one
at once.`,
		Example: `  registrar serve
  registrar serve --http 127.0.0.1:8401 --gossip 127.0.0.1:7947 --nats nats://127.0.0.1:4222 --join 127.0.0.1:7946`,
	}
	flags := cmd.Flags()
	flags.StringVar(&s.Name, "name", "", "name of this registrar (default: the host's name)")
	flags.StringVar(&s.Realm, "realm", identity.DefaultRealm, "clusters of different realms can share a NATS")
	flags.StringVar(&s.HTTP, "http", "127.0.0.1:8400", "host:port of the HTTP API; port 0 is any free one")
	flags.StringVar(&s.NATS, "nats", "", "URL of a NATS to use instead of one of its own")
	flags.StringVar(&s.NATSListen, "nats-listen", "127.0.0.1:4222", "host:port of its own NATS")
	flags.IntVar(&s.NATSClusterPort, "nats-cluster-port", 0, "port where its own NATS takes routes of others")
	flags.StringSliceVar(&s.NATSRoutes, "nats-routes", nil, "nats://host:port of other registrars' cluster ports")
	flags.StringVar(&s.Gossip, "gossip", "127.0.0.1:7946", "host:port of the gossip with other registrars, TCP and UDP")
	flags.StringVar(&s.Advertise, "advertise", "", "host that other registrars reach the gossip by (default: from --gossip)")
	flags.StringSliceVar(&s.Join, "join", nil, "host:port of other registrars' gossip")
	flags.BoolVar(&s.insecure, "insecure", false, "listen on other than loopback addresses though there are no credentials yet")
	flags.StringVar(&s.readyFile, "ready-file", "", "file that holds the addresses, as JSON, from when everything answers until the end")
	flags.TextVar(&s.level, "log-level", slog.LevelInfo, "debug, info, warn or error; logs go to standard error")
	s.out = cli.AddOutput(cmd)
	cmd.RunE = s.run
	return cmd
}

func (s *server) run(cmd *cobra.Command, _ []string) error {
	if err := s.check(cmd); err != nil {
		return err
	}
	ctx := cmd.Context()
	s.Logger = cli.NewLogger(cmd.ErrOrStderr(), s.level)
	shutdown, err := otelsetup.Start(ctx, "registrar", s.Logger)
	if err != nil {
		return cli.Errorf(cli.Usage, "the OTEL_ environment variables say where telemetry goes", "%w", err)
	}
	defer shutdown(ctx)
	s.Version = cli.ReadVersion().Version
	s.Abort = cli.Abort(ctx)
	s.Ready = func(r daemon.Ready) error { return s.announce(cmd.OutOrStdout(), r) }
	err = s.explain(daemon.Registrar(ctx, s.Config))
	if s.announced {
		err = errors.Join(err, hint(os.Remove(s.readyFile), hintReadyFile))
	}
	if err == nil && ctx.Err() != nil {
		s.Logger.Info("registrar stopped", slog.Any("cause", context.Cause(ctx)))
	}
	return err
}

// explain gives errors of the registrar an exit code and a hint.
func (s *server) explain(err error) error {
	if e, ok := errors.AsType[*daemon.ListenError](err); ok {
		return hint(err, hintFor(e.Port))
	}
	if e, ok := errors.AsType[*daemon.DialError](err); ok && s.NATS != "" {
		code := cli.Failed
		if errors.Is(e, context.DeadlineExceeded) {
			code = cli.Timeout
		}
		return cli.Errorf(code, "start a NATS server there; or leave out --nats, and the registrar carries one", "%w", err)
	}
	return err
}

const hintReadyFile = "give --ready-file a path in a directory that exists and that you may write to"

// hint adds what to do to an error of the operating system, if it is one.
func hint(err error, what string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return cli.Errorf(cli.Permission, what, "%w", err)
	default:
		return cli.Errorf(cli.Failed, what, "%w", err)
	}
}

// check refuses flags that cannot work, before anything starts.
func (s *server) check(cmd *cobra.Command) error {
	if err := cli.CheckNames("--name", s.Name, s.Realm); err != nil {
		return err
	}
	binds := map[string]string{"http": s.HTTP, "gossip": s.Gossip, "nats-listen": s.NATSListen}
	if s.NATS != "" {
		for _, flag := range []string{"nats-listen", "nats-cluster-port", "nats-routes"} {
			if cmd.Flags().Changed(flag) {
				return cli.Errorf(cli.Usage, "use either the NATS of --nats, or one of its own", "--nats excludes --%s", flag)
			}
		}
		delete(binds, "nats-listen")
	}
	for _, flag := range []string{"http", "nats-listen", "gossip"} {
		if addr, ok := binds[flag]; ok {
			if err := cli.CheckBind(flag, addr, s.insecure); err != nil {
				return err
			}
		}
	}
	return cli.CheckPeers("join", s.Join)
}

// announce says where the registrar answers.
func (s *server) announce(w io.Writer, r daemon.Ready) error {
	if err := s.out.Next(w, ready(r)); err != nil {
		return err
	}
	if s.readyFile == "" {
		return nil
	}
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write %s: %w", s.readyFile, err)
	}
	if err := writeFile(s.readyFile, append(text, '\n')); err != nil {
		return hint(err, hintReadyFile)
	}
	s.announced = true
	return nil
}

// writeFile writes a file, for all to read, that is there either whole or not at
// all.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// ready is what serve prints when everything answers.
type ready daemon.Ready

// Table lists the addresses, one per line.
func (r ready) Table() cli.Table {
	t := cli.Table{Rows: [][]string{
		{"registrar", r.Name + ", names in memory, pid " + strconv.Itoa(r.PID)},
		{"http", r.HTTPURL},
		{"nats", r.NATSURL},
		{"gossip", r.GossipAddr},
	}}
	if r.NATSRoute != "" {
		t.Rows = append(t.Rows, []string{"nats route", r.NATSRoute})
	}
	return t
}

// hintFor says how to have another address.
func hintFor(port daemon.Port) string {
	flag := map[daemon.Port]string{
		daemon.PortHTTP: "--http", daemon.PortNATS: "--nats-listen", daemon.PortGossip: "--gossip",
	}[port]
	if flag == "" {
		return "choose another port with --nats-cluster-port"
	}
	return fmt.Sprintf("does one run already? choose another address with %s 127.0.0.1:0 (0 is any free port)", flag)
}
