package otelsetup

import (
	"log/slog"
	"sync"
	"time"
)

// sayEvery is how long a collector may be dead before the log hears of it
// again: a span a second would otherwise be a line a second.
const sayEvery = time.Minute

// losses is the SDK's handler of errors, all of which mean that telemetry was
// lost. It logs the first one, and of later ones at most one per sayEvery,
// with their number. It is safe for concurrent use.
type losses struct {
	log *slog.Logger

	mu    sync.Mutex // Guards what follows.
	count int        // that the log has not heard of
	quiet time.Time  // until then
}

// Handle implements [go.opentelemetry.io/otel.ErrorHandler].
func (l *losses) Handle(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	now := time.Now()
	if now.Before(l.quiet) {
		return
	}
	l.log.Warn("telemetry was lost", slog.Any("error", err), slog.Int("times", l.count))
	l.count, l.quiet = 0, now.Add(sayEvery)
}
