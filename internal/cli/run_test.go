package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/tandem-actors/tandem/fault"
)

type greeting struct {
	Text string `json:"text"`
}

func (g greeting) Table() Table {
	return Table{Header: []string{"TEXT"}, Rows: [][]string{{g.Text}}}
}

// newRoot returns a small command tree. `tool fail` returns err.
func newRoot(err error) *cobra.Command {
	root := &cobra.Command{Use: "tool", Short: "A tool"}
	greet := &cobra.Command{Use: "greet NAME", Short: "Greet", Args: Args("NAME")}
	out := AddOutput(greet)
	greet.RunE = func(cmd *cobra.Command, args []string) error {
		return out.Print(cmd.OutOrStdout(), greeting{"hello " + args[0]})
	}
	fail := &cobra.Command{Use: "fail", Short: "Fail", RunE: func(*cobra.Command, []string) error { return err }}
	group := &cobra.Command{Use: "group", Short: "A group"}
	group.AddCommand(&cobra.Command{Use: "inner", RunE: func(*cobra.Command, []string) error { return nil }})
	root.AddCommand(greet, fail, group, VersionCommand())
	return root
}

func run(t *testing.T, err error, args ...string) (code Code, stdout, stderr string) {
	t.Helper()
	var o, e bytes.Buffer
	code = Run(t.Context(), newRoot(err), args, &o, &e)
	return code, o.String(), e.String()
}

func TestRun_saysWhatIsWrongAndWhatToDo(t *testing.T) {
	for _, tt := range []struct {
		args string
		want string
	}{
		{"gret bob", "error: unknown command \"gret\"\n  hint: did you mean tool greet?\n"},
		{"zzz", "error: unknown command \"zzz\"\n  hint: see tool --help\n"},
		{"group zzz", "error: unknown command \"zzz\"\n  hint: see tool group --help\n"},
		{"help zzz", "error: no help about \"zzz\"\n  hint: see tool --help\n"},
		{"greet --zzz bob", "error: unknown flag: --zzz\n  hint: see tool greet --help\n"},
		{"greet", "error: missing NAME\n  hint: usage: tool greet NAME [flags]\n"},
		{"greet bob eve", "error: unexpected argument \"eve\"\n  hint: usage: tool greet NAME [flags]\n"},
		{"fail extra", "error: unexpected argument \"extra\"\n  hint: usage: tool fail [flags]\n"},
		{"greet bob -o xml", "error: invalid argument \"xml\" for \"-o, --output\" flag: want json or table\n  hint: see tool greet --help\n"},
		{"greet --zzz bob -o json", `{"error":{"code":"usage","message":"unknown flag: --zzz","hint":"see tool greet --help"}}` + "\n"},
		{"--output=json zzz", `{"error":{"code":"usage","message":"unknown flag: --output","hint":"see tool --help"}}` + "\n"},
	} {
		code, stdout, stderr := run(t, nil, strings.Fields(tt.args)...)
		if code != Usage || stdout != "" || stderr != tt.want {
			t.Errorf("tool %s exits %d, prints %q and %q, want %d and %q", tt.args, code, stdout, stderr, Usage, tt.want)
		}
	}
}

func TestRun_exitCodeFollowsCause(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want Code
	}{
		{nil, OK},
		{errors.New("broken"), Failed},
		{fmt.Errorf("find x: %w", fault.ErrNotFound), NotFound},
		{fmt.Errorf("list: %w", context.DeadlineExceeded), Timeout},
		{fmt.Errorf("listen: %w", fs.ErrPermission), Permission},
		{fmt.Errorf("list: %w", Errorf(Unreachable, "start it", "no answer")), Unreachable},
	} {
		code, _, stderr := run(t, tt.err, "fail")
		if code != tt.want {
			t.Errorf("an error %v exits %d, want %d", tt.err, code, tt.want)
		}
		if tt.err != nil && !strings.HasPrefix(stderr, "error: "+tt.err.Error()+"\n") {
			t.Errorf("an error %v prints %q", tt.err, stderr)
		}
	}
}

func TestRun_noRegistrarHasAHint(t *testing.T) {
	code, _, stderr := run(t, fmt.Errorf("find x: %w", fault.ErrUnreachable), "fail")
	if code != Unreachable || !strings.Contains(stderr, "\n  hint: is a registrar running there?") {
		t.Errorf("exits %d, prints %q", code, stderr)
	}
}

func TestRun_errorIsOneLine(t *testing.T) {
	_, _, stderr := run(t, errors.New("a\nb\x1b[31mc"), "fail")
	if want := "error: a b�[31mc\n"; stderr != want {
		t.Errorf("printed %q, want %q", stderr, want)
	}
}

func TestRun_helpAndTopics(t *testing.T) {
	for args, want := range map[string]string{
		"":                "Usage:",
		"--help":          "Usage:",
		"group":           "tool group [command]",
		"help greet":      "tool greet NAME [flags]",
		"help group":      "inner",
		"help exit-codes": "no registrar is reachable",
	} {
		code, stdout, stderr := run(t, nil, strings.Fields(args)...)
		if code != OK || !strings.Contains(stdout, want) || stderr != "" {
			t.Errorf("tool %s exits %d, prints %q and %q, want %q", args, code, stdout, stderr, want)
		}
	}
}

func TestRun_everyFormat(t *testing.T) {
	for format, want := range map[string]string{
		"table": "TEXT\nhello bob\n",
		"json":  "{\n  \"text\": \"hello bob\"\n}\n",
	} {
		if _, stdout, _ := run(t, nil, "greet", "bob", "-o", format); stdout != want {
			t.Errorf("-o %s prints %q, want %q", format, stdout, want)
		}
	}
	for format, p := range printers {
		if p.whole == nil || p.next == nil {
			t.Errorf("format %s is incomplete", format)
		}
	}
}

func TestVersionCommand_isReadByPrograms(t *testing.T) {
	_, stdout, _ := run(t, nil, "version", "-o", "json")
	var v Version
	if err := json.Unmarshal([]byte(stdout), &v); err != nil || v.Go == "" {
		t.Errorf("printed %q: %v", stdout, err)
	}
}

func TestOutput_streamHasOneHeader(t *testing.T) {
	var b bytes.Buffer
	o := &Output{format: "table"}
	for _, text := range []string{"one", "\x1b[2Jtwo"} {
		if err := o.Next(&b, greeting{text}); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := b.String(), "TEXT\none\n�[2Jtwo\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}
