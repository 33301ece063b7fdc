package broker

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// sameID is how many connections may have one client id at once: the one that
// is in, and those that are about to take it over.
const sameID = 4

// accountant counts connections, by address before they are let in and by user
// afterwards. What it remembers is bounded: connections that are open, users
// that are listed, and as many client ids as connections may be.
type accountant struct {
	limits  Limits
	trusted []netip.Prefix
	open    bool // of an open broker: who was in before is known by client id

	mu       sync.Mutex
	seq      uint64
	waiting  map[*pass]struct{} // not let in yet
	hosts    map[string]*host   // with a connection
	accounts map[string]*account
	known    map[string]struct{} // client ids that were in, of an open broker
	in       int
}

type host struct{ all, waiting int }

// account is one user's.
type account struct {
	limits RoleLimits
	ids    map[string]int // client ids that are in, and their connections
	known  bool           // it was in before
}

func newAccountant(l Limits, open bool) (*accountant, error) {
	trusted, err := l.trusted()
	return &accountant{
		limits: l, trusted: trusted, open: open,
		waiting: map[*pass]struct{}{}, hosts: map[string]*host{}, accounts: map[string]*account{}, known: map[string]struct{}{},
	}, err
}

// pass is an open connection, from its acceptance to its end.
type pass struct {
	net.Conn
	to   *accountant
	host string // address, for IPv6 its /64
	free bool   // of the limit by address
	seq  uint64
	gone chan struct{} // closed by Close
	once sync.Once

	account *account // where it is let in
	id      string
	busy    bool // it was refused for now, not for ever

	framed bool // WebSocket: what is read may be frames without a byte in them
	waste  int  // bytes read since the last one of MQTT's
	pace   pace
}

// freeWaste is what WebSocket may need for a byte, and for a day's pings.
const freeWaste = 64 << 10

// Read reads, but frames that bring nothing at a pace.
func (p *pass) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	if !p.framed {
		return n, err
	}
	if p.waste += n; p.waste > freeWaste {
		time.Sleep(p.pace.charge(1+n>>10, time.Now()))
	}
	return n, err
}

// Close closes the connection and gives its place back.
func (p *pass) Close() error {
	p.once.Do(func() {
		p.to.leave(p)
		close(p.gone)
	})
	return p.Conn.Close()
}

// enter counts a connection in. The one it returns as oldest has to make room.
func (a *accountant) enter(c net.Conn) (p, oldest *pass, r Reason) {
	p = &pass{Conn: c, to: a, gone: make(chan struct{})}
	p.host, p.free = a.place(c.RemoteAddr())
	a.mu.Lock()
	defer a.mu.Unlock()
	h := a.hosts[p.host]
	if h == nil {
		h = &host{}
	}
	if !p.free && h.all >= a.limits.PerAddress {
		return p, nil, ReasonAddress
	}
	a.hosts[p.host] = h
	h.all++
	h.waiting++
	a.seq++
	p.seq = a.seq
	a.waiting[p] = struct{}{}
	if len(a.waiting) > a.limits.Connecting {
		oldest = a.busiest()
		a.remove(oldest) // at once: the next one that comes in needs another's place
	}
	return p, oldest, 0
}

// busiest returns the oldest waiting connection of the address with the most.
func (a *accountant) busiest() (oldest *pass) {
	most := 0
	for _, h := range a.hosts {
		most = max(most, h.waiting)
	}
	for p := range a.waiting {
		if a.hosts[p.host].waiting == most && (oldest == nil || p.seq < oldest.seq) {
			oldest = p
		}
	}
	return oldest
}

// place is what an address is known by, and whether it is free of the limit.
func (a *accountant) place(addr net.Addr) (host string, free bool) {
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return addr.String(), true // a pipe of this process
	}
	ip := at.Addr().Unmap().WithZone("")
	free = ip.IsLoopback()
	for _, p := range a.trusted {
		free = free || p.Contains(ip)
	}
	if ip.Is6() {
		if net, err := ip.Prefix(64); err == nil {
			return net.String(), free
		}
	}
	return ip.String(), free
}

// letIn counts a connection to its user, or says why not.
func (a *accountant) letIn(p *pass, user string, limits RoleLimits, id string) Reason {
	a.mu.Lock()
	defer a.mu.Unlock()
	u := a.accounts[user]
	if u == nil {
		u = &account{limits: limits, ids: map[string]int{}}
		a.accounts[user] = u
	}
	known := u.known
	if a.open {
		_, known = a.known[id]
	}
	most := a.limits.Connections
	if !known {
		most -= most / 10
	}
	_, waits := a.waiting[p]
	switch n := u.ids[id]; {
	case !waits: // it has ended, or made room
		return ReasonConnecting
	case n >= sameID, n == 0 && len(u.ids) >= u.limits.Connections:
		return ReasonUser
	case a.in >= most && n == 0:
		return ReasonConnections
	}
	delete(a.waiting, p)
	a.hosts[p.host].waiting--
	u.ids[id]++
	a.in++
	p.account, p.id = u, id
	a.remember(u, id)
	return 0
}

func (a *accountant) remember(u *account, id string) {
	u.known = true
	if !a.open {
		return
	}
	if len(a.known) >= a.limits.Connections {
		for old := range a.known {
			delete(a.known, old)
			break
		}
	}
	a.known[id] = struct{}{}
}

func (a *accountant) leave(p *pass) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.remove(p)
}

// remove gives a connection's place back, once; mu is held.
func (a *accountant) remove(p *pass) {
	h := a.hosts[p.host]
	if h == nil {
		return // it was never in
	}
	switch _, waits := a.waiting[p]; {
	case waits:
		delete(a.waiting, p)
		h.waiting--
	case p.account != nil:
		if p.account.ids[p.id]--; p.account.ids[p.id] == 0 {
			delete(p.account.ids, p.id)
		}
		a.in--
	default:
		return // it was refused at the door, or made room
	}
	if h.all--; h.all == 0 {
		delete(a.hosts, p.host)
	}
}
