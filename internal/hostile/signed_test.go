package hostile

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// signedRows attack a federation of two tasks that sign, over an open broker.
var signedRows = []row{
	{"b02", "a pause that was signed for one task, and members' messages of it, published for another", .5, elsewhere},
}

// keyFile is the name of a party's key, without its ending.
func keyFile(party string) string { return "key-" + strings.ReplaceAll(party, "/", "-") }

// keys makes a key for everybody.
func (s *stage) keys(t *testing.T) {
	t.Helper()
	for _, party := range append([]string{"aggregator", "op"}, honest...) {
		pub, priv, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		private, err := x509.MarshalPKCS8PrivateKey(priv)
		if err != nil {
			t.Fatal(err)
		}
		public, err := x509.MarshalPKIXPublicKey(pub)
		if err != nil {
			t.Fatal(err)
		}
		for ending, b := range map[string]*pem.Block{"pem": {Type: "PRIVATE KEY", Bytes: private}, "pub": {Type: "PUBLIC KEY", Bytes: public}} {
			if err := os.WriteFile(filepath.Join(s.dir, keyFile(party)+"."+ending), pem.EncodeToMemory(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// keysOf is the block of a party's configuration.
func keysOf(party string) string {
	text := fmt.Sprintf("keys:\n  key: %s.pem\n  allow:\n", keyFile(party))
	if party != "aggregator" {
		return text + fmt.Sprintf("    - {role: aggregator, key: %s.pub}\n", keyFile("aggregator"))
	}
	for _, m := range honest {
		text += fmt.Sprintf("    - {path: %s, role: site, key: %s.pub}\n", m, keyFile(m))
	}
	return text + fmt.Sprintf("    - {role: operator, key: %s.pub}\n", keyFile("op"))
}

// tape keeps what was said, by topic.
type tape struct {
	mu     sync.Mutex
	heard  map[string][][]byte
	events string // of task r
}

func (p *tape) take(topic string, payload []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if strings.HasSuffix(topic, "/r/event") {
		p.events += string(payload)
	}
	p.heard[topic] = append(p.heard[topic], bytes.Clone(payload))
}

// ofQ is what was said for task q, by its topic for task r.
func (p *tape) ofQ() map[string][][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := map[string][][]byte{}
	for topic, said := range p.heard {
		if strings.Contains(topic, "/q/") {
			list[strings.Replace(topic, "/q/", "/r/", 1)] = said
		}
	}
	return list
}

// elsewhere records what is signed for task q, a pause and its resume among it, and
// publishes it for task r.
func elsewhere(s *stage, stop <-chan struct{}) (string, bool) {
	p := &tape{heard: map[string][][]byte{}}
	k, err := s.listen(s.account("x", "recorder"), p.take,
		"acme/_fl_v1/q/command", "acme/+/+/_fl_v1/q/join", "acme/+/+/_fl_v1/q/update", "acme/_fl_v1/r/event", "acme/_fl_v1/r/round")
	if err != nil {
		return failed(err)
	}
	<-time.After(1500 * time.Millisecond) // a round's updates
	for _, op := range []string{"pause", "resume"} {
		c := exec.Command(s.program, "send", op, "-n", "acme", "-t", "q", "-b", "tcp://"+s.addr, "--sign-key", keyFile("op")+".pem")
		c.Dir = s.dir
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Sprintf("%s: %s", op, out), false
		}
	}
	sent := 0
	for topic, said := range p.ofQ() {
		for _, b := range said {
			if len(b) > 0 && k.say(publish(topic, b, 0, false)) == nil {
				sent++
			}
		}
	}
	<-stop
	<-time.After(1500 * time.Millisecond) // a view a second
	p.mu.Lock()
	defer p.mu.Unlock()
	views := p.heard["acme/_fl_v1/r/round"]
	last := string(views[len(views)-1])
	refused, wrong, halted := strings.Count(p.events, "made for the topic"), strings.Contains(last, `"wrong_topic"`), strings.Contains(last, `"phase":"halted"`)
	return fmt.Sprintf("%d messages of q for r: %d commands refused, others as wrong_topic: %v, r paused: %v", sent, refused, wrong, halted), refused == 2 && wrong && !halted
}
