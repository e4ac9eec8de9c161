package cli

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestCheckBind_onlyLoopbackUnlessInsecure(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:8400": true,
		"127.9.9.9:0":    true,
		"[::1]:8400":     true,
		"localhost:8400": true,
		":8400":          false,
		"0.0.0.0:8400":   false,
		"[::]:8400":      false,
		"10.0.0.1:8400":  false,
		"example.org:80": false,
	} {
		err := CheckBind("http", addr, false)
		if (err == nil) != want {
			t.Errorf("%s: %v, want allowed: %v", addr, err, want)
		}
		if err = CheckBind("http", addr, true); err != nil {
			t.Errorf("%s with --insecure: %v", addr, err)
		}
	}
	err := CheckBind("http", "8400", true)
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != Usage || e.Hint == "" {
		t.Errorf("no host: %v", err)
	}
}

func TestCheckPeers_wantsHostAndPort(t *testing.T) {
	if err := CheckPeers("join", []string{"a:1", "10.0.0.1:7946", "[::1]:7946"}); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"a", ":7946", "a:", ""} {
		if CheckPeers("join", []string{"a:1", bad}) == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestCheckNames_refusesWithAHint(t *testing.T) {
	for _, tt := range []struct{ name, realm, want string }{
		{"", "default", ""},
		{"n1", "a-9", ""},
		{" n1", "a", "--name: name \" n1\""},
		{"n1", "BAD_X", "--realm: realm \"BAD_X\""},
		{"n1", "", "--realm: realm \"\""},
	} {
		err := CheckNames("--name", tt.name, tt.realm)
		if tt.want == "" && err == nil {
			continue
		}
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != Usage || e.Hint == "" || !strings.HasPrefix(e.Error(), tt.want) || tt.want == "" {
			t.Errorf("%q in %q: %v, want %q", tt.name, tt.realm, err, tt.want)
		}
	}
}

func TestNewLogger_writesJSONUnlessOnATerminal(t *testing.T) {
	var b strings.Builder
	NewLogger(&b, slog.LevelWarn).Info("hidden")
	NewLogger(&b, slog.LevelWarn).Warn("shown", slog.Int("n", 1))
	if got := b.String(); !strings.HasPrefix(got, "{") || !strings.Contains(got, `"msg":"shown","n":1`) || strings.Contains(got, "hidden") {
		t.Errorf("logged %q", got)
	}
}
