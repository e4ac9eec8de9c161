package httpapi

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestNewClient_wantsAnHTTPAddress(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:8400":      "http://127.0.0.1:8400",
		"http://host:1":       "http://host:1",
		"https://host/prefix": "https://host/prefix",
		"nats://host:4222":    "",
		"":                    "",
		"http://":             "",
		"http://[":            "",
	} {
		c, err := NewClient(addr)
		if (err == nil) != (want != "") || err == nil && c.base.String() != want {
			t.Errorf("NewClient(%q) = %+v, %v, want %q", addr, c, err, want)
		}
	}
}

func TestClient_tellsUnreachableFromSlow(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := l.Addr().String()
	_ = l.Close()
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer slow.Close()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<html>hello</html>"))
	}))
	defer other.Close()
	lost := httptest.NewServer(http.NotFoundHandler())
	defer lost.Close()

	for addr, isSlow := range map[string]bool{free: false, slow.URL: true, other.URL: false, lost.URL: false} {
		c, err := NewClient(addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer stop()
		_, statusErr := c.Status(ctx)
		watchErr := c.Watch(t.Context(), Query{}, 200*time.Millisecond, func(Event) error { return nil })
		for _, err := range []error{statusErr, watchErr} {
			if _, ok := errors.AsType[*UnreachableError](err); ok == isSlow || errors.Is(err, context.DeadlineExceeded) != isSlow {
				t.Errorf("%s: %v, want slow: %v", addr, err, isSlow)
			}
		}
	}
}

func TestClient_watchEndsWithItsContext(t *testing.T) {
	w := newWorld(t, Config{})
	ctx, stop := context.WithCancelCause(t.Context())
	why := errors.New("seen enough")
	err := w.client.Watch(ctx, Query{}, time.Minute, func(Event) error { stop(why); return nil })
	if !errors.Is(err, why) {
		t.Errorf("watch: %v, want %v", err, why)
	}
}

// A tripper is a transport that is a function.
type tripper func(*http.Request) (*http.Response, error)

func (t tripper) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// Whoever pages through the events may go for a coffee.
func TestClient_watchLetsTheHandlerTakeItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := NewClient("registrar:1")
		if err != nil {
			t.Fatal(err)
		}
		c.http.Transport = tripper(func(*http.Request) (*http.Response, error) {
			two := strings.NewReader("{\"type\":\"snapshot_end\"}\n{\"type\":\"end\",\"reason\":\"bye\"}\n")
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {mimeLines}}, Body: io.NopCloser(two)}, nil
		})
		err = c.Watch(t.Context(), Query{}, time.Second, func(Event) error { time.Sleep(2 * silence); return nil })
		if _, ok := errors.AsType[*UnreachableError](err); !ok || !strings.Contains(err.Error(), "bye") {
			t.Errorf("watch: %v, want its end", err)
		}
	})
}
