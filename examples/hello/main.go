// Hello is the smallest program with two actors: the greeter, and the node
// itself, which calls it. With a Join URL in both Configs they may as well
// run on two machines.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/tandem-actors/tandem/cluster"
)

// Greet answers a name with a greeting.
const Greet = cluster.Func[string, string]("greet")

func greet(_ context.Context, name string) (string, error) {
	return "Hello, " + name + "!", nil
}

func main() {
	ctx := context.Background()
	node, err := cluster.Start(ctx, cluster.Config{})
	check(err)
	defer node.Close()
	greeter, err := node.Spawn(ctx, "greeter", Greet.Serve(greet))
	check(err)
	text, err := Greet.Call(ctx, greeter, "world")
	check(err)
	fmt.Println(text)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
