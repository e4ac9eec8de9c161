// Package helm_test checks the chart with the helm command: that it lints, what
// it renders, and what it refuses.
package helm_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files in testdata")

// findHelm returns the helm command: $TANDEM_HELM, or from PATH, or what `make
// tools` built.
func findHelm(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("TANDEM_HELM"); path != "" {
		return path
	}
	if path, err := exec.LookPath("helm"); err == nil {
		return path
	}
	cache, err := os.UserCacheDir()
	if err == nil {
		cached := filepath.Join(cache, "tandem", "bin", "helm")
		if _, err = os.Stat(cached); err == nil {
			return cached
		}
	}
	t.Skipf("no helm in $TANDEM_HELM, PATH or the cache (%v): run `make tools`", err)
	return ""
}

// helm runs the command without the user's own configuration.
func helm(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), findHelm(t), args...)
	home := t.TempDir()
	cmd.Env = []string{"HOME=" + home, "HELM_CACHE_HOME=" + home, "HELM_CONFIG_HOME=" + home, "HELM_DATA_HOME=" + home}
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err = cmd.Run()
	return o.String(), e.String(), err
}

// sets says what each golden file was rendered with.
var sets = map[string][]string{
	"default":    nil,
	"registrars": {"registrar.replicas=3"},
	"external":   {"nats.url=nats://nats.nats.svc:4222", "registrar.replicas=3"},
	"library":    {"node.replicas=0", "networkPolicy.enabled=false", "serviceAccount.create=false"},
	"full": {
		"fullnameOverride=actors", "image.tag=v9", "image.pullSecrets[0].name=pull", "realm=blue",
		"node.podAnnotations.a=b", "node.podLabels.c=d", "node.nodeSelector.disk=fast", "node.actors={echo,counter}",
		"node.tolerations[0].operator=Exists", "node.extraArgs={--log=debug}", "node.env[0].name=A", "node.env[0].value=B",
		"networkPolicy.extraFrom[0].podSelector.matchLabels.app=x", "serviceAccount.annotations.e=f",
		"podSecurityContext.runAsUser=null", "registrar.terminationGracePeriodSeconds=5",
		"registrar.topologySpreadConstraints[0].maxSkew=2",
	},
}

func TestChart_lints(t *testing.T) {
	for name, set := range sets {
		stdout, stderr, err := helm(t, append([]string{"lint", "--strict", "tandem"}, flags(set)...)...)
		if err != nil {
			t.Errorf("%s: %v\n%s%s", name, err, stdout, stderr)
		}
	}
}

func TestChart_rendersAsBefore(t *testing.T) {
	for name, set := range sets {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"template", "tandem", "tandem", "--namespace=prod"}, flags(set)...)
			got, stderr, err := helm(t, args...)
			if err != nil {
				t.Fatalf("%v\n%s", err, stderr)
			}
			golden := filepath.Join("testdata", name+".yaml")
			if *rewrite {
				if err = os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("differs from %s; read the diff, then run with -rewrite (-want +got):\n%s", golden, diff)
			}
		})
	}
}

