package telemetry

import (
	"flag"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write testdata instead of comparing")

// names lists every constant of names.go as "Name value", in order.
func names(t *testing.T) string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "names.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			ast.Inspect(v.Values[0], func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok {
					b.WriteString(v.Names[0].Name + " " + constant.StringVal(constant.MakeFromLiteral(lit.Value, lit.Kind, 0)) + "\n")
				}
				return true
			})
		}
	}
	return b.String()
}

// Dashboards and alerts of other people stand on these names: a change of the
// golden file is a change of the interface.
func TestNames_areGolden(t *testing.T) {
	const golden = "testdata/names.golden"
	got := names(t)
	if *rewrite {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("names changed; if that is meant, run with -rewrite and read the diff; got:\n%s", got)
	}
}

func TestNames_keepTheRules(t *testing.T) {
	seen := map[string]string{}
	for line := range strings.Lines(names(t)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.Contains(value, "cancel"+"led") {
			t.Errorf("%s = %q: spell it canceled", name, value)
		}
		if !strings.HasPrefix(name, "Key") {
			continue
		}
		if other, ok := seen[value]; ok {
			t.Errorf("%s and %s are both %q", name, other, value)
		}
		seen[value] = name
		if value != strings.ToLower(value) || !strings.Contains(value, ".") {
			t.Errorf("%s = %q: want lower case words with dots", name, value)
		}
	}
	if len(seen) < 15 {
		t.Errorf("found only %d keys", len(seen))
	}
}

func TestNames_spans(t *testing.T) {
	for got, want := range map[string]string{
		OpenSpan("searcher", "search"): "searcher/search",
		RunSpan("searcher", "search"):  "run searcher/search",
	} {
		if got != want {
			t.Errorf("span name = %q, want %q", got, want)
		}
	}
}
