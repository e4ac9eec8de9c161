package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tandem-actors/tandem/discovery"
)

// A Query selects actors. Its zero value selects all that are up.
type Query struct {
	Name  string `query:"name" doc:"Only actors of this name."`
	Node  string `query:"node" doc:"Only actors of the node with this name or uuid."`
	State string `query:"state" enum:"up,suspect,evicted,all" default:"up" doc:"Only actors in this state."`
}

// Actors is a list of actors, sorted by name, node and uuid.
type Actors struct {
	Actors []discovery.Record `json:"actors"`
}

// Nodes is a list of nodes, sorted by name and uuid.
type Nodes struct {
	Nodes []discovery.NodeRecord `json:"nodes"`
}

// Health is the answer of a probe that passed.
type Health struct {
	Status string `json:"status" example:"ok"`
}

// An answer is a body with status 200.
type answer[T any] struct{ Body T }

// register declares every operation.
func (s *Server) register(api huma.API) {
	huma.Register(api, operation("list-actors", "/v1/actors", "List actors"), s.listActors)
	huma.Register(api, operation("list-nodes", "/v1/nodes", "List nodes"), s.listNodes)
	huma.Register(api, operation("get-status", "/v1/status", "How the registrar is"), s.getStatus)
	huma.Register(api, operation("livez", "/livez", "Whether the process works, whatever the cluster does"), s.livez)
	huma.Register(api, operation("readyz", "/readyz", "Whether answers are up to date", http.StatusServiceUnavailable), s.readyz)
	huma.Register(api, s.watchOperation(api), s.watch)
}

func operation(id, path, summary string, errors ...int) huma.Operation {
	return huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Summary: summary, Errors: errors}
}

func (s *Server) listActors(_ context.Context, q *Query) (*answer[Actors], error) {
	return &answer[Actors]{Actors{list(s.cfg.Registrar, *q)}}, nil
}

// list returns what q selects, never nil: an empty list is [] in JSON.
func list(r Registrar, q Query) []discovery.Record {
	records := []discovery.Record{}
	for _, record := range r.List(discovery.Query{Name: q.Name, Node: q.Node, All: q.State != "up"}) {
		if q.State == "all" || q.State == string(record.State) {
			records = append(records, record)
		}
	}
	return records
}

func (s *Server) listNodes(context.Context, *struct{}) (*answer[Nodes], error) {
	return &answer[Nodes]{Nodes{s.cfg.Registrar.Nodes()}}, nil
}

func (s *Server) getStatus(context.Context, *struct{}) (*answer[discovery.Status], error) {
	return &answer[discovery.Status]{s.cfg.Registrar.Status()}, nil
}

// livez answers if the registrar does; if that hangs, so does the probe.
func (s *Server) livez(context.Context, *struct{}) (*answer[Health], error) {
	s.cfg.Registrar.Status()
	return &answer[Health]{Health{"ok"}}, nil
}

func (s *Server) readyz(context.Context, *struct{}) (*answer[Health], error) {
	select {
	case <-s.draining:
		return nil, huma.Error503ServiceUnavailable("the registrar is stopping")
	default:
	}
	if err := s.cfg.Ready(); err != nil {
		return nil, huma.Error503ServiceUnavailable(err.Error())
	}
	return &answer[Health]{Health{"ok"}}, nil
}
