package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// options is the command line.
type options struct {
	cluster string // URL; if empty, start a cluster in this process
	nodes   int    // of that cluster
	include []string
	max     int // lines; 0: all
	verbose bool
	pattern string
	dir     string // as given; empty: the current one
}

const usage = `usage: search [flags] PATTERN [DIR]

Search the files below DIR, or here, for a fixed string, with all searchers of
a cluster. The output is that of grep -rnF in the C locale, in any order.

`

// parse reads the command line. Mistakes come back as errors; only the answer
// to -h is printed to help, with [flag.ErrHelp].
func parse(args []string, getenv func(string) string, help io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("search", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.cluster, "cluster", getenv("TANDEM_CLUSTER"), "join the cluster at this `URL` (TANDEM_CLUSTER)")
	f.IntVar(&o.nodes, "nodes", 3, "without a cluster, start one of `N` nodes in this process")
	f.IntVar(&o.max, "max", 0, "stop after `N` lines; 0 is all")
	f.BoolVar(&o.verbose, "v", false, "say what was done, on stderr")
	f.Func("include", "search only files whose base name matches `GLOB`; may be repeated", func(glob string) error {
		_, err := filepath.Match(glob, "")
		o.include = append(o.include, glob)
		return err
	})
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(help, usage)
		f.SetOutput(help)
		f.PrintDefaults()
		return o, err
	case err != nil:
		return o, fmt.Errorf("%w; see search -h", err)
	case f.NArg() > 1 && slices.ContainsFunc(f.Args()[1:], isFlag):
		return o, errors.New("flags go before PATTERN, directories that look like one are written ./-DIR; see search -h")
	case f.NArg() < 1 || f.NArg() > 2:
		return o, fmt.Errorf("want PATTERN [DIR] behind the flags, got %d arguments; see search -h", f.NArg())
	case o.nodes < 1 || o.max < 0:
		return o, errors.New("-nodes must be at least 1, -max must not be negative")
	}
	o.pattern, o.dir = f.Arg(0), f.Arg(1)
	if strings.ContainsAny(o.pattern, "\n\x00") {
		return o, errors.New("PATTERN must not contain newlines or NUL bytes")
	}
	return o, nil
}

func isFlag(arg string) bool { return strings.HasPrefix(arg, "-") }

// root returns the absolute path of the directory to search, through links.
func (o options) root() (string, error) {
	path, err := filepath.Abs(cmp.Or(o.dir, "."))
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// prefix is what paths below the root are printed with, as grep does.
func (o options) prefix() string {
	if o.dir == "" {
		return ""
	}
	return strings.TrimRight(o.dir, "/") + "/"
}

// wants reports whether the name of a file passes --include.
func (o options) wants(name string) bool {
	for _, glob := range o.include {
		if ok, _ := filepath.Match(glob, name); ok { // parse saw to its syntax.
			return true
		}
	}
	return len(o.include) == 0
}
