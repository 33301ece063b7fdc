package sim

// Noise is what a network and a broker do to single messages, each in so many
// of a thousand.
type Noise struct {
	Lose     int // delivered to one subscriber less
	Twice    int
	Late     int // overtaken by others
	Swallow  int // acknowledged, and given to nobody
	NoAck    int // taken, and never acknowledged
	Latency  ms  // of one way, at most
	DropLink int // a link ends at a message
	Corrupt  int // a part arrives with another byte
}

// client is the connection of one process: subscriptions, publishes that wait
// for their PUBACKs, and posts that wait for a link.
type client struct {
	w       *World
	p       *process
	node    int
	got     func(message)
	changed func(up bool)

	up      bool // CONNECT was answered
	ready   bool // and the subscriptions too: the process was told
	life    int
	cut     bool // partitioned
	deaf    uint // to these kinds of topics: the broker has lost the subscriptions
	parts   map[topic]bool
	will    func(connection uint64) message // nil: none
	links   uint64                          // connections so far
	flights []*flight
	posts   []message
	lastOut ms
	lastIn  ms
	queued  int // deliveries on their way
}

// flight is a message that waits for its PUBACK.
type flight struct {
	m    message
	done func(ok bool) // nil: it was posted
}

// queueMost is what a broker keeps for one client; the newest goes.
const queueMost = 1000

func (w *World) newClient(p *process, got func(message), changed func(up bool)) *client {
	c := &client{w: w, p: p, node: p.node, got: got, changed: changed, parts: map[topic]bool{}}
	w.broker.clients = append(w.broker.clients, c)
	c.dial(w.between(1, 2_000))
	return c
}

// dial connects after a while, again and again.
func (c *client) dial(after ms) {
	life := c.life
	c.w.at(after, func() {
		switch {
		case c.p.dead || c.life != life || c.up:
		case c.w.broker.down || c.cut:
			c.dial(c.w.between(1_000, 20_000))
		default:
			c.connect()
		}
	})
}

// connect is a new session: clean, with all subscriptions, retained messages on
// their way.
func (c *client) connect() {
	c.life++
	c.links++
	c.up, c.deaf, c.queued = true, 0, 0
	c.lastOut, c.lastIn = c.w.now, c.w.now
	for _, t := range c.fixed() {
		c.w.broker.sendRetained(c, t)
	}
	for _, t := range sortedTopics(c.parts) {
		c.w.broker.sendRetained(c, t)
	}
	posts := c.posts
	c.posts = nil
	for _, m := range posts {
		c.fly(&flight{m: m})
	}
	life := c.life
	c.w.at(c.delay(), func() {
		if c.life == life {
			c.ready = true
			c.w.note(noteUp, c.node, 0, 0, 0)
			c.p.enter(func() { c.changed(true) })
		}
	})
}

// lost ends the link. What was not acknowledged has an unknown outcome; what
// was posted to be retained goes out again.
func (c *client) lost() {
	if !c.up {
		return
	}
	c.life++
	was := c.ready
	c.testament()
	c.up, c.ready = false, false
	flights := c.flights
	c.flights = nil
	if c.p.dead {
		return
	}
	c.w.note(noteDown, c.node, 0, 0, 0)
	var again []message
	for _, f := range flights {
		if f.done != nil {
			c.p.enter(func() { f.done(false) })
		} else if f.m.retained {
			again = append(again, f.m)
		}
	}
	c.posts = append(again, c.posts...)
	if was {
		c.p.enter(func() { c.changed(false) })
	}
	c.dial(c.w.between(500, 15_000))
}

// testament is the Last Will of a connection: the broker sends it when it notices the
// end, which may be when the next one is up.
func (c *client) testament() {
	if c.will != nil && c.up {
		m := c.will(c.links)
		c.w.at(c.w.between(0, 2_000), func() {
			if !c.w.broker.down {
				c.w.broker.take(m)
			}
		})
	}
}

// close ends the client with its process.
func (c *client) close() {
	c.testament()
	c.life++
	c.up, c.ready, c.flights, c.posts = false, false, nil, nil
	c.w.broker.forget(c)
}

// fixed are the standing subscriptions.
func (c *client) fixed() []topic {
	if c.node >= len(c.w.sites) {
		list := []topic{{kind: onOrder}, {kind: onModel}, {kind: onRecord}, {kind: onState}}
		for _, s := range c.w.sites {
			list = append(list, s.own(onPresence))
		}
		return list
	}
	return []topic{{kind: onOrder}, {kind: onModel}, {kind: onRecord}}
}

