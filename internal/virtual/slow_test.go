package virtual

import (
	"net"
	"time"
)

// slowConn is a link of so many bytes a second, each way. What arrives waits in
// a buffer without end: the broker holds a mutex while it writes, and who waits
// for a mutex stops virtual time.
type slowConn struct {
	net.Conn
	rate   int
	chunks chan []byte
	err    error // of the reader, once chunks is closed
	rest   []byte
}

func newSlowConn(c net.Conn, rate int) *slowConn {
	s := &slowConn{Conn: c, rate: rate, chunks: make(chan []byte, 1<<16)}
	go func() {
		defer close(s.chunks)
		for {
			b := make([]byte, 1024)
			n, err := c.Read(b)
			if n > 0 {
				s.chunks <- b[:n]
			}
			if err != nil {
				s.err = err
				return
			}
		}
	}()
	return s
}

func (s *slowConn) takes(n int) { time.Sleep(time.Duration(n) * time.Second / time.Duration(s.rate)) }

func (s *slowConn) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		var k int
		k, err = s.Conn.Write(p[:min(len(p), 1024)])
		s.takes(k)
		n, p = n+k, p[k:]
	}
	return n, err
}

func (s *slowConn) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		b, ok := <-s.chunks
		if !ok {
			return 0, s.err
		}
		s.takes(len(b))
		s.rest = b
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}
