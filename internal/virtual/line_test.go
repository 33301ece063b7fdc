package virtual

import (
	"net"
	"sync"
	"time"
)

// line is the network between a party and the broker: so many bytes a second
// each way, a delay, and buffers that take whatever is written, as those of a
// kernel do with a few parts. It can be held up one way or both, and cut.
type line struct {
	rate  int // bytes a second, 0 for no limit
	delay time.Duration

	mu           sync.Mutex
	up, down     *lane // of the newest connection: from the party to the broker, and back
	noUp, noDown bool
	limit        int // bytes of a connection in either direction, 0 for no limit
	opened       int // connections
	goes         sync.WaitGroup
}

// kbit is a thousand bits a second, in bytes.
const kbit = 1000 / 8

// join puts the line before the broker's end of a connection, and returns the
// party's end.
func (l *line) join(broker net.Conn) net.Conn {
	party, far := net.Pipe()
	l.mu.Lock()
	defer l.mu.Unlock()
	up, down := newLane(l), newLane(l)
	l.up, l.down = up, down
	l.up.held, l.down.held = l.noUp, l.noDown
	l.opened++
	up.cutAt, down.cutAt = l.limit, l.limit
	l.goes.Go(func() { up.carry(far, broker, down) })
	l.goes.Go(func() { down.carry(broker, far, up) })
	return party
}

// hold stops what is under way in either direction until it is let go. The
// connection stands: its ends hear nothing, not even that the other has closed.
func (l *line) hold(up, down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.noUp, l.noDown = up, down
	if l.up != nil {
		l.up.hold(up)
		l.down.hold(down)
	}
}

// cutEach closes this connection and all later ones after so many more bytes in
// either direction; 0 ends that.
func (l *line) cutEach(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit = n
	l.up.cutAfter(n)
	l.down.cutAfter(n)
}

// carried is how many bytes the newest connection has carried, up and down.
func (l *line) carried() (up, down int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.up.set(func() { up = l.up.arrived })
	l.down.set(func() { down = l.down.arrived })
	return up, down
}

// connections is how often the party has connected.
func (l *line) connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.opened
}

// lane is one direction of a connection.
type lane struct {
	line *line

	mu      sync.Mutex
	news    *sync.Cond
	queue   []flying
	free    time.Time // when the last byte that was written has left
	ended   bool      // nothing more is written
	dead    bool      // nobody hears what arrives
	held    bool      // nothing arrives
	cutAt   int       // bytes after which both ends are closed, 0 for never
	arrived int       // bytes
}

// flying is a packet under way.
type flying struct {
	data []byte
	at   time.Time // arrives
}

// packet is how much travels at once, as over Ethernet.
const packet = 1460

func newLane(of *line) *lane {
	l := &lane{line: of}
	l.news = sync.NewCond(&l.mu)
	return l
}

// carry takes bytes from one end to the other until either ends. back is the
// other direction.
func (l *lane) carry(from, to net.Conn, back *lane) {
	delivered := make(chan struct{})
	go func() {
		defer close(delivered)
		l.deliver(to)
		_ = from.Close()
		_ = to.Close()
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		l.put(buf[:n], err != nil)
		if err != nil {
			back.set(func() { back.dead = true })
			break
		}
	}
	<-delivered
}

func (l *lane) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	l.news.Broadcast()
}

func (l *lane) hold(on bool) { l.set(func() { l.held = on }) }
func (l *lane) cutAfter(n int) {
	l.set(func() {
		l.cutAt = l.arrived + n
		if n == 0 {
			l.cutAt = 0
		}
	})
}

// put queues what was written, packet by packet.
func (l *lane) put(p []byte, end bool) {
	l.set(func() {
		for now := time.Now(); len(p) > 0; {
			n := min(len(p), packet)
			if l.free.Before(now) {
				l.free = now
			}
			if rate := l.line.rate; rate > 0 {
				l.free = l.free.Add(time.Duration(n) * time.Second / time.Duration(rate))
			}
			l.queue = append(l.queue, flying{append([]byte(nil), p[:n]...), l.free.Add(l.line.delay)})
			p = p[n:]
		}
		l.ended = l.ended || end
	})
}

// deliver hands over what has arrived, to the last byte.
func (l *lane) deliver(to net.Conn) {
	for {
		p, ok := l.next()
		if !ok {
			return
		}
		if _, err := to.Write(p); err != nil {
			return
		}
		l.mu.Lock()
		l.arrived += len(p)
		cut := l.cutAt > 0 && l.arrived >= l.cutAt
		l.mu.Unlock()
		if cut {
			return
		}
	}
}

// next waits for what arrives next; there is nothing once either end has closed
// and the other could know.
func (l *lane) next() ([]byte, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case l.dead:
			return nil, false
		case l.held || len(l.queue) == 0 && !l.ended:
			l.news.Wait()
		case len(l.queue) == 0:
			return nil, false
		default:
			p := l.queue[0]
			if wait := time.Until(p.at); wait > 0 {
				l.mu.Unlock()
				time.Sleep(wait)
				l.mu.Lock()
				continue // it may have been held up, or cut, meanwhile
			}
			l.queue = l.queue[1:]
			return p.data, true
		}
	}
}
