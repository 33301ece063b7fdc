package broker_test

import (
	"context"
	"fmt"
	"net"

	"github.com/fedmq/fedmq/broker"
	"github.com/fedmq/fedmq/topics"
)

// A broker on a free port, with one site that may connect.
func Example() {
	ns, err := topics.New("acme")
	if err != nil {
		fmt.Println(err)
		return
	}
	users, err := broker.ParseUsers([]broker.UserSpec{{Name: "berlin/line-1", Role: "site"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	b, err := broker.New(broker.Config{TCP: "127.0.0.1:0", Namespace: ns, Users: users})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- b.Run(ctx) }()
	<-b.Ready()
	host, _, _ := net.SplitHostPort(b.Addrs().TCP)
	fmt.Println("listens on", host)
	stop()
	fmt.Println("ended with", <-ended)
	// Output:
	// listens on 127.0.0.1
	// ended with <nil>
}
