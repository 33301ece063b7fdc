package broker

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/bubble"
)

type lock interface {
	TryLock() bool
	Unlock()
}

// free tells whether nobody holds the lock.
func free(l lock) bool {
	if !l.TryLock() {
		return false
	}
	l.Unlock()
	return true
}

// A panic while each of the library's locks is held costs the client it comes
// from its connection. What it had is gone as after a cut link, the others are
// served on. The lists below have no map inside: whoever adds to one panics with
// its lock held.
func TestPanicCostsOneClient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		damage  func(*mqtt.Server, *mqtt.Client) (mend func() bool) // which tells whether the locks are free
		provoke func(*client)
		panics  uint64
	}{
		{"in flight", func(_ *mqtt.Server, cl *mqtt.Client) func() bool {
			broken := &mqtt.Inflight{}
			broken.ResetReceiveQuota(9)
			cl.State.Inflight = broken
			return func() bool { return free(broken) }
		}, func(v *client) { v.publishAsync("t", "x", 1, false) }, 1},
		{"subscriptions of a client", func(_ *mqtt.Server, cl *mqtt.Client) func() bool {
			broken := &mqtt.Subscriptions{}
			cl.State.Subscriptions = broken
			return func() bool { return free(broken) }
		}, func(v *client) { v.provokeSubscribe("mine") }, 1},
		{"topics, one topic and its retained message", func(s *mqtt.Server, _ *mqtt.Client) func() bool {
			old, broken := s.Topics.Retained, &packets.Packets{}
			s.Topics.Retained = broken
			return func() bool { s.Topics.Retained = old; return free(broken) }
		}, func(v *client) { v.publishAsync("t", "x", 0, true) }, 1},
		{"a client", func(_ *mqtt.Server, cl *mqtt.Client) func() bool {
			cl.State.Inflight = nil
			func() {
				defer func() { _ = recover() }()
				_, _ = cl.NextPacketID() // takes the lock and looks into what is in flight
			}()
			return func() bool { return free(cl) }
		}, func(v *client) { v.publishAsync("t", "x", 1, false) }, 2}, // it cannot be cleared either
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bubble.Test(t, func(t *testing.T) {
				var lines syncBuffer
				b, _ := run(t, Config{Open: true, Log: zerolog.New(&lines)})
				watch := join(t, b.Conn(""), connectOpts{id: "watch"})
				watch.subscribe("will", 1)
				before := b.Stats()
				will := &packets.Packet{TopicName: "will", Payload: []byte("gone"), FixedHeader: packets.FixedHeader{Qos: 1, Retain: !strings.Contains(c.name, "retained")}}
				victim := join(t, b.Conn(""), connectOpts{id: "victim", will: will})
				if c.name != "subscriptions of a client" {
					victim.subscribe("mine", 1)
				}
				cl, _ := b.server.Clients.Get("victim")
				mend := c.damage(b.server, cl)
				c.provoke(victim)
				for range victim.in { // until it is cut off
				}
				synctest.Wait()
				if !mend() {
					t.Error("a lock is still held")
				}
				if topic, what := watch.message(); topic != "will" || what != "gone" {
					t.Errorf("the watcher got %q on %q, want the Will", what, topic)
				}
				synctest.Wait()
				after := b.Stats()
				if _, there := b.server.Clients.Get("victim"); there || after.Clients != before.Clients || after.Refused[ReasonPanic] != c.panics {
					t.Errorf("the client is there: %v; %d clients, before %d; %d panics", there, after.Clients, before.Clients, after.Refused[ReasonPanic])
				}
				if c.name != "subscriptions of a client" && after.Subscriptions != before.Subscriptions {
					t.Errorf("%d subscriptions, before %d", after.Subscriptions, before.Subscriptions)
				}
				if got := lines.String(); strings.Count(got, "connection panicked") != 1 || !strings.Contains(got, `"remote":"pipe"`) {
					t.Errorf("the log has\n%s", got)
				}
				servedOn(t, b, watch)
			})
		})
	}
}

func (c *client) provokeSubscribe(filter string) {
	pk := packets.Packet{
		ProtocolVersion: 4, PacketID: 9, FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1},
		Filters: packets.Subscriptions{{Filter: filter, Qos: 1}},
	}
	c.send(pk.SubscribeEncode)
}

// servedOn: old and new clients connect, subscribe, publish and retain.
func servedOn(t *testing.T, b *Broker, old *client) {
	t.Helper()
	old.subscribe("t", 1)
	again := join(t, b.Conn(""), connectOpts{id: "victim"})
	again.subscribe("mine", 1)
	if !again.publish("t", "after", true) {
		t.Fatal("the new client is not served")
	}
	if _, what := old.message(); what != "after" {
		t.Errorf("the old client got %q", what)
	}
	if !old.publish("mine", "too", false) {
		t.Fatal("the old client is not served")
	}
	if _, what := again.message(); what != "too" {
		t.Errorf("the new client got %q", what)
	}
}

