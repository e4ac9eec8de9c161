package discovery

// maxPosts is how many posts of a client wait for a bus that stalls. More are
// dropped: the next heartbeat shows registrars what they miss, and who gets no
// answer asks again.
const maxPosts = 1024

// A post is on its way to the bus: one message, or the parts of one snapshot.
type post struct {
	subject, reply string
	messages       []*message
}

// post queues messages unless the node has left or nobody wants them. It never
// blocks, so c.mu, which is held, keeps nobody waiting for the bus.
func (c *Client) post(subject, reply string, messages ...*message) {
	if c.closed || subject == "" {
		return
	}
	select {
	case c.posts <- post{subject, reply, messages}:
	default:
	}
}

// deliver publishes what is posted, in order, until all is and the client has
// closed. What is posted while the bus is down is dropped.
func (c *Client) deliver() {
	for p := range c.posts {
		for _, m := range p.messages {
			if c.cfg.Bus.Err() == nil {
				_ = c.cfg.Bus.Publish(p.subject, p.reply, m.encode()) // Lost, it is repaired as above.
			}
		}
	}
}
