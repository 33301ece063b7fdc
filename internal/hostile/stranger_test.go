package hostile

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// strangerRows are about who gets in, and what those cost who do not.
var strangerRows = []row{
	{"a06", "idle connections of one site", 0, idle},
	{"a07", "300 connections guess the password of one user, 100 those of users that do not exist", 0, guesses},
	{"a07b", "16 connections guess the password of a user that is logged in", 0, guessOne},
	{"a08a", "CONNECTs with a name of control characters, refused", 0, refusedConnects},
	{"a08", "400 CONNECTs of 1.1 MB that never end", 0, unfinished},
	{"a14", "packets that are nearly right, before and after login", 0, nearlyRight},
}

// honestLogin reports how long a first login takes of a user that nobody attacks.
func honestLogin(s *stage, user string) (time.Duration, error) {
	start := time.Now()
	l := s.account(user, "honest")
	k, err := s.dial(&l)
	if err == nil {
		_ = k.Close()
	}
	return time.Since(start), err
}

// saw says what an honest login met, which is to take 2 s at most.
func saw(took time.Duration, err error, format string, args ...any) (string, bool) {
	text := fmt.Sprintf(format, args...)
	if err != nil {
		return fmt.Sprintf("%s; an honest login: %v", text, err), false
	}
	return fmt.Sprintf("%s; an honest login took %.2f s", text, took.Seconds()), took <= 2*time.Second
}

// mostOfOne is more than the connections that any limit allows one site.
const mostOfOne = 64

func idle(s *stage, stop <-chan struct{}) (string, bool) {
	open, tries := 0, 0
	for i := range 900 * how.many {
		l := s.account("oslo/line-1", fmt.Sprint("i", i))
		if _, err := s.dial(&l); err == nil {
			open++
		}
		tries++
		if ended(stop) {
			break
		}
	}
	took, err := honestLogin(s, "wien/line-1")
	<-stop
	text, ok := saw(took, err, "%d of %d got in", open, tries)
	return text, ok && open <= mostOfOne
}

// guess tries wrong passwords on n connections until stop.
func guess(s *stage, stop <-chan struct{}, n int, user func(i int) string) (tries *atomic.Int64, wait func()) {
	tries = new(atomic.Int64)
	var goes sync.WaitGroup
	for i := range n {
		goes.Go(func() {
			for !ended(stop) {
				c, err := net.DialTimeout("tcp", s.addr, 5*time.Second)
				if err != nil {
					<-time.After(50 * time.Millisecond)
					continue
				}
				name := user(i)
				l := login{id: fmt.Sprint(name, ":", rand.Uint64()), user: name, password: fmt.Sprint("wrong", rand.Uint64())}
				_, _ = c.Write(l.packet())
				ended := make(chan struct{})
				go func() {
					select {
					case <-stop:
					case <-ended:
					}
					_ = c.Close()
				}()
				if n, _ := c.Read(make([]byte, 4)); n == 4 {
					tries.Add(1)
				}
				close(ended)
			}
		})
	}
	return tries, goes.Wait
}

func guesses(s *stage, stop <-chan struct{}) (string, bool) {
	tries, wait := guess(s, stop, 400, func(i int) string {
		if i < 300 {
			return "op"
		}
		return fmt.Sprint("nobody", rand.IntN(1000))
	})
	<-time.After(time.Second)
	took, err := honestLogin(s, "late")
	<-stop
	wait()
	return saw(took, err, "%d guesses", tries.Load())
}

// guessOne guesses the password of a user whose name is known and who is there.
func guessOne(s *stage, stop <-chan struct{}) (string, bool) {
	start := time.Now()
	tries, wait := guess(s, stop, 16, func(int) string { return "rome/line-1" })
	<-stop
	wait()
	rate := float64(tries.Load()) / time.Since(start).Seconds()
	took, err := honestLogin(s, "rome/line-1")
	text, ok := saw(took, err, "%.0f guesses/s", rate)
	return text, ok && rate < 1000
}