func TestChart_refusesNonsense(t *testing.T) {
	for set, want := range map[string]string{
		"registrar.replicas=2":                           "'/registrar/replicas': value must be one of 1, 3",
		"registrar.replicas=0":                           "'/registrar/replicas': value must be one of 1, 3",
		"registrar.replicas=many":                        "'/registrar/replicas': value must be one of 1, 3",
		"node.replicas=-1":                               "'/node/replicas': minimum",
		"node.replica=3":                                 "'/node': additional properties 'replica' not allowed",
		"nodes=3":                                        "additional properties 'nodes' not allowed",
		"node.actors=echo":                               "'/node/actors': got string, want array",
		"registrar.env[0].nme=x":                         "additional properties 'nme' not allowed",
		"image.pullPolicy=Sometimes":                     "'/image/pullPolicy': value must be one of",
		"image.repository=":                              "'/image/repository': minLength",
		"realm=A.b":                                      "'/realm': 'A.b' does not match",
		"nats.url=localhost":                             "'/nats/url': 'localhost' does not match",
		"nats.url=nats://me:secret@nats:4222":            "'/nats/url'",
		"networkPolicy.enabled=maybe":                    "'/networkPolicy/enabled': got string, want boolean",
		"insecure=false":                                 "there are no credentials yet",
		"fullnameOverride=Actors":                        "'/fullnameOverride': 'Actors' does not match",
		"fullnameOverride=1a":                            "'/fullnameOverride': '1a' does not match",
		"registrar.replicas=10":                          "'/registrar/replicas': value must be one of 1, 3",
		"node.env[0].name=POD_NAME":                      "'/node/env/0/name': 'not' failed",
		"registrar.env[0].name=POD_IP":                   "'/registrar/env/0/name': 'not' failed",
		`node.podLabels.app\.kubernetes\.io/component=x`: "propertyName 'app.kubernetes.io/component'",
		`registrar.podLabels.helm\.sh/chart=x`:           "propertyName 'helm.sh/chart'",
		"registrar.resources.limit.memory=1Gi":           "additional properties 'limit' not allowed",
	} {
		_, stderr, err := helm(t, "template", "tandem", "tandem", "--set", set)
		if err == nil || !strings.Contains(stderr, want) {
			t.Errorf("--set %s: %v\n%s\nwant %q", set, err, stderr, want)
		}
	}
}

// Names of services begin with a letter and have no dots, those of releases may.
func TestChart_refusesReleasesThatCannotNameServices(t *testing.T) {
	for _, name := range []string{"1st", "v1.2", "7-tandem"} {
		_, stderr, err := helm(t, "template", name, "tandem")
		if err == nil || !strings.Contains(stderr, "set fullnameOverride") {
			t.Errorf("release %s: %v\n%s\nwant a refusal that says what to set", name, err, stderr)
		}
		stdout, stderr, err := helm(t, "template", name, "tandem", "--set", "fullnameOverride=ok")
		if err != nil || !strings.Contains(stdout, "app.kubernetes.io/instance: \""+name+"\"") {
			t.Errorf("release %s with fullnameOverride: %v\n%s", name, err, stderr)
		}
	}
}

// What is text stays text, whatever YAML would take it for.
func TestChart_quotes(t *testing.T) {
	stdout, stderr, err := helm(t, "template", "t", "tandem", "--set", "node.actors={a: b,c #d,e:}",
		"--set-string", "nameOverride=123", "--set", "fullnameOverride=t,nats.url=nats://n:", "--set-string", "serviceAccount.name=1e3")
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	for _, want := range []string{
		`- "--actor=a: b"`, `- "--actor=c #d"`, `- "--actor=e:"`, `- "--join=nats://n:"`, `- "--nats=nats://n:"`,
		`app.kubernetes.io/name: "123"`, `serviceAccountName: "1e3"`, `  name: "1e3"`,
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("rendered without %s:\n%s", want, stdout)
		}
	}
}

func TestChart_notesWarnAndSayWhatIsNext(t *testing.T) {
	stdout, stderr, err := helm(t, "install", "tandem", "tandem", "--namespace=prod", "--dry-run=client")
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	_, notes, _ := strings.Cut(stdout, "NOTES:")
	for _, want := range []string{
		"there are no credentials yet", "--insecure", `tandem-client: "true"`,
		"kubectl -n prod exec statefulset/tandem-registrar -- registrar status",
		"nats://tandem-registrar:4222",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("notes lack %q:\n%s", want, notes)
		}
	}
}

func TestChart_commentsEveryValue(t *testing.T) {
	text, err := os.ReadFile("tandem/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc yaml.Node
	if err = yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	uncommented(doc.Content[0], "", func(path string) { t.Errorf("value %s has no comment", path) })
}

// uncommented reports what neither has a comment nor is part of what has one.
func uncommented(values *yaml.Node, prefix string, report func(path string)) {
	for i := 0; i < len(values.Content); i += 2 {
		key, value := values.Content[i], values.Content[i+1]
		switch path := prefix + key.Value; {
		case key.HeadComment != "":
		case value.Kind == yaml.MappingNode && len(value.Content) > 0:
			uncommented(value, path+".", report)
		default:
			report(path)
		}
	}
}

func flags(set []string) []string {
	var args []string
	for _, s := range set {
		args = append(args, "--set", s)
	}
	return args
}
