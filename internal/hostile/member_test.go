package hostile

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// member is an attacker that the owner takes for a member: it follows orders and
// speaks the wire.
type member struct {
	s    *stage
	path string
	k    *conn

	mu      sync.Mutex
	at      wire.Header // of the last order
	origin  wire.Nonce  // of the task, as any order says
	order   wire.Order
	schema  model.Schema
	blob    wire.Blob // of the model
	replies []wire.Reply
	orders  chan struct{} // one came; capacity 1
	granted chan wire.Grant
}

// member connects one and joins, with so many samples.
func (s *stage) member(path string) (*member, error) {
	m := &member{s: s, path: path, orders: make(chan struct{}, 1), granted: make(chan wire.Grant, 64)}
	ns, err := topics.New("acme")
	if err != nil {
		return nil, err
	}
	o := &wire.Opener{NS: ns, Limits: wire.Limits{Part: wire.MaxPart, Plain: 64 << 20}}
	base := "acme/_fl_v1/q/"
	m.k, err = s.listen(s.account(path, "evil"), func(topic string, payload []byte) {
		if h, body, err := o.Open(topic, payload, wire.Bound{}); err == nil {
			m.take(h, body, o.Limits)
		}
	}, base+"order", base+"model", base+"reply/"+path)
	return m, err
}

func (m *member) take(h wire.Header, body []byte, limits wire.Limits) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch h.Kind {
	case wire.KindOrder:
		m.origin = h.Origin
		if o, err := wire.DecodeOrder(body); err == nil && o.Work == wire.WorkTrain {
			m.at, m.order = h, o
			select {
			case m.orders <- struct{}{}:
			default:
			}
		}
	case wire.KindModel:
		d, err := wire.DecodeModel(body, limits)
		if mf, ok := d.(wire.Manifest); ok && err == nil {
			m.schema, m.blob = mf.Schema, mf.Blob
		}
	case wire.KindReply:
		r, err := wire.DecodeReply(body)
		if err != nil {
			return
		}
		m.replies = append(m.replies, r)
		if g, ok := r.(wire.Grant); ok {
			select {
			case m.granted <- g:
			default:
			}
		}
	}
}

// heard reports whether an answer came that is like one.
func (m *member) heard(within time.Duration, like func(wire.Reply) bool) bool {
	for end := time.Now().Add(within); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		m.mu.Lock()
		for _, r := range m.replies {
			if like(r) {
				m.mu.Unlock()
				return true
			}
		}
		m.mu.Unlock()
	}
	return false
}

// life is the origin of the task, which its first order says.
func (m *member) life() (wire.Nonce, error) {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		m.mu.Lock()
		id := m.origin
		m.mu.Unlock()
		if !id.IsZero() {
			return id, nil
		}
	}
	return wire.Nonce{}, errors.New("no order")
}

// say publishes a message; change may spoil its body.
func (m *member) say(kind string, h wire.Header, msg wire.Message, change func([]byte) []byte) error {
	body, err := wire.Encode(msg)
	if err != nil {
		return err
	}
	if change != nil {
		body = change(body)
	}
	if h.Origin, err = m.life(); err != nil {
		return err
	}
	h.Task, h.Kind, h.Sender, h.Topic = "q", kind, "acme/"+m.path, "acme/"+m.path+"/_fl_v1/q/"+kind
	if kind == wire.KindUpdate {
		h.Encoding = wire.EncodingDense
	}
	b, err := wire.Seal(h, body, nil)
	if err != nil {
		return err
	}
	return m.k.say(publish(h.Topic, b, 0, false))
}

func (m *member) join(samples uint64) error {
	return m.say(wire.KindJoin, wire.Header{CreatedMS: uint64(time.Now().UnixMilli())},
		wire.Join{Samples: samples, Instance: wire.Nonce{1}, Disk: wire.Nonce{2}, Host: "evil"}, nil)
}

var errNoOrder = errors.New("no order came")

// offer offers an update for the order in force, and returns its bytes. They are
// no zeros, which would need no travel.
func (m *member) offer(samples uint64, metrics map[string]float64, change func([]byte) []byte) (blob []byte, cut wire.Blob, err error) {
	m.mu.Lock()
	h, part, schema := m.at, m.order.PartSize, m.schema.Shared()
	m.mu.Unlock()
	if len(schema) == 0 || part == 0 {
		return nil, cut, errNoOrder
	}
	update := model.New(schema)
	for i := range update.Blob {
		update.Blob[i] = 1
	}
	if cut, err = wire.NewBlob(update.Blob, int(part)); err != nil {
		return nil, cut, err
	}
	err = m.say(wire.KindUpdate, wire.Header{Epoch: h.Epoch, Round: h.Round, Attempt: h.Attempt, Base: h.Base, Schema: h.Schema},
		wire.Offer{Samples: samples, Metrics: metrics, Schema: schema, Content: update.ContentID(), Blob: cut}, change)
	return update.Blob, cut, err
}

// refused is an answer for a reason.
func refused(reason string) func(wire.Reply) bool {
	return func(r wire.Reply) bool {
		f, ok := r.(wire.RefusalReply)
		return ok && f.Reason == reason
	}
}

func welcomed(r wire.Reply) bool {
	_, ok := r.(wire.Welcome)
	return ok
}

// ended tells an attacker's loop to end.
func ended(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// follow gives the order time to come.
func (m *member) follow(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return false
	case <-m.orders:
		return true
	}
}

// contested reports whether the round view names two processes of a member.
func (s *stage) contested(path string) bool {
	v := s.round.Load()
	return v != nil && strings.Contains(string(*v), `"contested":[{"member":"`+path+`"`)
}

// failed is what a row says that could not be played.
func failed(err error) (string, bool) { return fmt.Sprint("not played: ", err), false }
