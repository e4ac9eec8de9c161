package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Main runs root with the arguments of the process and exits. The context of
// the commands is canceled by SIGINT, SIGTERM and SIGHUP.
func Main(root *cobra.Command) {
	ctx, stop := withSignals(context.Background(), os.Exit)
	code := Run(ctx, root, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(int(code))
}

// Run runs root with args and returns the exit code. What goes wrong is
// printed on stderr in the form that args ask for.
func Run(ctx context.Context, root *cobra.Command, args []string, stdout, stderr io.Writer) Code {
	prepare(root)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return OK
	}
	if sig, ok := errors.AsType[*signaled](context.Cause(ctx)); ok && errors.Is(err, context.Canceled) {
		return sig.code // Whoever sent it knows.
	}
	e := explain(err)
	e.print(stderr, wantsJSON(args))
	return e.Code
}

// wantsJSON reports whether args ask for JSON, whatever else is wrong with
// them: an error about a flag must have the right form, too.
func wantsJSON(args []string) bool {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.Usage = func() {}
	format := flags.StringP("output", "o", "", "")
	_ = flags.Parse(args) // What it got until then counts.
	return *format == "json"
}

// prepare makes every command of the tree keep our conventions, so that no
// command can forget them.
func prepare(root *cobra.Command) {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if errors.Is(err, pflag.ErrHelp) {
			return err
		}
		return Errorf(Usage, "see "+cmd.CommandPath()+" --help", "%w", err)
	})
	root.SetHelpCommand(helpCommand())
	root.AddCommand(&cobra.Command{Use: "exit-codes", Short: "What exit codes mean", Long: exitCodes()})
	walk(root, func(cmd *cobra.Command) {
		if !cmd.Runnable() && cmd.HasSubCommands() {
			cmd.Args = subcommand
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
			cmd.DisableFlagsInUseLine = true
		}
		if cmd.Runnable() && cmd.Args == nil {
			cmd.Args = Args()
		}
	})
}

func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, sub := range cmd.Commands() {
		walk(sub, visit)
	}
}

// subcommand refuses args of a command that only groups others.
func subcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see " + cmd.CommandPath() + " --help"
	cmd.SuggestionsMinimumDistance = 2 // As cobra's own.
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + cmd.CommandPath() + " " + strings.Join(near, ", or ") + "?"
	}
	return Errorf(Usage, hint, "unknown command %q", args[0])
}

// Args accepts exactly one argument for each name.
func Args(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		hint := "usage: " + cmd.UseLine()
		switch {
		case len(args) < len(names):
			return Errorf(Usage, hint, "missing %s", strings.Join(names[len(args):], ", "))
		case len(args) > len(names):
			return Errorf(Usage, hint, "unexpected argument %q", args[len(names)])
		}
		return nil
	}
}

// helpCommand is cobra's, but fails for what does not exist.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about a command or topic",
		Args:  cobra.ArbitraryArgs,
		RunE: func(help *cobra.Command, args []string) error {
			cmd := help.Root()
			for _, name := range args {
				next, _, err := cmd.Find([]string{name})
				if err != nil || next == cmd {
					return Errorf(Usage, "see "+help.Root().CommandPath()+" --help", "no help about %q", name)
				}
				cmd = next
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
		ValidArgsFunction: func(help *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []string
			for _, sub := range help.Root().Commands() {
				if sub.IsAvailableCommand() || sub.IsAdditionalHelpTopicCommand() {
					names = append(names, fmt.Sprintf("%s\t%s", sub.Name(), sub.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}
