package hostile

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// accountRows attack a broker with accounts: from one, or from none.
var accountRows = append([]row{
	{"a15", "one short packet: MQTT 5, SUBSCRIBE without its options", 0, tenBytes},
	{"a16", "a retained message whose topic has 33,000 bytes", 0, longTopic},
	{"a02", "an ordinary subscriber of MQTT 5, QoS 1, beside a fast publisher", 0, fastPublisher},
	{"a02b", "a watcher of MQTT 5 that takes two at once, acknowledges nothing and sends PINGREQ", .8, pings},
	{"a03", "retained messages of 1 MB and small ones below a site's node", 0, retained},
	{"a04", "100 sessions of a site, left behind with subscriptions to everything", 0, sessions},
	{"a05", "a subscriber that reads 1 KiB/s, and comes again", .8, slowReader},
}, strangerRows...)

// tenBytes is the packet that ended the library.
func tenBytes(s *stage, _ <-chan struct{}) (string, bool) {
	bad := packet(0x82, id16(1), []byte{0}, str("a"))
	for _, user := range []string{"scada", "oslo/line-1"} {
		l := s.account(user, "ten")
		l.version = 5
		k, err := s.dial(&l)
		if err != nil {
			return err.Error(), false
		}
		_ = k.say(bad)
		if _, _, err := k.next(5 * time.Second); err == nil {
			return "it was answered", false
		}
	}
	return fmt.Sprintf("cut off, %d bytes", len(bad)), true
}

func longTopic(s *stage, _ <-chan struct{}) (string, bool) {
	l := s.account("oslo/line-1", "long")
	for _, n := range []int{1_100, 33_000, 65_000} {
		k, err := s.dial(&l)
		if err != nil {
			return err.Error(), false
		}
		_ = k.say(publish("acme/oslo/line-1/_fl_v1/"+string(bytes.Repeat([]byte("a"), n)), []byte("x"), 1, true))
		if first, _, err := k.next(5 * time.Second); err == nil && first>>4 == 4 {
			return fmt.Sprintf("a topic of %d bytes was taken", n), false
		}
	}
	return "refused", true
}

// fastPublisher floods the round topic in the aggregator's name, with 60 in
// flight, for two subscribers at QoS 1; who published is answered all along.
func fastPublisher(s *stage, stop <-chan struct{}) (string, bool) {
	for i := range 2 {
		l := s.account("later", fmt.Sprint("sub", i))
		l.version = 5
		k, err := s.dial(&l)
		if err != nil {
			return err.Error(), false
		}
		_ = k.say(subscribe(5, 1, "acme/_fl_v1/+/kpi/#"))
		s.goes.Go(func() { // reads and acknowledges
			for {
				first, body, err := k.next(time.Hour)
				if err != nil {
					return
				}
				if first>>4 == 3 && first&6 != 0 {
					_, _, id := message(first, body)
					_ = k.say(packet(0x40, id16(id)))
				}
			}
		})
	}
	l := s.account("aggregator", "flood")
	k, err := s.dial(&l)
	if err != nil {
		return err.Error(), false
	}
	answered, load := 0, bytes.Repeat([]byte("x"), 400)
	for id, out := 1, 0; ; {
		if ended(stop) {
			return fmt.Sprintf("%d publishes answered", answered), answered > 100
		}
		for ; out < 60; out++ {
			if err := k.say(publish("acme/_fl_v1/q/kpi/flood", load, id, false)); err != nil {
				return err.Error(), false
			}
			id = id%60_000 + 1
		}
		if _, _, err := k.next(5 * time.Second); err != nil {
			return fmt.Sprintf("no answer for 5 s after %d: %v", answered, err), false
		}
		answered, out = answered+1, out-1
	}
}

