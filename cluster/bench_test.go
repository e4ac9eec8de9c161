package cluster_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tandem-actors/tandem/cluster"
)

// The benchmarks stand beside raw nats.go in the same run, over the same
// embedded server: quote the ratios.

// value is what is sent: 128 bytes.
var value = make([]byte, 128)

const (
	benchEcho   = cluster.Func[[]byte, []byte]("echo")
	benchStream = cluster.Task[int, int, int, []byte, int]("stream")
	window      = 1 << 14 // Messages between two acks of the stream benchmark.
)

// benchNodes starts a node with a benchmark actor and a client of it.
func benchNodes(b *testing.B, url string) *cluster.Portal {
	b.Helper()
	start := func(cfg cluster.Config) *cluster.Node {
		cfg.Buffer = 4 * window
		n, err := cluster.Start(b.Context(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			if err := n.Close(); err != nil {
				b.Error(err)
			}
		})
		return n
	}
	server := start(cluster.Config{Name: "server", Join: url})
	client := server
	if url != "" {
		client = start(cluster.Config{Name: "client", Join: url})
	}
	_, err := server.Spawn(b.Context(), "bench",
		benchEcho.Serve(func(_ context.Context, v []byte) ([]byte, error) { return v, nil }),
		benchStream.Serve(serveStream))
	if err != nil {
		b.Fatal(err)
	}
	p, err := client.Find(b.Context(), "bench")
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// serveStream sends n values, window at a time: the ack of one lets the next
// but one go.
func serveStream(ctx context.Context, c *cluster.Child[int, int, []byte], n int) (int, error) {
	if err := c.Started(ctx, 0); err != nil {
		return 0, err
	}
	for i := range n {
		if i >= 2*window && i%window == 0 {
			for _, err := range c.All(ctx) {
				if err != nil {
					return 0, err
				}
				break
			}
		}
		if err := c.Send(ctx, value); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// timed runs f b.N times and reports the distribution.
func timed(b *testing.B, f func() error) {
	b.Helper()
	var took []time.Duration
	for b.Loop() {
		begun := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-µs")
}

func connect(b *testing.B, url string) *nats.Conn {
	b.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	return nc
}

func BenchmarkCall(b *testing.B) {
	url := startNATS(b)
	b.Run("nats-request", func(b *testing.B) {
		server, client := connect(b, url), connect(b, url)
		if _, err := server.Subscribe("echo", func(m *nats.Msg) { _ = m.Respond(m.Data) }); err != nil {
			b.Fatal(err)
		}
		if err := server.Flush(); err != nil {
			b.Fatal(err)
		}
		timed(b, func() error { _, err := client.Request("echo", value, patience); return err })
	})
	b.Run("tandem", func(b *testing.B) {
		p := benchNodes(b, url)
		timed(b, func() error { _, err := benchEcho.Call(b.Context(), p, value); return err })
	})
	b.Run("tandem-local", func(b *testing.B) {
		p := benchNodes(b, "")
		timed(b, func() error { _, err := benchEcho.Call(b.Context(), p, value); return err })
	})
}

func BenchmarkCallBy64(b *testing.B) {
	url := startNATS(b)
	b.Run("nats-request", func(b *testing.B) {
		server, client := connect(b, url), connect(b, url)
		if _, err := server.Subscribe("echo", func(m *nats.Msg) { _ = m.Respond(m.Data) }); err != nil {
			b.Fatal(err)
		}
		if err := server.Flush(); err != nil {
			b.Fatal(err)
		}
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := client.Request("echo", value, patience); err != nil {
					b.Error(err)
				}
			}
		})
	})
	b.Run("tandem", func(b *testing.B) {
		p := benchNodes(b, url)
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := benchEcho.Call(b.Context(), p, value); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

func BenchmarkStream(b *testing.B) {
	url := startNATS(b)
	b.Run("nats-publish", func(b *testing.B) {
		server, client := connect(b, url), connect(b, url)
		var got atomic.Int64
		all := make(chan struct{})
		sub, err := client.Subscribe("stream", func(*nats.Msg) {
			if got.Add(1) == int64(b.N) {
				close(all)
			}
		})
		if err != nil {
			b.Fatal(err)
		}
		if err := sub.SetPendingLimits(-1, -1); err != nil {
			b.Fatal(err)
		}
		if err := client.Flush(); err != nil {
			b.Fatal(err)
		}
		b.ResetTimer()
		for range b.N {
			if err := server.Publish("stream", value); err != nil {
				b.Fatal(err)
			}
		}
		if err := server.Flush(); err != nil {
			b.Fatal(err)
		}
		<-all
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	})
	b.Run("tandem", func(b *testing.B) {
		p := benchNodes(b, url)
		b.ReportAllocs()
		b.ResetTimer()
		_, err := benchStream.Open(b.Context(), p, b.N, func(ctx context.Context, c *cluster.Parent[int, []byte, int], _ int) error {
			got := 0
			for _, err := range c.All(ctx) {
				if err != nil {
					return err
				}
				if got++; got%window == 0 {
					if err := c.Send(ctx, got); err != nil {
						return nil // The child has sent its last and returned.
					}
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	})
}