// A client that panics on its way in is not among the clients.
func TestPanicAtConnect(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b, _ := run(t, Config{Open: true})
		old := join(t, b.Conn(""), connectOpts{id: "old"})
		clients, broken := b.server.Clients, &mqtt.Clients{}
		b.server.Clients = broken
		c := b.Conn("")
		if _, err := c.Write([]byte(hello[4])); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("it was let in")
		}
		synctest.Wait()
		b.server.Clients = clients
		if !free(broken) {
			t.Error("the lock of the clients is still held")
		}
		if s := b.Stats(); s.Clients != 1 || s.Refused[ReasonPanic] != 1 {
			t.Errorf("%d clients, %d panics", s.Clients, s.Refused[ReasonPanic])
		}
		servedOn(t, b, old)
	})
}

// A session that outlives its connections outlives one that panicked.
func TestPanicLeavesTheSession(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b, _ := run(t, Config{Open: true})
		victim := join(t, b.Conn(""), connectOpts{id: "victim", stay: true})
		victim.subscribe("mine", 1)
		cl, _ := b.server.Clients.Get("victim")
		good := cl.State.Inflight
		cl.State.Inflight = nil
		victim.publishAsync("t", "x", 1, false)
		for range victim.in { // until it is cut off
		}
		cl.State.Inflight = good
		pub := join(t, b.Conn(""), connectOpts{id: "pub"})
		pub.publish("mine", "while away", false)
		back := join(t, b.Conn(""), connectOpts{id: "victim", stay: true})
		if _, what := back.message(); what != "while away" {
			t.Errorf("got %q", what)
		}
	})
}

// No panic of a hook's leaves it: what the library calls is guarded's own.
func TestHooksAreGuarded(t *testing.T) {
	t.Parallel()
	own := func(of reflect.Type, name string) bool {
		m, _ := of.MethodByName(name)
		file, _ := runtime.FuncForPC(m.Func.Pointer()).FileLine(m.Func.Pointer())
		return !strings.Contains(file, "autogenerated")
	}
	quiet := []string{"ID", "Provides", "StoredRetainedMessages"} // at the start
	all := reflect.TypeFor[mqtt.Hook]()
	n := 0
	for i := range all.NumMethod() {
		name := all.Method(i).Name
		if !own(reflect.TypeFor[*hook](), name) || slices.Contains(quiet, name) {
			continue
		}
		n++
		if !own(reflect.TypeFor[guarded](), name) {
			t.Errorf("hook.%s is not wrapped by guarded.%s (guard.go): a panic in it could end the process", name, name)
		}
	}
	if n < 10 {
		t.Errorf("only %d methods looked at", n)
	}
	h := &hook{log: zerolog.Nop()}
	cl := mqtt.New(nil).NewClient(&feed{}, "test", "", false)
	h.users = map[string]*access{"": nil}
	h.guard(cl, func() { panic("in a hook") })
	if h.tally.refused[ReasonPanic].Load() != 1 || !cl.Closed() {
		t.Error("a panic in a hook does not end the client's connection")
	}
}

// upstreamFuncs are the functions of a directory of the library's source.
func upstreamFuncs(t *testing.T, dir string) (fns []*ast.FuncDecl) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/mochi-mqtt/server/v2").Output()
	if err != nil {
		t.Skip("no source of the library:", err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				fns = append(fns, fn)
			}
		}
	}
	return fns
}

// The library gives its locks back by defer, so that none is held after a panic;
// where it does not, the line between cannot panic.
func TestUpstreamLocksAreDeferred(t *testing.T) {
	t.Parallel()
	var bare []string
	locks := 0
	for _, dir := range []string{"", "packets", "mempool", "system"} {
		for _, fn := range upstreamFuncs(t, dir) {
			ast.Inspect(fn, func(n ast.Node) bool {
				block, ok := n.(*ast.BlockStmt)
				if !ok {
					return true
				}
				for i, s := range block.List {
					if !called(s, "Lock", "RLock") {
						continue
					}
					locks++
					if i+1 == len(block.List) || !deferred(block.List[i+1]) {
						bare = append(bare, fn.Name.Name)
					}
				}
				return true
			})
		}
	}
	if locks < 40 || !slices.Equal(bare, []string{"add"}) { // particles.add sets a key of a map that is never nil
		t.Errorf("%d locks; without defer: %v", locks, bare)
	}
}

func called(s ast.Stmt, names ...string) bool {
	e, ok := s.(*ast.ExprStmt)
	return ok && isCall(e.X, names...)
}

func deferred(s ast.Stmt) bool {
	d, ok := s.(*ast.DeferStmt)
	return ok && isCall(d.Call, "Unlock", "RUnlock")
}

func isCall(e ast.Expr, names ...string) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	return ok && slices.Contains(names, sel.Sel.Name)
}
