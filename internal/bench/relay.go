package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// relay passes on what the folder sends down to every sender, and what a
// sender sends up to the folder.
func (p *peer) relay(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	p.ready(l.Addr().String())
	var down net.Conn
	senders, folders := make([]net.Conn, p.Sites), make([]net.Conn, p.Sites)
	for range 2*p.Sites + 1 {
		c, err := l.Accept()
		if err != nil {
			return unlessDone(ctx, err)
		}
		context.AfterFunc(ctx, func() { _ = c.Close() })
		var hello [5]byte
		if _, err := io.ReadFull(c, hello[:]); err != nil {
			return unlessDone(ctx, err)
		}
		site := int(int32(binary.LittleEndian.Uint32(hello[:]))) // as it was made
		switch {
		case site == floorDown:
			down = c
		case site < 0 || site >= p.Sites:
			return fmt.Errorf("a connection of site %d", site)
		case hello[4] == 1:
			folders[site] = c
		default:
			senders[site] = c
		}
	}
	return errors.Join(l.Close(), unlessDone(ctx, relayAll(down, senders, folders)))
}

// relayAll copies until a connection ends.
func relayAll(down net.Conn, senders, folders []net.Conn) error {
	var wg sync.WaitGroup
	errs := make([]error, len(senders)+1)
	for i := range senders {
		if senders[i] == nil || folders[i] == nil || down == nil {
			return fmt.Errorf("site %d has one end only", i)
		}
		wg.Go(func() { errs[i] = relayTo(senders[i], folders[i]) })
	}
	wg.Go(func() { errs[len(senders)] = relayTo(down, senders...) })
	wg.Wait()
	return errors.Join(errs...)
}

// relayTo copies through memory.
func relayTo(from net.Conn, to ...net.Conn) error {
	b := make([]byte, relayBlock)
	for {
		n, err := from.Read(b)
		for _, c := range to {
			if _, werr := c.Write(b[:n]); werr != nil {
				return werr
			}
		}
		if err != nil {
			return err
		}
	}
}