// wants reports whether the session gets messages of a topic.
func (c *client) wants(t topic) bool {
	switch {
	case !c.up:
		return false
	case t.kind == onModelPart:
		return c.parts[t]
	case c.deaf>>t.kind&1 != 0:
		return false
	case t.kind <= onRecord:
		return true
	case c.node >= len(c.w.sites):
		return t.kind != onReply
	}
	return t.kind == onReply && int(t.a) == c.node
}

// publish sends a message and tells what came of it.
func (c *client) publish(m message, done func(ok bool)) {
	c.p.effect()
	if !c.up {
		c.w.at(1, func() { c.p.enter(func() { done(false) }) })
		return
	}
	c.fly(&flight{m: m, done: done})
}

// within publishes a message and waits for its PUBACK, not for ever.
func (c *client) within(most ms, m message, done func(ok bool)) {
	told := false
	once := func(ok bool) {
		if !told {
			told = true
			done(ok)
		}
	}
	c.publish(m, once)
	if c.w.noAcks {
		c.w.at(most, func() { c.p.enter(func() { once(false) }) })
	}
}

// post sends a message when there is a link. What is to be retained takes the
// place of an older one.
func (c *client) post(m message) {
	c.p.effect()
	if c.up {
		c.fly(&flight{m: m})
		return
	}
	for i := range c.posts {
		if m.retained && c.posts[i].topic == m.topic {
			c.posts = append(c.posts[:i], c.posts[i+1:]...)
			break
		}
	}
	if len(c.posts) < queueMost {
		c.posts = append(c.posts, m)
	}
}

func (c *client) fly(f *flight) {
	w := c.w
	c.flights = append(c.flights, f)
	w.check.leaves(c.node, f.m)
	w.noteMessage(noteSend, c.node, f.m)
	if w.chance(w.noise.DropLink) {
		w.at(w.between(0, 50), c.lost)
	}
	c.lastOut = max(c.lastOut, w.now+c.delay())
	life := c.life
	w.at(c.lastOut-w.now, func() {
		if c.life != life || c.cut {
			return
		}
		w.broker.take(f.m)
		if w.chance(w.noise.NoAck) {
			return
		}
		w.at(c.delay(), func() { c.acked(f, life) })
	})
}

func (c *client) acked(f *flight, life int) {
	if c.life != life || c.cut {
		return
	}
	for i := range c.flights {
		if c.flights[i] == f {
			c.flights = append(c.flights[:i], c.flights[i+1:]...)
			if f.done != nil {
				c.p.enter(func() { f.done(true) })
			}
			return
		}
	}
}

// subscribe asks for a part's topic; the retained message comes with it.
func (c *client) subscribe(t topic) {
	c.p.effect()
	c.parts[t] = true
	c.ask(t)
}

func (c *client) unsubscribe(t topic) {
	c.p.effect()
	delete(c.parts, t)
}

// resubscribe asks for a standing subscription again.
func (c *client) resubscribe(t topic) {
	c.p.effect()
	if c.up {
		c.deaf &^= 1 << t.kind
	}
	c.ask(t)
}

func (c *client) ask(t topic) {
	if !c.up {
		return
	}
	life := c.life
	c.w.at(c.delay(), func() {
		if c.life == life && !c.cut {
			c.w.broker.sendRetained(c, t)
		}
	})
}

func (c *client) delay() ms { return c.w.between(1, max(c.w.noise.Latency, 20)) }

// deliver brings a message to the client, as well as the network does.
func (c *client) deliver(m message) {
	w := c.w
	if c.queued >= queueMost || w.chance(w.noise.Lose) {
		w.check.undelivered(m)
		return
	}
	if part, ok := m.body.(*partMsg); ok && w.chance(w.noise.Corrupt) {
		bad := *part
		bad.Data = append([]byte{part.Data[0] ^ 1}, part.Data[1:]...)
		m.body = &bad
	}
	n := 1
	if w.chance(w.noise.Twice) {
		n = 2
	}
	for range n {
		c.queued++
		at := w.now + c.delay()
		if w.chance(w.noise.Late) {
			at += w.between(100, 10_000)
			w.check.undelivered(m) // in its place
		} else {
			c.lastIn = max(c.lastIn, at)
			at = c.lastIn
		}
		life := c.life
		w.at(at-w.now, func() {
			if c.life != life {
				return
			}
			if c.queued--; !c.cut {
				w.noteMessage(noteGot, c.node, m)
				c.p.enter(func() { c.got(m) })
			}
		})
	}
}
