package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tandem-actors/tandem/builtin/search"
	"github.com/tandem-actors/tandem/cluster"
)

// A crew is a node of ours and the searchers that it found.
type crew struct {
	node      *cluster.Node
	searchers []*cluster.Portal
	own       []*cluster.Node // that this process runs, in order of their start
}

// gather joins the cluster that opts names, or starts one, and finds all
// searchers. The caller closes the crew.
func gather(ctx context.Context, opts options) (_ *crew, err error) {
	c := new(crew)
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if c.node, err = c.start(ctx, cluster.Config{Name: "search", Join: opts.cluster}); err != nil {
		return nil, err
	}
	if opts.cluster == "" {
		for i := range opts.nodes {
			node, err := c.start(ctx, cluster.Config{Name: fmt.Sprintf("node-%d", i+1), Peer: c.node})
			if err != nil {
				return nil, err
			}
			if _, err := node.Spawn(ctx, search.Name, search.Endpoint()); err != nil {
				return nil, err
			}
		}
	}
	if c.searchers, err = c.node.FindAll(ctx, search.Name); err != nil && !errors.Is(err, cluster.ErrNotFound) {
		return nil, err
	}
	if len(c.searchers) == 0 {
		return nil, fmt.Errorf("no actor named %q runs in the cluster at %s", search.Name, opts.cluster)
	}
	return c, nil
}

func (c *crew) start(ctx context.Context, cfg cluster.Config) (*cluster.Node, error) {
	node, err := cluster.Start(ctx, cfg)
	if err == nil {
		c.own = append(c.own, node)
	}
	return node, err
}

// close closes our nodes; the first one, on which the others stand, last.
func (c *crew) close() {
	for _, node := range slices.Backward(c.own) {
		_ = node.Close() // It could only say that a task is late, at the end of the program.
	}
}
