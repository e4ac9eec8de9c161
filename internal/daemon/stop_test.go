package daemon

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestStop_namesWhatDoesNotEnd(t *testing.T) {
	aborted := make(chan struct{})
	close(aborted)
	for name, tt := range map[string]struct {
		grace time.Duration
		abort chan struct{}
		want  string
	}{
		"grace":   {time.Second, nil, "the grace of 1s is over"},
		"aborted": {time.Hour, aborted, "context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hang, broken := make(chan struct{}), errors.New("broken")
				defer close(hang)
				begun := time.Now()
				err := stop([]part{
					{"first", func(context.Context) error { return broken }},
					{"second", func(context.Context) error { <-hang; return nil }},
					{"third", func(context.Context) error { return nil }},
				}, tt.grace, tt.abort)
				if !errors.Is(err, broken) || !strings.Contains(err.Error(), "\nsecond, third did not end: "+tt.want) {
					t.Errorf("stop: %v", err)
				}
				if took := time.Since(begun); took > time.Second+lastChance {
					t.Errorf("it takes %v", took)
				}
			})
		})
	}
}

func TestStop_slowPartLeavesTimeForTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }
		polite := func(ctx context.Context) error {
			select {
			case <-time.After(time.Second):
				return nil
			case <-ctx.Done():
				return errors.New("it had no time")
			}
		}
		err := stop([]part{{"slow", slow}, {"polite", polite}}, 5*time.Second, nil)
		if err == nil || err.Error() != "it did not end within 2.5s" {
			t.Errorf("stop: %v", err)
		}
	})
}