// pings is a02b: receive maximum 2, nothing acknowledged, a flood of PINGREQ and
// of PUBACKs for ids that nobody sent.
func pings(s *stage, stop <-chan struct{}) (string, bool) {
	l := s.account("scada", "evil")
	l.version, l.props = 5, []byte{0x21, 0, 2}
	sent, lives := 0, 0
	flood := bytes.Repeat([]byte{0xc0, 0}, 2000)
	for i := range 500 {
		flood = append(flood, packet(0x40, id16(60_000+i))...)
	}
	for {
		k, err := s.dial(&l)
		if err != nil {
			return err.Error(), false
		}
		lives++
		_ = k.say(subscribe(5, 1, "acme/_fl_v1/state", "acme/_fl_v1/+/round", "acme/_fl_v1/+/record"))
		s.goes.Go(k.drain)
		for k.say(flood) == nil {
			sent++
			if ended(stop) {
				return fmt.Sprintf("%d floods of 2,500 packets, %d connections", sent, lives), true
			}
		}
		select {
		case <-stop:
			return fmt.Sprintf("%d floods of 2,500 packets, %d connections", sent, lives), true
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// retained fills the broker below a site's own node, with topics that exist and
// with such that do not.
func retained(s *stage, stop <-chan struct{}) (string, bool) {
	load := make([]byte, 1_000_000)
	_, _ = rand.Read(load)
	taken := 0
	try := func(topic string, load []byte) bool {
		l := s.account("oslo/line-1", "fill")
		k, err := s.dial(&l)
		if err != nil {
			return false
		}
		defer func() { _ = k.Close() }()
		_ = k.say(publish(topic, load, 1, true))
		first, _, err := k.next(5 * time.Second)
		return err == nil && first>>4 == 4
	}
	for i := range 60 * how.many {
		if ended(stop) {
			return fmt.Sprintf("%d of %d MB taken", taken, i), taken <= 33
		}
		if try(fmt.Sprintf("acme/oslo/line-1/_fl_v1/x%d/status", i), load) {
			taken++
		}
	}
	if try("acme/oslo/line-1/_fl_v1/x/nonsense", []byte("x")) {
		return "a leaf that does not exist was taken", false
	}
	return fmt.Sprintf("%d of %d MB taken", taken, 60*how.many), taken <= 33
}

func sessions(s *stage, stop <-chan struct{}) (string, bool) {
	made := 0
	for i := range 100 {
		l := s.account("oslo/line-1", fmt.Sprint("s", i))
		l.keep = true
		k, err := s.dial(&l)
		if err != nil {
			continue
		}
		made++
		_ = k.say(subscribe(4, 1, "acme/_fl_v1/+/model", "acme/_fl_v1/+/order", "acme/_fl_v1/+/round", "acme/_fl_v1/+/record"))
		_, _, _ = k.next(5 * time.Second)
		_ = k.Close()
	}
	<-stop
	return fmt.Sprintf("%d left behind", made), made > 0
}

// slowReader reads a kilobyte a second on two connections, each cut after 30 s at
// the latest.
func slowReader(s *stage, stop <-chan struct{}) (string, bool) {
	var read, lives atomic.Int64
	var goes sync.WaitGroup
	for i := range 2 {
		goes.Go(func() {
			for !ended(stop) {
				l := s.account("oslo/line-1", fmt.Sprint("slow", i))
				k, err := s.dial(&l)
				if err != nil {
					<-time.After(200 * time.Millisecond)
					continue
				}
				lives.Add(1)
				_ = k.say(subscribe(4, 1, "acme/_fl_v1/+/model", "acme/_fl_v1/+/order", "acme/_fl_v1/+/round", "acme/_fl_v1/+/record"))
				buf := make([]byte, 1024)
				for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
					_ = k.SetReadDeadline(time.Now().Add(2 * time.Second))
					n, err := k.Conn.Read(buf)
					read.Add(int64(n))
					if err != nil {
						break
					}
					select {
					case <-stop:
						return
					case <-time.After(time.Second):
					}
				}
				_ = k.Close()
			}
		})
	}
	goes.Wait()
	return fmt.Sprintf("%d kB on %d connections", read.Load()/1000, lives.Load()), true
}
