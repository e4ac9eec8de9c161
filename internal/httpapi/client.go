package httpapi

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tandem-actors/tandem/discovery"
)

const (
	maxAnswer = 64 << 20 // More is not read; 100,000 actors are about 30 MiB.
	maxLine   = 1 << 20
)

// An UnreachableError says that nobody who speaks this API answers at an
// address.
type UnreachableError struct {
	URL string
	Err error
}

// Error names the address and what came of trying it.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no registrar answers at %s: %v", e.URL, e.Err)
}

// Unwrap returns what came of trying.
func (e *UnreachableError) Unwrap() error { return e.Err }

// A StatusError is an answer that says no.
type StatusError struct {
	Status int
	Detail string
}

// Error returns the answer's explanation.
func (e *StatusError) Error() string { return fmt.Sprintf("registrar says %d: %s", e.Status, e.Detail) }

// A Client asks a registrar. It may be used concurrently.
type Client struct {
	base *url.URL
	http http.Client
}

// NewClient returns a client of the registrar at addr: a URL, or host:port. It
// does not connect.
func NewClient(addr string) (*Client, error) {
	if !strings.Contains(addr, "://") {
		addr = "http://" + addr
	}
	base, err := url.Parse(addr)
	if err == nil && (base.Host == "" || base.Scheme != "http" && base.Scheme != "https") {
		err = errors.New("want http://host:port")
	}
	if err != nil {
		return nil, fmt.Errorf("registrar address %q: %w", addr, err)
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		ForceAttemptHTTP2:   true,
	}
	return &Client{base: base, http: http.Client{Transport: transport}}, nil
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Actors returns the actors that q selects.
func (c *Client) Actors(ctx context.Context, q Query) (Actors, error) {
	return get[Actors](ctx, c, "v1/actors", values("name", q.Name, "node", q.Node, "state", q.State))
}

// Nodes returns the nodes that the registrar knows.
func (c *Client) Nodes(ctx context.Context) (Nodes, error) {
	return get[Nodes](ctx, c, "v1/nodes", nil)
}

// Status returns how the registrar is.
func (c *Client) Status(ctx context.Context) (discovery.Status, error) {
	return get[discovery.Status](ctx, c, "v1/status", nil)
}

// Watch calls handle with every event until ctx is done, handle returns an
// error, or the registrar ends the stream, which is an [*UnreachableError]. The
// stream begins with what there is: see [Event]. A q with a name gives no
// events of nodes; its State does not count. A registrar that does not answer
// within patience, or falls silent later, is [context.DeadlineExceeded]; handle
// may take its time.
func (c *Client) Watch(ctx context.Context, q Query, patience time.Duration, handle func(Event) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	alive := time.AfterFunc(silence, func() { stop(context.DeadlineExceeded) })
	defer alive.Stop()
	if patience > 0 {
		alive.Reset(patience)
	}
	body, err := c.open(ctx, pathWatch, values("name", q.Name, "node", q.Node), mimeLines)
	if err != nil {
		return err
	}
	defer body.Close() //nolint:errcheck // Nothing was written.
	ended := errors.New("the stream was cut")
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		alive.Stop() // It is handle that takes the time now.
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return &UnreachableError{c.base.String(), fmt.Errorf("decode event: %w", err)}
		}
		if err := handle(e); err != nil {
			return err
		}
		if e.Type == TypeEnd {
			ended = errors.New(e.Reason)
		}
		alive.Reset(silence)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("watch: %w", context.Cause(ctx))
	}
	return &UnreachableError{c.base.String(), cmp.Or(lines.Err(), ended)}
}

// values makes a query string of pairs of keys and values, without empty ones.
func values(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

// get returns the answer of one request.
func get[T any](ctx context.Context, c *Client, path string, query url.Values) (v T, err error) {
	body, err := c.open(ctx, path, query, "application/json")
	if err != nil {
		return v, err
	}
	defer body.Close() //nolint:errcheck // Nothing was written.
	if err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(&v); err != nil {
		if ctx.Err() != nil {
			return v, fmt.Errorf("ask %s: %w", c.base, context.Cause(ctx))
		}
		return v, &UnreachableError{c.base.String(), fmt.Errorf("decode answer: %w", err)}
	}
	return v, nil
}

// open returns the body of an answer that says yes.
func (c *Client) open(ctx context.Context, path string, query url.Values, accept string) (io.ReadCloser, error) {
	u := c.base.JoinPath(path)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.base, err)
	}
	req.Header.Set("Accept", accept)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(ctx, err)
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode == http.StatusOK && kind == accept {
		return resp.Body, nil
	}
	defer resp.Body.Close() //nolint:errcheck // Nothing was written.
	var problem huma.ErrorModel
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxLine)).Decode(&problem); err != nil || kind != "application/problem+json" {
		return nil, &UnreachableError{c.base.String(), fmt.Errorf("the answer is %s, %q, not from a registrar", resp.Status, kind)}
	}
	for _, detail := range problem.Errors {
		problem.Detail += "; " + detail.Error()
	}
	return nil, &StatusError{resp.StatusCode, problem.Detail}
}

// explain tells a registrar that cannot be reached from one that is slow.
func (c *Client) explain(ctx context.Context, err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err // It repeats the address.
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" || ctx.Err() == nil {
		return &UnreachableError{c.base.String(), err}
	}
	return fmt.Errorf("ask %s: %w", c.base, context.Cause(ctx))
}
