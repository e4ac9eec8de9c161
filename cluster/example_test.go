package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/tandem-actors/tandem/cluster"
)

// Both sides import the endpoint's name and types.
const Greet = cluster.Func[string, string]("greet")

func ExampleFunc() {
	ctx := context.Background()
	one, err := cluster.Start(ctx, cluster.Config{Name: "one"}) // With Join, over NATS.
	if err != nil {
		log.Fatal(err)
	}
	defer one.Close()
	two, err := cluster.Start(ctx, cluster.Config{Name: "two", Peer: one})
	if err != nil {
		log.Fatal(err)
	}
	defer two.Close()

	_, err = one.Spawn(ctx, "greeter", Greet.Serve(func(_ context.Context, name string) (string, error) {
		return "Hello, " + name + "!", nil
	}))
	if err != nil {
		log.Fatal(err)
	}
	greeter, err := two.Find(ctx, "greeter")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(Greet.Call(ctx, greeter, "world"))
	// Output: Hello, world! <nil>
}

// Countdown streams numbers down from its argument; its parent may interrupt.
const Countdown = cluster.Task[int, string, cluster.None, int, string]("countdown")

func countdown(ctx context.Context, c *cluster.Child[string, cluster.None, int], from int) (string, error) {
	if err := c.Started(ctx, "counting"); err != nil {
		return "", err
	}
	for n := from; n > 0; n-- {
		if err := c.Send(ctx, n); err != nil {
			return "", err
		}
	}
	return "liftoff", nil
}

func ExampleTask() {
	ctx := context.Background()
	node, err := cluster.Start(ctx, cluster.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer node.Close()
	pad, err := node.Spawn(ctx, "pad", Countdown.Serve(countdown))
	if err != nil {
		log.Fatal(err)
	}
	last, err := Countdown.Open(ctx, pad, 3,
		func(ctx context.Context, c *cluster.Parent[cluster.None, int, string], first string) error {
			fmt.Println(first)
			for n, err := range c.All(ctx) {
				if err != nil {
					return err
				}
				fmt.Println(n)
			}
			return nil
		})
	fmt.Println(last, err)
	// Output:
	// counting
	// 3
	// 2
	// 1
	// liftoff <nil>
}

// Sleep runs until it is canceled.
const Sleep = cluster.Func[cluster.None, cluster.None]("sleep")

// Whoever is linked to a canceled actor is told who canceled it, and why.
func ExamplePortal_Cancel() {
	ctx := context.Background()
	node, err := cluster.Start(ctx, cluster.Config{Name: "alice"})
	if err != nil {
		log.Fatal(err)
	}
	defer node.Close()
	up := make(chan struct{})
	sleeper, err := node.Spawn(ctx, "sleeper", Sleep.Serve(func(ctx context.Context, _ cluster.None) (cluster.None, error) {
		close(up)
		<-ctx.Done()
		fmt.Println("sleeper:", context.Cause(ctx))
		return cluster.None{}, ctx.Err()
	}))
	if err != nil {
		log.Fatal(err)
	}
	err = node.Nursery(ctx, func(ctx context.Context, nursery *cluster.Nursery) error {
		nursery.Go(func(ctx context.Context) error {
			_, err := Sleep.Call(ctx, sleeper, cluster.None{})
			return err
		})
		<-up
		return sleeper.Cancel(ctx, errors.New("budget spent"))
	})
	canceled, ok := errors.AsType[*cluster.Canceled](err)
	fmt.Println("caller:", ok, canceled.Canceller, canceled.Reason())
	// Output:
	// sleeper: canceled by alice: budget spent
	// caller: true alice budget spent
}
