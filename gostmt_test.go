package tandem

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"
)

// owned lists the only files that may contain a go statement. Everything else
// starts goroutines through sync.WaitGroup.Go or a Nursery, which wait for them.
var owned = map[string]bool{}

func TestGoStatements_haveOwners(t *testing.T) {
	eachFile(t, func(path, _ string) {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok && !owned[filepath.ToSlash(path)] {
				t.Errorf("%v: go statement without an owner", fset.Position(g.Pos()))
			}
			return true
		})
	})
}
