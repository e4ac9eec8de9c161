package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
)

// A Table is what a value looks like to people. Its cells may hold anything;
// what a terminal would obey is replaced.
type Table struct {
	Header []string
	Rows   [][]string
}

// A Tabular is data that can be printed in every format: as JSON it is the
// type of the HTTP API, which is never poorer than the table.
type Tabular interface{ Table() Table }

// A printer is one format.
type printer struct {
	// whole prints a value that is complete.
	whole func(w io.Writer, v Tabular) error
	// next prints one of a stream of values: the first, or a later one.
	next func(w io.Writer, v Tabular, first bool) error
}

// printers holds every format. What is printed goes through it, so no command
// can accept a format and ignore it.
var printers = map[string]printer{
	"table": {
		whole: func(w io.Writer, v Tabular) error { return writeTable(w, 0, v.Table(), true) },
		next:  func(w io.Writer, v Tabular, first bool) error { return writeTable(w, 18, v.Table(), first) },
	},
	"json": {
		whole: func(w io.Writer, v Tabular) error { return writeJSON(w, v, "  ") },
		next:  func(w io.Writer, v Tabular, _ bool) error { return writeJSON(w, v, "") },
	},
}

// An Output prints in the format that the user chose with -o.
type Output struct {
	format string
	began  bool
}

// AddOutput gives cmd the flag -o and returns what it will be set to.
func AddOutput(cmd *cobra.Command) *Output {
	o := &Output{format: "table"}
	cmd.Flags().VarP(o, "output", "o", "format of what is printed: "+formats("|"))
	// It fails only if the flag does not exist or is completed twice.
	if err := cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(
		slices.Sorted(maps.Keys(printers)), cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic("BUG: " + err.Error())
	}
	return o
}

func formats(sep string) string {
	return strings.Join(slices.Sorted(maps.Keys(printers)), sep)
}

// Set chooses a format. It implements [pflag.Value].
func (o *Output) Set(format string) error {
	if _, ok := printers[format]; !ok {
		return fmt.Errorf("want %s", formats(" or "))
	}
	o.format = format
	return nil
}

// String returns the chosen format.
func (o *Output) String() string { return o.format }

// Type returns the name of the flag's type in help texts.
func (o *Output) Type() string { return "FORMAT" }

// Print prints v, which is complete.
func (o *Output) Print(w io.Writer, v Tabular) error { return printers[o.format].whole(w, v) }

// Next prints v, one of a stream of values: a line each.
func (o *Output) Next(w io.Writer, v Tabular) error {
	first := !o.began
	o.began = true
	return printers[o.format].next(w, v, first)
}

func writeTable(w io.Writer, width int, t Table, header bool) error {
	tw := tabwriter.NewWriter(w, width, 0, 2, ' ', 0)
	rows := t.Rows
	if header && len(t.Header) > 0 {
		rows = append([][]string{t.Header}, rows...)
	}
	for _, row := range rows {
		for i, cell := range row {
			if cell = strings.Map(Printable, cell); cell == "" {
				cell = "-"
			}
			if i > 0 {
				cell = "\t" + cell
			}
			if _, err := io.WriteString(tw, cell); err != nil {
				return fmt.Errorf("print: %w", err)
			}
		}
		if _, err := io.WriteString(tw, "\n"); err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

func writeJSON(w io.Writer, v any, indent string) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// Printable replaces what a terminal could obey: names come from strangers. It
// is for [strings.Map].
func Printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	if unicode.IsSpace(r) {
		return ' '
	}
	return unicode.ReplacementChar
}

// Ago returns how long before now t was, as tables show it.
func Ago(now, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := max(now.Sub(t), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd ago", int(d.Hours()/24))
	}
}
