package tandem

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/tandem-actors/tandem"

// floors names every package of the module from the ground up. A package may
// import only packages of the floors below its own.
var floors = [][]string{
	{"identity"},
	{"fault", "telemetry"},
	{"context", "transport", "transport/broker", "discovery", "internal/sim"},
	{"cluster"},
	{"builtin/echo", "builtin/search", "internal/cli", "internal/httpapi", "internal/otelsetup", "internal/otlpsink", "internal/process"},
	{"internal/daemon"},
	{"cmd/node", "cmd/registrar", "examples/hello", "examples/search"},
	{"e2e", "e2e/peer"},
}

// owners names the only packages that may import each outside dependency, by
// the prefix of its path. Who embeds a node inherits none of the SDK, of HTTP
// frameworks or of command-line packages.
var owners = map[string][]string{
	"github.com/nats-io/nats.go":        {"transport"},
	"github.com/nats-io/nats-server":    {"transport/broker"},
	"github.com/hashicorp/memberlist":   {"discovery", "internal/sim"},
	"go.opentelemetry.io/otel/sdk":      {"internal/otelsetup"},
	"go.opentelemetry.io/contrib":       {"internal/otelsetup"},
	"go.opentelemetry.io/proto":         {"internal/otlpsink"},
	"github.com/danielgtaylor/huma":     {"internal/httpapi"},
	"github.com/spf13/cobra":            {"internal/cli", "cmd/node", "cmd/registrar", "examples/search"},
	"net/http":                          {"internal/httpapi", "internal/otlpsink", "internal/daemon", "cmd/node", "cmd/registrar"},
	"github.com/vbauerster/mpb":         {"examples/search"},
	"go.opentelemetry.io/otel/propagat": {"internal/otelsetup"},
}

// impure lists what package context may not import: a state machine has no
// clock, no lock and no wire.
var impure = []string{"context", "log/slog", "math/rand/v2", "net", "os", "sync", "sync/atomic"}

func TestFloors_importsGoDown(t *testing.T) {
	floor := func(pkg string) int {
		return slices.IndexFunc(floors, func(f []string) bool { return slices.Contains(f, pkg) })
	}
	eachFile(t, func(path, pkg string) {
		if floor(pkg) < 0 {
			t.Errorf("%s: package stands on no floor", path)
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if dep, ok := strings.CutPrefix(imp, module+"/"); ok && floor(dep) >= floor(pkg) {
				t.Errorf("%s imports %s, which is not on a lower floor", path, dep)
			}
			for prefix, allowed := range owners {
				if strings.HasPrefix(imp, prefix) && !slices.Contains(allowed, pkg) {
					t.Errorf("%s imports %s; only %v may", path, imp, allowed)
				}
			}
			if pkg == "context" && slices.Contains(impure, imp) {
				t.Errorf("%s imports %s, but must stay pure", path, imp)
			}
		}
	})
}

// eachFile calls f for every Go file of the module outside of its root that is
// not a test, with the file's package.
func eachFile(t *testing.T, f func(path, pkg string)) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		pkg := filepath.ToSlash(filepath.Dir(path))
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || pkg == "." || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		files++
		f(path, pkg)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Error("no files found: the test looks in the wrong place")
	}
}