func refusedConnects(s *stage, stop <-chan struct{}) (string, bool) {
	evil := login{id: "\x1b]0;owned\x07\x1b[2J", user: "nobody\x1b[31m", password: "x"}
	var n atomic.Int64
	var goes sync.WaitGroup
	for range 4 {
		goes.Go(func() {
			for !ended(stop) {
				c, err := net.DialTimeout("tcp", s.addr, 2*time.Second)
				if err != nil {
					continue
				}
				_ = c.SetDeadline(time.Now().Add(2 * time.Second))
				_, _ = c.Write(evil.packet())
				_, _ = c.Read(make([]byte, 4))
				_ = c.Close()
				n.Add(1)
			}
		})
	}
	goes.Wait()
	return fmt.Sprintf("%d refused", n.Load()), true
}

func unfinished(s *stage, stop <-chan struct{}) (string, bool) {
	big := append([]byte{0x10, 0xe0, 0x91, 0x43}, append(append(str("MQTT"), 4, 2, 0, 60), make([]byte, 1_099_000)...)...)
	var goes sync.WaitGroup
	for range 400 {
		goes.Go(func() {
			k, err := s.dial(nil)
			if err == nil {
				_ = k.SetWriteDeadline(time.Now().Add(2 * time.Second))
				_, _ = k.Write(big)
			}
		})
	}
	goes.Wait()
	took, err := honestLogin(s, "wien/line-1")
	<-stop
	return saw(took, err, "400 open")
}

// nearlyRight sends valid packets with a bit flipped, cut, lengthened or repeated.
func nearlyRight(s *stage, stop <-chan struct{}) (string, bool) {
	r := rand.New(rand.NewPCG(1, 2)) // an attack
	good := [][]byte{
		subscribe(4, 1, "acme/_fl_v1/+/round"), subscribe(5, 1, "$share/g/#"), subscribe(4, 2, "#/x", ""),
		publish("acme/oslo/line-1/_fl_v1/q/status", []byte("x"), 7, true), publish("", []byte("x"), 0, false),
		packet(0x40, id16(1)), packet(0x50, id16(2)), packet(0x62, id16(3)), packet(0x70, id16(0)), packet(0xa2, id16(4), str("a")),
		{0xc0, 0},
		{0xe0, 0},
		{0xf0, 1, 24},
		{0x00, 0},
		packet(0x34, str("acme/oslo/line-1/_fl_v1/q/status"), id16(9), []byte("x")),
	}
	packets, conns := 0, 0
	for {
		l := s.account("oslo/line-1", fmt.Sprint("f", r.IntN(6)))
		l.version, l.keep = byte(4+r.IntN(2)), r.IntN(2) == 0
		first := l.packet()
		if r.IntN(5) == 0 {
			first[r.IntN(len(first))] ^= 1 << r.IntN(8)
		}
		if c, err := net.DialTimeout("tcp", s.addr, time.Second); err == nil {
			conns++
			_ = c.SetDeadline(time.Now().Add(time.Second))
			_, _ = c.Write(first)
			for range r.IntN(12) {
				_, _ = c.Write(mutated(r, good[r.IntN(len(good))]))
				packets++
			}
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			_, _ = c.Read(make([]byte, 4096))
			_ = c.Close()
		}
		if ended(stop) {
			took, err := honestLogin(s, "wien/line-1")
			return saw(took, err, "%d packets on %d connections", packets, conns)
		}
	}
}

func mutated(r *rand.Rand, p []byte) []byte {
	p = append([]byte(nil), p...)
	switch r.IntN(5) {
	case 0:
		p[r.IntN(len(p))] ^= 1 << r.IntN(8)
	case 1:
		p = p[:1+r.IntN(len(p))]
	case 2:
		p = append(p, byte(r.Uint32()))
	case 3:
		p[0] ^= byte(r.Uint32()) & 0x0f
	}
	return p
}
