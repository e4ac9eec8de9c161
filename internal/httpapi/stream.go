package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/tandem-actors/tandem/discovery"
	"github.com/tandem-actors/tandem/identity"
)

const (
	pathWatch = "/v1/watch"
	mimeSSE   = "text/event-stream"
	mimeLines = "application/x-ndjson"

	// silence is how long a client waits for anything before it gives up: three
	// heartbeats.
	silence = 45 * time.Second
)

// Types of events that are not the registry's own.
const (
	// TypeSnapshot: this node, or this actor, is there already.
	TypeSnapshot = "snapshot"
	// TypeSnapshotEnd: all that was there has been told; what follows is new.
	TypeSnapshotEnd = "snapshot_end"
	// TypeReset: the reader was too slow and missed events. Forget everything;
	// a snapshot follows.
	TypeReset = string(discovery.EventReset)
	// TypeHeartbeat: nothing happened. Only in ndjson; SSE has a comment.
	TypeHeartbeat = "heartbeat"
	// TypeEnd: the registrar stops. A stream that ends without it was cut.
	TypeEnd = "end"
)

// An Event is one message of a watch stream.
type Event struct {
	Type      string            `json:"type" doc:"What happened: snapshot, snapshot_end, reset, heartbeat, end, or a change such as actor_registered, actor_canceled, node_up, node_evicted."`
	Index     uint64            `json:"index,omitempty" doc:"Number of the change, rising, of this registrar."`
	Time      time.Time         `json:"time"`
	Node      *identity.NodeID  `json:"node,omitempty"`
	Actor     *identity.ActorID `json:"actor,omitempty"`
	State     discovery.State   `json:"state,omitempty" doc:"In a snapshot, whether the node or actor is up or suspect."`
	Reason    string            `json:"reason,omitempty"`
	Canceller string            `json:"canceller,omitempty" doc:"Who canceled the actor."`
}

// A watchInput is a request for a stream.
type watchInput struct {
	Name   string `query:"name" doc:"Only actors of this name, and no nodes."`
	Node   string `query:"node" doc:"Only the node with this name or uuid, and its actors."`
	Accept string `header:"Accept" hidden:"true"`
}

// concerns reports whether the filters let pass what happens to actor, or, if
// that is nil, to node.
func (q Query) concerns(node identity.NodeID, actor *identity.ActorID) bool {
	if q.Node != "" && q.Node != node.Name && q.Node != node.UUID.String() {
		return false
	}
	return q.Name == "" || actor != nil && actor.Name == q.Name
}

func (s *Server) watchOperation(api huma.API) huma.Operation {
	op := operation("watch", pathWatch, "Watch changes", http.StatusServiceUnavailable)
	op.Description = "A stream that begins with a snapshot. Accept: application/x-ndjson gives an event per line, anything else server-sent events."
	schema := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Event](), true, "")
	op.Responses = map[string]*huma.Response{"200": {
		Description: "Events, until either side ends the stream.",
		Content:     map[string]*huma.MediaType{mimeSSE: {Schema: schema}, mimeLines: {Schema: schema}},
	}}
	return op
}

func (s *Server) watch(_ context.Context, in *watchInput) (*huma.StreamResponse, error) {
	select {
	case s.watchers <- struct{}{}:
	default:
		err := huma.Error503ServiceUnavailable(fmt.Sprintf("there are %d streams already", cap(s.watchers)))
		return nil, huma.ErrorWithHeaders(err, http.Header{"Retry-After": {"5"}})
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		defer func() { <-s.watchers }()
		r, w := humago.Unwrap(hctx)
		out := newStream(w, wantsLines(in.Accept))
		// The client is gone if it fails: there is nobody to tell.
		_ = s.follow(r.Context(), Query{Name: in.Name, Node: in.Node}, out)
	}}, nil
}

// follow writes to out what there is, then what changes, until either side
// ends. An event may tell what the snapshot shows already, and none is left out.
func (s *Server) follow(ctx context.Context, q Query, out *stream) error {
	watcher := s.cfg.Registrar.Watch() // Before the snapshot: nothing falls between them.
	defer watcher.Close()
	if err := s.snapshot(q, out); err != nil {
		return err
	}
	beat := time.NewTicker(s.cfg.Heartbeat)
	defer beat.Stop()
	for {
		var err error
		select {
		case e, ok := <-watcher.Events():
			if !ok {
				return out.end()
			}
			err = s.pass(e, q, out)
			if err == nil && len(watcher.Events()) == 0 {
				err = out.flush()
			}
		case now := <-beat.C:
			err = out.beat(now)
		case <-s.draining:
			return out.end()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// pass writes e, if it concerns the reader.
func (s *Server) pass(e discovery.Event, q Query, out *stream) error {
	if e.Type == discovery.EventReset {
		if err := out.send(Event{Type: TypeReset, Index: e.Index, Time: e.Time}); err != nil {
			return err
		}
		return s.snapshot(q, out)
	}
	if !q.concerns(e.Node, e.Actor) {
		return nil
	}
	return out.send(Event{
		Type: string(e.Type), Index: e.Index, Time: e.Time,
		Node: &e.Node, Actor: e.Actor, Reason: e.Reason, Canceller: e.Canceller,
	})
}

// watchHead answers a HEAD with what a GET would begin with: there is no stream.
func watchHead(w http.ResponseWriter, r *http.Request) {
	newStream(w, wantsLines(r.Header.Get("Accept")))
}

func wantsLines(accept string) bool { return strings.Contains(accept, mimeLines) }

// A stream writes events in one of two formats.
type stream struct {
	w       io.Writer
	control *http.ResponseController
	sse     bool
}

func newStream(w http.ResponseWriter, lines bool) *stream {
	w.Header().Set("Content-Type", mimeSSE)
	if lines {
		w.Header().Set("Content-Type", mimeLines)
	}
	w.Header().Set("X-Accel-Buffering", "no") // Proxies shall pass events on at once.
	return &stream{w: w, control: http.NewResponseController(w), sse: !lines}
}

// send writes one event. It may wait in a buffer until flush.
func (o *stream) send(e Event) error {
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	if err := o.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if o.sse {
		_, err = fmt.Fprintf(o.w, "event: %s\ndata: %s\n\n", e.Type, data)
	} else {
		_, err = o.w.Write(append(data, '\n'))
	}
	return err
}

// beat says that the stream is alive.
func (o *stream) beat(now time.Time) error {
	if !o.sse {
		return errors.Join(o.send(Event{Type: TypeHeartbeat, Time: now.UTC()}), o.flush())
	}
	if err := o.control.SetWriteDeadline(now.Add(writeTimeout)); err != nil {
		return err
	}
	_, err := io.WriteString(o.w, ": heartbeat\n\n")
	return errors.Join(err, o.flush())
}

// end says that no more will come, and why.
func (o *stream) end() error {
	e := Event{Type: TypeEnd, Time: time.Now().UTC(), Reason: "the registrar is stopping"}
	return errors.Join(o.send(e), o.flush())
}

func (o *stream) flush() error { return o.control.Flush() }
