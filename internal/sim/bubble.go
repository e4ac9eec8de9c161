package sim

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// Bubble runs f in a synctest bubble, in virtual time.
//
// It makes two allowances for libraries we do not own. nats.go keeps timers in
// a sync.Pool, and a timer from an earlier bubble is fatal in a later one, so
// Bubble empties all pools first. Memberlist's Shutdown does not wait for a
// probe in flight, so Bubble gives stragglers a virtual minute to end,
// after all cleanups of the test.
//
// Because pools are shared, tests that use Bubble must not run in parallel.
func Bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	runtime.GC() // Moves pooled values to the victim caches,
	runtime.GC() // and drops them.
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Minute) }) // The first registered runs last.
		f(t)
	})
}
